#include "models/vlmo/weights.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "models/vlmo/model.h"
#include "models/vlmo/positions.h"
#include "tandem/base/error.h"
#include "tandem/base/log.h"
#include "tandem/nn/init.h"
#include "tandem/tensor/shape.h"

namespace tandem::models::vlmo {

// Weights 0.02 and biases 0, norms 1 and 0 (BERT's rule, and timm's); the exceptions below.
void initialize(Vlmo& net, const Config& c, Key init) {
  NamedTensors plain;
  for (auto& item : net.named_parameters()) plain.emplace_back(item.key(), item.value());
  nn::initialize_normal(plain, 0.02, init);
  // torch's Conv2d is left as it comes: uniform within 1 / sqrt(fan in).
  const double bound = 1 / std::sqrt(static_cast<double>(3 * c.patch_size * c.patch_size));
  nn::PatchEmbed& patch = *net.transformer->patch;
  nn::fill_uniform(patch.weight, bound, init, "transformer.patch_embed.proj.weight");
  nn::fill_uniform(patch.bias, bound, init, "transformer.patch_embed.proj.bias");
  for (const auto& block : net.transformer->blocks) {
    if (!block->gamma_1.defined()) continue;
    nn::fill_constant(block->gamma_1, c.layer_scale);
    nn::fill_constant(block->gamma_2, c.layer_scale);
  }
  if (net.relative_position_bias_table.defined()) {
    nn::fill_constant(net.relative_position_bias_table, 0);
  }
  if (net.classifier) nn::fill_constant(net.classifier->norm->weight, 1);  // "1" in files
  if (c.kinds() > 2) {
    const at::NoGradGuard no_grad;
    const at::Tensor kinds = net.token_type_embeddings->weight;
    kinds[2].copy_(kinds[1]);
  }
  for (const at::Tensor& scale : {net.logit_scale, net.logit_vl_scale}) {
    if (scale.defined()) nn::fill_constant(scale, c.logit_scale_init);
  }
}

namespace {

bool can_be_made_again(const std::string& name) {
  return name.ends_with("relative_position_index") || name.ends_with("position_ids") ||
         name.ends_with("token_type_ids");
}

// A BEiT stands below `transformer.`, its MLPs are the image experts, and the tables of its layers
// become columns of the one table, whose other rows it does not have: they begin as zeros.
Weights from_beit(const Weights& weights, const Config& c) {
  Weights out;
  std::map<std::int64_t, at::Tensor> tables;
  for (const auto& [name, value] : weights) {
    if (name.ends_with("attn.relative_position_bias_table")) {
      tables[std::stoll(name.substr(std::string("blocks.").size()))] = value;
      continue;
    }
    std::string to = name;
    for (const std::string part : {".mlp.", ".norm2."}) {
      const std::size_t at = to.find(part);
      if (at != std::string::npos) to.insert(at + part.size() - 1, "_imag");
    }
    out[std::string("transformer.").append(to)] = value;
  }
  std::vector<at::Tensor> columns;
  for (const auto& [layer, table] : tables) columns.push_back(table);
  if (columns.empty()) return out;
  const at::Tensor pictures = at::cat(columns, 1);
  out["relative_position_bias_table"] = at::cat(
      {pictures, at::zeros({2 + 2 * c.longest_begun(), pictures.size(1)}, pictures.options())});
  return out;
}

// The grid of a table that has `rest` rows beside it; 0: there is none.
std::int64_t grid_of(const at::Tensor& table, std::int64_t rest) {
  const auto side = static_cast<std::int64_t>(std::llround(
      std::sqrt(static_cast<double>(std::max<std::int64_t>(table.size(0) - rest, 0)))));
  return side % 2 == 1 && side * side + rest == table.size(0) ? (side + 1) / 2 : 0;
}

void resize_relative(at::Tensor& table, const Config& c) {
  const RelativePositions to{c.grid(), c.longest_text};
  if (table.size(0) == to.rows()) return;
  const std::int64_t words = c.longest_begun();
  const RelativePositions from{grid_of(table, 3 + 2 + 2 * words), words};
  const auto told = [](const RelativePositions& p) {
    const std::string side = std::to_string(p.grid);
    return side + " x " + side + " patches and texts of " + std::to_string(p.longest_text);
  };
  if (from.grid < 1 || (from.grid != to.grid && from.grid < 3)) {
    throw Error(ErrorKind::data,
                "[weights] expected relative_position_bias_table for " + told(to) +
                    ", or for another grid of at least 3 x 3; got " + shape_text(table) +
                    ", which no grid with texts of " + std::to_string(words) + " has",
                "",
                "set model.longest_text to that of the weights (196 in the released ones), or "
                "model.longest_text_before to it for a table of longer or shorter texts");
  }
  log_info("relative_position_bias_table for " + told(from) + " becomes one for " + told(to));
  table = resize_table(table, from, to);
}

void resize_positions(Weights& weights, const Config& c) {
  if (c.absolute_positions) resize_grid(weights, "transformer.pos_embed", c.grid());
  cut_rows(weights, "text_embeddings.position_embeddings.weight", c.context_length);
  const auto relative = weights.find("relative_position_bias_table");
  if (relative == weights.end() || relative->second.dim() != 2 || !c.relative_positions) return;
  resize_relative(relative->second, c);
}

}  // namespace

Weights import_weights(Weights weights, const Settings& settings) {
  const Config& config = config_of(settings);
  weights = without_module_prefix(std::move(weights));
  if (weights.contains("cls_token") && weights.contains("patch_embed.proj.weight")) {
    weights = from_beit(weights, config);
  }
  std::erase_if(weights, [](const auto& item) { return can_be_made_again(item.first); });
  resize_positions(weights, config);
  // The second picture's kind begins as the first one's, as in the original.
  set_rows(weights, "token_type_embeddings.weight", config.kinds(), 1);
  return weights;
}

void fit_weights(Settings& settings, const Weights& given) {
  auto& c = dynamic_cast<Config&>(settings);
  const Weights weights = without_module_prefix(given);
  const auto any = [&](const std::string& part) {
    for (const auto& [name, value] : weights) {
      if (name.find(part) != std::string::npos) return true;
    }
    return false;
  };
  c.parts.itc = any("itc_text_proj.") || any("itc_image_proj.");
  c.parts.itc_vl = any("itc_vl_");
  c.parts.itm = any("itm_score.");
  c.parts.mlm = any("mlm_score.");
  c.parts.vqa = any("vqa_classifier.");
  c.parts.nlvr2 = any("nlvr2_classifier.");
  if (const auto last = weights.find("vqa_classifier.3.weight"); last != weights.end()) {
    c.labels = last->second.size(0);
  }
  c.parts.mim = any("transformer.lm_head.") || any("transformer.mask_token");
  // The language stage has no joint expert, whatever the config says.
  if (!any(".mlp_vl.") && !any(".norm2_vl.")) c.joint_from = c.layers;
}

}  // namespace tandem::models::vlmo
