// `tandem verify`: QWenLMHeadModel.forward of the hub's code, with the pictures' pixels in place of
// the files that the ids name.

#include <ATen/ops/linear.h>

#include <set>

#include "models/qwen_vl/model.h"
#include "models/reference_inputs.h"
#include "tandem/objectives/lm.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::qwen_vl {
namespace {

const std::set<std::string>& known() {
  static const std::set<std::string> names{"input_ids", "pixel_values", "attention_mask", "labels",
                                           "position_ids"};  // which the original does not use
  return names;
}

// Pictures that the ids have places for. Refuses places of another length.
std::int64_t places(const at::Tensor& ids, const Config& c) {
  std::int64_t pictures = 0;
  const at::Tensor host = ids.contiguous();
  for (std::int64_t row = 0; row < host.size(0); ++row) {
    const auto* id = host.const_data_ptr<std::int64_t>() + row * host.size(1);
    std::int64_t opened = -1;
    for (std::int64_t t = 0; t < host.size(1); ++t) {
      const bool opens = id[t] == c.image_start, closes = id[t] == c.image_end();
      if (!opens && !closes) continue;
      if (opens != (opened < 0) || (closes && t - opened - 1 != c.picture_tokens())) {
        refuse_reference("expected " + std::to_string(c.picture_tokens()) +
                         " tokens between each <img> and its </img> in row " + std::to_string(row));
      }
      pictures += closes ? 1 : 0;
      opened = opens ? t : -1;
    }
    if (opened >= 0) refuse_reference("expected </img> in row " + std::to_string(row));
  }
  return pictures;
}

}  // namespace

std::map<std::string, at::Tensor> QwenVlModel::reference_outputs(
    const std::map<std::string, at::Tensor>& recorded) {
  const ReferenceInputs inputs(recorded, known());
  const at::Tensor ids = inputs.ids("input_ids", config_.language.vocab_size);
  const at::Tensor keys = inputs.mask("attention_mask", ids);
  const std::int64_t pictures = places(ids, config_);
  std::map<std::string, at::Tensor> outputs;
  at::Tensor features;
  if (pictures > 0 || inputs.has("pixel_values")) {
    const at::Tensor pixels = inputs.pixels();
    features = image_features(pixels, {});
    if (pictures > 0 && pixels.size(0) != pictures) {
      refuse_reference("expected input.pixel_values of " + std::to_string(pictures) +
                       " pictures, as many as input.input_ids has places for; got " +
                       std::to_string(pixels.size(0)));
    }
    outputs["image_features"] = features;
  }
  const std::int64_t length = ids.size(1);
  const nn::Mask mask = keys.defined() ? released_mask(keys, length) : nn::causal_mask();
  const at::Tensor hidden = net_->transformer->forward(
      embeds(ids, pictures > 0 ? features : at::Tensor()), rotary(length, ids.device()), mask);
  outputs["logits"] = at::linear(hidden, net_->head());
  if (inputs.has("labels")) {
    const at::Tensor labels = objectives::shifted_labels(
        inputs.ids("labels", config_.language.vocab_size, /*ignored=*/true));
    if (labels.sizes() != ids.sizes()) {
      refuse_reference("expected input.labels of the shape of input.input_ids");
    }
    const double count = objectives::count_labels(labels);
    const LossTerm term = objectives::lm_loss(hidden, net_->head(), labels, count);
    outputs["loss"] = term.sum / count;
  }
  return outputs;
}

}  // namespace tandem::models::qwen_vl
