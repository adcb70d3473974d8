// `tandem verify`: LlavaForConditionalGeneration.forward of transformers, argument by argument and
// output by output.

#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <limits>
#include <set>

#include "models/llava/model.h"
#include "models/reference_inputs.h"
#include "tandem/base/error.h"
#include "tandem/objectives/lm.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::llava {
namespace {

const std::set<std::string>& known() {
  static const std::set<std::string> names{
      "input_ids", "pixel_values",   "attention_mask", "position_ids",
      "labels",    "logits_to_keep", "image_sizes",    "vision_feature_layer"};
  return names;
}

// vision_feature_layer of the call, or the config's.
std::vector<std::int64_t> blocks_of_call(const ReferenceInputs& inputs, const Config& config) {
  const at::Tensor given = inputs.optional("vision_feature_layer");
  if (!given.defined()) return config.blocks();
  Config asked = config;
  asked.feature_layers.clear();
  const at::Tensor layers = given.reshape({-1}).to(at::kLong).contiguous();
  for (std::int64_t i = 0; i < layers.numel(); ++i) {
    asked.feature_layers.push_back(layers.const_data_ptr<std::int64_t>()[i]);
  }
  const std::vector<std::int64_t> blocks = asked.blocks();
  for (const std::int64_t block : blocks) {
    if (block < 0 || block > config.vision.layers || blocks.size() != config.blocks().size()) {
      refuse_reference("expected input.vision_feature_layer to be layers of the tower");
    }
  }
  return blocks;
}

at::Tensor pixels_of_call(const ReferenceInputs& inputs, const Config& config) {
  if (!inputs.has("pixel_values")) return {};
  const at::Tensor pixels = inputs.pixels();
  if (pixels.size(2) != config.vision.image_size || pixels.size(3) != config.vision.image_size) {
    refuse_reference("expected input.pixel_values of " + std::to_string(config.vision.image_size) +
                     " pixels a side");
  }
  return pixels;
}

// Without a mask, transformers takes a row whose positions jump for several texts laid end to end.
bool jumps(const at::Tensor& positions) { return positions.diff(1, 1).ne(1).any().item<bool>(); }

nn::Mask packed_rows(const at::Tensor& positions) {
  const at::Tensor begins = at::cat(
      {at::zeros_like(positions.narrow(1, 0, 1)), positions.diff(1, 1).ne(1).to(at::kLong)}, 1);
  const at::Tensor text = begins.cumsum(1);
  const at::Tensor same = text.unsqueeze(2).eq(text.unsqueeze(1)).tril().unsqueeze(1);
  nn::Mask mask;
  mask.bias = at::zeros(same.sizes(), at::kFloat)
                  .masked_fill_(same.logical_not(), std::numeric_limits<float>::lowest());
  return mask;
}

}  // namespace

std::map<std::string, at::Tensor> LlavaModel::reference_outputs(
    const std::map<std::string, at::Tensor>& recorded) {
  const ReferenceInputs inputs(recorded, known());
  const std::int64_t words = std::max(config_.language.vocab_size, config_.image_id + 1);
  const at::Tensor ids = inputs.ids("input_ids", words);
  const at::Tensor pixels = pixels_of_call(inputs, config_);
  std::map<std::string, at::Tensor> outputs;
  at::Tensor rows;
  if (pixels.defined()) {
    rows = llava_->connector->forward(
        seen_rows(pixels, blocks_of_call(inputs, config_), config_.class_token, {}), {});
    const auto places = (ids == config_.image_id).sum().item<std::int64_t>();
    if (places != rows.size(0) * rows.size(1)) {
      refuse_reference("expected a picture token in input.input_ids for each of the pictures' " +
                       std::to_string(rows.size(0) * rows.size(1)) + " rows; got " +
                       std::to_string(places));
    }
    outputs["image_hidden_states"] = rows.flatten(0, 1);
  }
  const std::int64_t length = ids.size(1);
  const at::Tensor mask = inputs.mask("attention_mask", ids);
  nn::Mask visible = mask.defined() ? nn::causal_padding_mask(mask) : nn::causal_mask();
  const LanguageModel& language = *llava_->language;
  at::Tensor positions = language.positions_of(ids, mask);
  if (inputs.has("position_ids")) {
    positions = inputs.required("position_ids").to(at::kLong);
    if (positions.dim() != 2 || positions.size(1) != length) {
      refuse_reference("expected input.position_ids to be positions [1 or B, T]");
    }
    if (!mask.defined() && length > 1 && jumps(positions)) {
      visible = packed_rows(positions);
    }
  }
  const std::int64_t longest = positions.max().item<std::int64_t>() + 1;
  const at::Tensor hidden =
      language.forward(embed(language, ids, rows), {positions, longest, visible}, {}, nullptr);
  const std::int64_t keep =
      inputs.has("logits_to_keep") ? inputs.required("logits_to_keep").item<std::int64_t>() : 0;
  const at::Tensor head = language.head();
  const at::Tensor kept = keep > 0 ? hidden.slice(1, -keep) : hidden;
  outputs["logits"] = at::linear(kept, head);
  outputs["last_hidden_state"] = hidden;
  if (!inputs.has("labels")) return outputs;
  const at::Tensor labels = inputs.ids("labels", config_.language.vocab_size, /*ignored=*/true);
  if (labels.sizes() != ids.sizes() || keep > 0) {
    refuse_reference("expected input.labels of the shape of input.input_ids, and all logits");
  }
  const at::Tensor shifted = objectives::shifted_labels(labels);
  const LossTerm term = objectives::lm_loss(hidden, head, shifted, objectives::host_count(shifted));
  outputs["loss"] = term.sum / term.count;
  return outputs;
}

}  // namespace tandem::models::llava
