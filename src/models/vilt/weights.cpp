#include "models/vilt/weights.h"

#include <ATen/ops/cat.h>

#include <string_view>
#include <utility>
#include <vector>

#include "models/vilt/pictures.h"

namespace tandem::models::vilt {
namespace {

using Names = std::vector<std::pair<std::string, std::string>>;  // theirs -> ours, prefixes

// Buffers of torch's embeddings.
bool is_no_weight(std::string_view name) {
  return name.ends_with("text_embeddings.position_ids") ||
         name.ends_with("text_embeddings.token_type_ids");
}

const Names& of_original() {
  static const Names names{
      {"text_embeddings.", "vilt.embeddings.text_embeddings."},
      {"token_type_embeddings.", "vilt.embeddings.token_type_embeddings."},
      {"transformer.cls_token", "vilt.embeddings.cls_token"},
      {"transformer.pos_embed", "vilt.embeddings.position_embeddings"},
      {"transformer.patch_embed.proj.", "vilt.embeddings.patch_embeddings.projection."},
      {"transformer.norm.", "vilt.layernorm."},
      {"pooler.", "vilt.pooler."},
      {"vqa_classifier.", "classifier."},
      {"nlvr2_classifier.", "classifier."}};
  return names;
}

const Names& of_block() {
  static const Names names{{"norm1.", "layernorm_before."},
                           {"norm2.", "layernorm_after."},
                           {"attn.proj.", "attention.output.dense."},
                           {"mlp.fc1.", "intermediate.dense."},
                           {"mlp.fc2.", "output.dense."}};
  return names;
}

std::string renamed(const std::string& name, const Names& names) {
  for (const auto& [theirs, ours] : names) {
    if (name.starts_with(theirs)) return ours + name.substr(theirs.size());
  }
  return name;
}

void import_block_tensor(const std::string& block, const std::string& rest, const at::Tensor& value,
                         Weights& out) {
  const std::string packed = "attn.qkv.";
  if (!rest.starts_with(packed) || value.dim() < 1 || value.size(0) % 3 != 0) {
    out[block + renamed(rest, of_block())] = value;
    return;
  }
  const auto parts = value.chunk(3);
  const char* const names[] = {"query", "key", "value"};
  for (std::size_t i = 0; i < 3; ++i) {
    out[block + "attention.attention." + names[i] + "." + rest.substr(packed.size())] =
        parts[i].contiguous();
  }
}

Weights from_original(const Weights& weights) {
  const std::string blocks = "transformer.blocks.";
  Weights out;
  for (const auto& [name, value] : weights) {
    const std::size_t dot = name.find('.', blocks.size());
    if (name.starts_with(blocks) && dot != std::string::npos) {
      const std::string number = name.substr(blocks.size(), dot + 1 - blocks.size());
      import_block_tensor("vilt.encoder.layer." + number, name.substr(dot + 1), value, out);
    } else {
      out[renamed(name, of_original())] = value;
    }
  }
  return out;
}

Weights with_prefix(const Weights& weights) {
  Weights out;
  for (const auto& [name, value] : weights) {
    bool inner = false;
    for (const char* part : {"embeddings.", "encoder.", "layernorm.", "pooler."}) {
      inner = inner || name.starts_with(part);
    }
    out[inner ? "vilt." + name : name] = value;
  }
  return out;
}

Weights without_prefix(const Weights& weights, const std::string& prefix) {
  Weights out;
  for (const auto& [name, value] : weights) {
    out[name.starts_with(prefix) ? name.substr(prefix.size()) : name] = value;
  }
  return out;
}

// Old files of ViltForMaskedLM hold the bias twice and the tied table twice.
void merge_doubles(Weights& weights, const Config& config) {
  const std::string bias = "mlm_score.bias", decoder = "mlm_score.decoder.";
  if (const auto old = weights.find(bias); old != weights.end()) {
    weights.try_emplace(decoder + "bias", old->second);
    weights.erase(bias);
  }
  if (!config.tied) return;
  if (const auto copy = weights.find(decoder + "weight"); copy != weights.end()) {
    weights.try_emplace("vilt.embeddings.text_embeddings.word_embeddings.weight", copy->second);
    weights.erase(decoder + "weight");
  }
}

// Retrieval's score begins as the logit of a match, as in the original.
void begin_rank(Weights& weights, const Config& config) {
  if (!config.has("rank") || weights.contains("rank_output.weight")) return;
  for (const char* leaf : {"weight", "bias"}) {
    const auto found = weights.find(std::string("itm_score.fc.") + leaf);
    if (found == weights.end() || found->second.dim() < 1 || found->second.size(0) != 2) return;
    weights[std::string("rank_output.") + leaf] = found->second.narrow(0, 1, 1).clone();
  }
}

void resize_tables(Weights& weights, const Config& c) {
  const std::string base = "vilt.embeddings.";
  const auto grid = weights.find(base + "position_embeddings");
  if (grid != weights.end() && grid->second.dim() == 3 &&
      grid->second.size(1) != 1 + c.grid() * c.grid()) {
    const at::Tensor resized = resize_grid(grid->second, {c.grid(), c.grid()});
    grid->second = at::cat({grid->second.narrow(1, 0, 1), resized.unsqueeze(0)}, 1);
  }
  cut_rows(weights, base + "text_embeddings.position_embeddings.weight", c.text.context_length);
  // More pictures begin as the first one, as the second does in the original.
  set_rows(weights, base + "token_type_embeddings.weight", c.modalities, 1);
}

}  // namespace

void fit_weights(Settings& settings, const Weights& weights) {
  auto& config = dynamic_cast<Config&>(settings);
  const auto decoder = weights.find("mlm_score.decoder.weight");
  const auto words = weights.find("vilt.embeddings.text_embeddings.word_embeddings.weight");
  if (config.tied && decoder != weights.end() && words != weights.end()) {
    config.tied = decoder->second.equal(words->second);
  }
}

Weights import_weights(Weights weights, const Settings& settings) {
  const Config& config = config_of(settings);
  std::erase_if(weights, [](const auto& item) { return is_no_weight(item.first); });
  if (weights.contains("text_embeddings.word_embeddings.weight")) {
    weights = from_original(weights);
  } else if (weights.contains("embeddings.cls_token")) {
    weights = with_prefix(weights);
  }
  merge_doubles(weights, config);
  begin_rank(weights, config);
  resize_tables(weights, config);
  return config.parts.empty() ? without_prefix(weights, "vilt.") : weights;
}

}  // namespace tandem::models::vilt
