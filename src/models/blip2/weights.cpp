#include "models/blip2/weights.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/upsample_bicubic2d.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <utility>
#include <vector>

#include "models/blip2/model.h"
#include "models/pretrained_parts.h"
#include "tandem/base/error.h"
#include "tandem/nn/init.h"

namespace tandem::models::blip2 {
namespace {

const std::string vision_prefix = "vision_model.", language_prefix = "language_model.";

using Renames = std::vector<std::pair<std::string, std::string>>;

// The first of `renames` that the name begins with.
std::string renamed(const std::string& name, const Renames& renames) {
  for (const auto& [from, to] : renames) {
    if (name.starts_with(from)) return to + name.substr(from.size());
  }
  return name;
}

}  // namespace

// --- Initialisation --------------------------------------------------------------------------

namespace {

// T5's, by transformers' rule: each matrix by what goes into it; queries also by the head's width.
void initialize_t5(nn::T5& t5, Key init) {
  const nn::T5Shape& s = t5.shape;
  const auto width = static_cast<double>(s.width), head = static_cast<double>(s.head_width);
  for (auto& item : t5.named_parameters()) {
    const std::string& name = item.key();
    double std = 1 / std::sqrt(width);
    if (name.find("norm") != std::string::npos) {
      nn::fill_constant(item.value(), 1);
      continue;
    }
    if (name == "shared.weight" || name == "lm_head.weight") std = 1;
    if (name.ends_with(".q.weight")) std = 1 / std::sqrt(width * head);
    if (name.ends_with(".o.weight")) std = 1 / std::sqrt(static_cast<double>(s.heads) * head);
    if (name.ends_with(".wo.weight")) std = 1 / std::sqrt(static_cast<double>(s.hidden));
    nn::fill_normal(item.value(), std, init, language_prefix + name);
  }
}

}  // namespace

// Matrices, tables and queries are normal with 0.02, biases 0, norms 1; a layer's query part begins
// as its text part; the released code leaves its projections at PyTorch's defaults. It starts the
// towers from released ones.
void initialize(Blip2& net, const Config& c, Key init) {
  NamedTensors parameters;
  for (const auto& item : net.named_parameters()) parameters.emplace_back(item.key(), item.value());
  nn::initialize_normal(parameters, 0.02, init);
  const auto plain = [&](const std::shared_ptr<nn::Linear>& linear, const std::string& name) {
    if (!linear) return;
    const double bound = 1 / std::sqrt(static_cast<double>(linear->weight.size(1)));
    nn::fill_uniform(linear->weight, bound, init, name + ".weight");
    nn::fill_uniform(linear->bias, bound, init, name + ".bias");
  };
  plain(net.vision_proj, "vision_projection");
  plain(net.text_proj, "text_projection");
  plain(net.itm_head, "itm_head");
  plain(net.language_projection, "language_projection");
  const at::NoGradGuard no_grad;
  for (const auto& layer : net.qformer->layers) {
    if (!layer->text_in) continue;
    at::Tensor(layer->query_in->weight).copy_(layer->text_in->weight);
    at::Tensor(layer->query_out->weight).copy_(layer->text_out->weight);
  }
  if (net.temperature.defined()) nn::fill_constant(net.temperature, c.temperature);
  if (net.t5) initialize_t5(*net.t5, init);
}

// --- Names -----------------------------------------------------------------------------------

namespace {

// Where the original's parts stand in Hugging Face's classes, by how their names begin.
const Renames& parts() {
  static const Renames table{{"ln_vision.", "vision_model.post_layernorm."},
                             {"Qformer.bert.embeddings.LayerNorm.", "qformer.layernorm."},
                             {"Qformer.bert.embeddings.", "embeddings."},
                             {"Qformer.bert.", "qformer."},
                             {"Qformer.cls.", "cls."},
                             {"vision_proj.", "vision_projection."},
                             {"text_proj.", "text_projection."},
                             {"opt_proj.", "language_projection."},
                             {"t5_proj.", "language_projection."},
                             {"opt_model.", "language_model."},
                             {"t5_model.", "language_model."},
                             {"model.decoder.", "language_model.model.decoder."}};
  return table;
}

void replace(std::string& text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  if (at != std::string::npos) text.replace(at, from.size(), to);
}

// Below "visual_encoder.", EVA's tower or CLIP's.
std::string tower_name(std::string rest) {
  static const Renames outside{{"cls_token", "embeddings.class_embedding"},
                               {"class_embedding", "embeddings.class_embedding"},
                               {"pos_embed", "embeddings.position_embedding"},
                               {"positional_embedding", "embeddings.position_embedding"},
                               {"patch_embed.proj.", "embeddings.patch_embedding."},
                               {"conv1.", "embeddings.patch_embedding."},
                               {"ln_pre.", "pre_layernorm."},
                               {"norm.", "post_layernorm."},
                               {"blocks.", "encoder.layers."},
                               {"transformer.resblocks.", "encoder.layers."}};
  static const Renames inside{{".norm1.", ".layer_norm1."},
                              {".norm2.", ".layer_norm2."},
                              {".ln_1.", ".layer_norm1."},
                              {".ln_2.", ".layer_norm2."},
                              {".attn.qkv.", ".self_attn.qkv."},
                              {".attn.in_proj_", ".self_attn.qkv."},
                              {".attn.proj.", ".self_attn.projection."},
                              {".attn.out_proj.", ".self_attn.projection."},
                              {".mlp.c_fc.", ".mlp.fc1."},
                              {".mlp.c_proj.", ".mlp.fc2."}};
  rest = renamed(rest, outside);
  for (const auto& [from, to] : inside) replace(rest, from, to);
  return rest;
}

Weights original_names(Weights weights) {
  const std::string tower = "visual_encoder.";
  Weights out;
  for (auto& [given, value] : weights) {
    std::string name = given.starts_with(tower)
                           ? vision_prefix + tower_name(given.substr(tower.size()))
                           : renamed(given, parts());
    if (given.starts_with("Qformer.")) replace(name, "attention.self.", "attention.attention.");
    out[name] = std::move(value);
  }
  return out;
}

// q and v have biases and keys have none there: zeros stand in between.
void join_biases(Weights& weights) {
  const std::string q = ".attn.q_bias", v = ".attn.v_bias";  // the layer's name is ours by now
  std::vector<std::string> stems;
  for (const auto& [name, value] : weights) {
    if (name.ends_with(q)) stems.push_back(name.substr(0, name.size() - q.size()));
  }
  for (const std::string& stem : stems) {
    if (!weights.contains(stem + v)) continue;
    const at::Tensor query = weights[stem + q];
    weights[stem + ".self_attn.qkv.bias"] =
        at::cat({query, at::zeros_like(query), weights[stem + v]});
    weights.erase(stem + q);
    weights.erase(stem + v);
  }
}

// CLIP's tower in Hugging Face's names: q, k and v stand apart, tables are modules.
void join_clip(Weights& weights) {
  const std::string q = ".self_attn.q_proj.", layers = vision_prefix + "encoder.layers.";
  std::vector<std::pair<std::string, std::string>> found;
  for (const auto& [name, value] : weights) {
    const std::size_t at = name.find(q);
    if (name.starts_with(layers) && at != std::string::npos) {
      found.emplace_back(name.substr(0, at), name.substr(at + q.size()));
    }
  }
  for (const auto& [stem, kind] : found) {
    std::vector<at::Tensor> three;
    for (const char* part : {"q", "k", "v"}) {
      const std::string name = stem + ".self_attn." + part + "_proj." + kind;
      if (weights.contains(name)) three.push_back(weights[name]);
      weights.erase(name);
    }
    weights[stem + ".self_attn.qkv." + kind] = at::cat(three);
    merge_into(weights, stem + ".self_attn.out_proj." + kind,
               stem + ".self_attn.projection." + kind);
  }
  const std::string embeddings = vision_prefix + "embeddings.";
  merge_into(weights, embeddings + "position_embedding.weight", embeddings + "position_embedding");
  for (const char* kind : {"weight", "bias"}) {
    merge_into(weights, vision_prefix + "pre_layrnorm." + kind,
               vision_prefix + "pre_layernorm." + kind);
  }
}

// Tables without a first dimension of 1: [D] and [N, D].
void widen_tables(Weights& weights) {
  for (const auto& [name, dims] :
       {std::pair<const char*, std::int64_t>{"class_embedding", 3}, {"position_embedding", 3}}) {
    const auto found = weights.find(vision_prefix + "embeddings." + name);
    if (found == weights.end()) continue;
    while (found->second.dim() < dims) found->second = found->second.unsqueeze(0);
  }
}

// As the original resizes CLIP's table: bicubic with corners on corners. [1, 1 + g^2, D]
void resize_aligned(Weights& weights, const std::string& name, std::int64_t side) {
  const auto found = weights.find(name);
  if (found == weights.end() || found->second.dim() != 3) return;
  const at::Tensor table = found->second;
  const std::int64_t cells = table.size(1) - 1, width = table.size(2);
  const auto from = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(cells))));
  if (cells < 1 || from * from != cells || from == side) return;  // taking the weights says which
  const at::Tensor grid = table.narrow(1, 1, cells)
                              .to(at::kFloat)
                              .view({1, from, from, width})
                              .permute({0, 3, 1, 2});  // [1, D, g, g]
  const at::Tensor resized = at::upsample_bicubic2d(grid, {side, side}, /*align_corners=*/true)
                                 .permute({0, 2, 3, 1})
                                 .reshape({1, side * side, width})
                                 .to(table.scalar_type());
  found->second = at::cat({table.narrow(1, 0, 1), resized}, 1);
}

