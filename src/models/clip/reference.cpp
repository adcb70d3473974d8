// `tandem verify`: CLIPModel.forward of transformers, argument by argument and output by output.

#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>

#include <set>

#include "models/clip/model.h"
#include "models/pass.h"
#include "models/reference_inputs.h"
#include "tandem/objectives/itc.h"

namespace tandem::models::clip {
namespace {

using Inputs = std::map<std::string, at::Tensor>;

const std::set<std::string>& known() {
  static const std::set<std::string> names{"input_ids",      "pixel_values",
                                           "attention_mask", "position_ids",
                                           "return_loss",    "interpolate_pos_encoding"};
  return names;
}

void check(const ReferenceInputs& inputs, const Config& config) {
  const at::Tensor ids = inputs.ids("input_ids", config.text.vocab_size);
  if (ids.size(1) > config.text.context_length) {
    refuse_reference("expected input.input_ids of at most " +
                     std::to_string(config.text.context_length) + " tokens");
  }
  const at::Tensor& pixels = inputs.required("pixel_values");
  const std::int64_t patch = config.vision.patch_size;
  if (pixels.dim() != 4 || pixels.size(0) < 1 || pixels.size(1) != 3 || pixels.size(2) < patch ||
      pixels.size(3) < patch || !at::isFloatingType(pixels.scalar_type())) {
    refuse_reference("expected input.pixel_values to be floats [B, 3, H, W] of at least a patch");
  }
  inputs.mask("attention_mask", ids);
  const at::Tensor positions = inputs.optional("position_ids");
  if (positions.defined() && (positions.dim() != 2 || positions.size(1) != ids.size(1) ||
                              (positions.size(0) != 1 && positions.size(0) != ids.size(0)) ||
                              positions.min().item<std::int64_t>() < 0 ||
                              positions.max().item<std::int64_t>() >= config.text.context_length)) {
    refuse_reference("expected input.position_ids to be positions [1 or B, T]");
  }
}

}  // namespace

std::map<std::string, at::Tensor> ClipModel::reference_outputs(const Inputs& recorded) {
  const ReferenceInputs inputs(recorded, known());
  check(inputs, config_);
  Tokens tokens;
  tokens.ids = inputs.required("input_ids").to(at::kLong);
  tokens.positions = inputs.optional("position_ids");
  if (tokens.positions.defined()) tokens.positions = tokens.positions.to(at::kLong);
  const at::Tensor keys = inputs.optional("attention_mask");
  const nn::Mask mask = keys.defined() ? nn::causal_padding_mask(keys) : nn::causal_mask();
  const at::Tensor pixels = inputs.required("pixel_values").to(at::kFloat);

  // The features as training computes them; all rows of the towers besides.
  const at::Tensor image =
      clip_->visual_projection->forward(clip_->vision_model->pooled(pixels, {}));
  const at::Tensor text =
      clip_->text_projection->forward(clip_->text_model->pooled(tokens, mask, {}));
  const at::Tensor image_embeds = unit_rows(image), text_embeds = unit_rows(text);
  const at::Tensor logits =
      at::matmul(text_embeds, image_embeds.t()) * clip_->logit_scale.exp();  // [B texts, B images]

  std::map<std::string, at::Tensor> outputs{
      {"logits_per_text", logits},
      {"logits_per_image", logits.t()},
      {"image_embeds", image_embeds},
      {"text_embeds", text_embeds},
      {"vision_model_output.pooler_output", image},
      {"text_model_output.pooler_output", text},
      {"vision_model_output.last_hidden_state", clip_->vision_model->hidden(pixels)},
      {"text_model_output.last_hidden_state", clip_->text_model->hidden(tokens, mask)}};
  if (image.size(0) == text.size(0)) {
    const LossTerm term =
        objectives::itc(image_embeds, text_embeds, clip_->logit_scale, dist::Mesh());
    outputs["loss"] = term.sum / term.count;
  }
  return outputs;
}

}  // namespace tandem::models::clip