void drop_tied(Weights& weights, const Config& c) {
  merge_into(weights, "cls.predictions.decoder.weight", "embeddings.word_embeddings.weight");
  merge_into(weights, "cls.predictions.decoder.bias", "cls.predictions.bias");
  if (!c.writes()) return;
  const std::string table =
      language_prefix +
      (c.language.is_t5() ? "shared.weight" : "model.decoder.embed_tokens.weight");
  if (c.language.is_t5()) {
    for (const char* stack : {"encoder", "decoder"}) {
      merge_into(weights, language_prefix + stack + ".embed_tokens.weight", table);
    }
    weights.erase(language_prefix +
                  "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight");
  }
  if (c.language.tied) merge_tied(weights, language_prefix + "lm_head.weight", table);
}

// Of a layer of the querying transformer: what only words go through.
bool is_text_part(const std::string& name) {
  return name.find(".intermediate.") != std::string::npos ||
         (name.find(".output.") != std::string::npos &&
          name.find("attention.") == std::string::npos);
}

// What the first stage has and the class does not.
bool is_of(const std::string& name, const Config& c) {
  if (name.starts_with("cls.") || name == "temp") return c.the_kind() == Kind::pretrain;
  if (!c.writes()) return !name.starts_with("language_");
  if (name.starts_with("embeddings.") || name.starts_with("vision_projection.") ||
      name.starts_with("text_projection.") || name.starts_with("itm_head.")) {
    return false;
  }
  return !name.starts_with("qformer.") || !is_text_part(name);
}

// use_qformer_text_input in a class that writes: transformers makes the text parts of the querying
// transformer's layers and never runs them.
void drop_text_parts(Weights& weights) {
  for (auto it = weights.begin(); it != weights.end();) {
    const std::string& name = it->first;
    it = name.starts_with("qformer.") && is_text_part(name) ? weights.erase(it) : std::next(it);
  }
}

bool from_first_stage(const Weights& weights) {
  return weights.contains("temp") && weights.contains("query_tokens");
}

}  // namespace

Weights import_weights(Weights weights, const Settings& settings) {
  const Config& config = config_of(settings);
  weights = without_module_prefix(std::move(weights));
  erase_ending_in(weights, "position_ids");
  erase_ending_in(weights, "rope.freqs");
  weights = original_names(std::move(weights));
  join_biases(weights);
  join_clip(weights);
  widen_tables(weights);
  if (from_first_stage(weights) && config.the_kind() != Kind::pretrain) {
    for (auto it = weights.begin(); it != weights.end();) {
      it = is_of(it->first, config) ? std::next(it) : weights.erase(it);
    }
  }
  if (config.writes() && config.qformer.text) drop_text_parts(weights);
  drop_tied(weights, config);
  const std::string positions = vision_prefix + nn::hugging_face_vit_names().positions;
  const std::int64_t side = config.vision.shape().grid();
  if (config.vision.clip) resize_aligned(weights, positions, side);
  resize_grid(weights, positions, side);
  return weights;
}

void fit_weights(Settings& settings, const Weights& weights) {
  auto& config = dynamic_cast<Config&>(settings);
  if (weights.contains("ln_vision.weight")) config.vision.last_norm_eps = 1e-5;
  if (weights.contains("visual_encoder.ln_pre.weight")) {  // the original's other tower
    config.vision.clip = true;
    config.vision.activation = "quick_gelu";
    config.vision.layer_norm_eps = 1e-5;
  }
  if (!config.writes() || !config.language.tied) return;
  const auto find = [&](const std::string& name) {
    for (const char* prefix : {"language_model.", "opt_model.", "t5_model."}) {
      const auto found = weights.find(prefix + name);
      if (found != weights.end()) return found->second;
    }
    return at::Tensor();
  };
  const at::Tensor head = find("lm_head.weight");
  const at::Tensor table =
      find(config.language.is_t5() ? "shared.weight" : "model.decoder.embed_tokens.weight");
  if (head.defined() && table.defined() && !head.equal(table)) config.language.tied = false;
}

// --- Parts from elsewhere --------------------------------------------------------------------

void read_pretrained(Blip2& net, const Config& c) {
  if (net.query_tokens.is_meta()) return;  // an outline: names and shapes alone
  if (!c.vision.pretrained.empty()) {
    Weights tower;
    for (auto& [name, value] : weights_in(c.vision.pretrained)) {
      if (name.starts_with(vision_prefix) || name.starts_with("visual_encoder."))
        tower[name] = value;
    }
    take_part(net, import_weights(tower, c), vision_prefix, c.vision.pretrained,
              vision_prefix + "post_layernorm.");
  }
  if (!c.writes() || c.language.pretrained.empty()) return;
  Weights language;
  for (auto& [name, value] : weights_in(c.language.pretrained)) {
    language[(name.starts_with(language_prefix) ? "" : language_prefix) + name] = value;
  }
  language = import_weights(language, c);
  const std::string head = language_prefix + "lm_head.weight";
  if (c.language.tied && language.contains(head)) {
    throw Error(ErrorKind::config,
                "[models] expected " + head +
                    " to be the table of words, as language.tied says; got "
                    "another one",
                c.language.pretrained, "model.language.tied: false");
  }
  take_part(net, language, language_prefix, c.language.pretrained);
}

}  // namespace tandem::models::blip2
