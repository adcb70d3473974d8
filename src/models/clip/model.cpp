#include "models/clip/model.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "models/pass.h"
#include "tandem/base/error.h"
#include "tandem/objectives/itc.h"

namespace tandem::models::clip {
TextEmbeddings::TextEmbeddings(const TextConfig& c) {
  token_embedding =
      register_module("token_embedding", std::make_shared<nn::Embedding>(c.vocab_size, c.width));
  position_embedding = register_module("position_embedding",
                                       std::make_shared<nn::Embedding>(c.context_length, c.width));
}

at::Tensor TextEmbeddings::forward(const at::Tensor& ids, const at::Tensor& positions) const {
  const std::int64_t length = ids.size(1), most = position_embedding->weight.size(0);
  if (length > most) {
    throw Error(ErrorKind::data, "[text] expected at most " + std::to_string(most) +
                                     " tokens; got " + std::to_string(length));
  }
  const at::Tensor rows = positions.defined() ? position_embedding->forward(positions)
                                              : position_embedding->weight.narrow(0, 0, length);
  return token_embedding->forward(ids) + rows;  // [B, T, D]
}

TextModel::TextModel(const TextConfig& c) : eos_id(c.eos_id), argmax(c.pooling == "argmax") {
  embeddings = register_module("embeddings", std::make_shared<TextEmbeddings>(c));
  encoder = register_module("encoder", std::make_shared<nn::EncoderStack>(block_of(c), c.layers));
  final_layer_norm = register_module("final_layer_norm",
                                     std::make_shared<nn::LayerNorm>(c.width, c.layer_norm_eps));
}

at::Tensor TextModel::end_of(const at::Tensor& ids) const {
  return argmax ? ids.argmax(1) : (ids == eos_id).to(at::kByte).argmax(1);
}

at::Tensor TextModel::pooled(const Tokens& tokens, const nn::Mask& mask,
                             const nn::BlockContext& context) const {
  const at::Tensor x = embeddings->forward(tokens.ids, tokens.positions);
  return final_layer_norm->forward(encoder->pooled(x, end_of(tokens.ids), mask, context));
}

at::Tensor TextModel::hidden(const Tokens& tokens, const nn::Mask& mask) const {
  return final_layer_norm->forward(
      encoder->forward(embeddings->forward(tokens.ids, tokens.positions), mask));
}

Clip::Clip(const Config& c) {
  logit_scale = register_parameter("logit_scale", nn::make_parameter({}));
  text_model = register_module("text_model", std::make_shared<TextModel>(c.text));
  vision_model =
      register_module("vision_model", std::make_shared<nn::VisionTower>(shape_of(c.vision)));
  visual_projection = register_module(
      "visual_projection", std::make_shared<nn::Linear>(c.vision.width, c.embed_dim, false));
  text_projection = register_module("text_projection",
                                    std::make_shared<nn::Linear>(c.text.width, c.embed_dim, false));
}

ClipModel::ClipModel(const Config& config, Key init) : config_(config) {
  if (config.text.vocab_size < 1 || (config.text.eos_id < 0 && config.text.pooling != "argmax")) {
    throw Error(ErrorKind::config, "[models] expected model.text.vocab_size and eos_id", "",
                "give the model a tokenizer, or set them");
  }
  statistics_ = statistics_of(config.image);
  clip_ = std::make_shared<Clip>(config);
  initialize(*clip_, config, init);
}

// --- The paper's figure 3 -------------------------------------------------------------------

at::Tensor ClipModel::image_features(const Images& images, const nn::BlockContext& context) const {
  const at::Tensor pixels = nn::normalize_pixels(images.pixels, statistics_);
  return unit_rows(clip_->visual_projection->forward(clip_->vision_model->pooled(pixels, context)));
}

at::Tensor ClipModel::text_features(const Tokens& tokens, const nn::BlockContext& context) const {
  // Padding stands behind the end mark, where the causal mask hides it.
  return unit_rows(clip_->text_projection->forward(
      clip_->text_model->pooled(tokens, nn::causal_mask(), context)));
}

LossTerms ClipModel::losses(const Batch& batch, const LossRequest& request,
                            const StepContext& context) {
  const at::Tensor image = image_features(batch.images.value(), blocks_of(context, "image"));
  const at::Tensor text = text_features(batch.text.value(), blocks_of(context, "text"));
  if (context.contrast != nullptr) {
    return {{"itc", objectives::replay_itc(image, text, clip_->logit_scale, *context.contrast,
                                           context.contrast_first)}};
  }
  return {{"itc", objectives::itc(image, text, clip_->logit_scale, mesh_of(context),
                                  itc_options(request))}};
}

Features ClipModel::features(const Batch& batch, const LossRequest&, const StepContext& context) {
  return {image_features(batch.images.value(), blocks_of(context, "image")),
          text_features(batch.text.value(), blocks_of(context, "text"))};
}

std::shared_ptr<const objectives::ItcSolution> ClipModel::solve(const Features& features,
                                                                const LossRequest& request,
                                                                const StepContext& context) {
  return std::make_shared<objectives::ItcSolution>(objectives::solve_itc(
      features.image, features.text, clip_->logit_scale, mesh_of(context), itc_options(request)));
}

void ClipModel::after_step(const StepContext&) {
  if (!clip_->logit_scale.requires_grad()) return;  // frozen: it stays, bit by bit
  const at::NoGradGuard no_grad;
  clip_->logit_scale.clamp_(0, std::log(100.0));  // the parameter itself, not a copy
}

// --- The model as others see it -------------------------------------------------------------

NamedTensors ClipModel::parameters() const { return parameters_of(*clip_); }

void ClipModel::to(const at::Device& device) { clip_->to(device); }

void ClipModel::train(bool on) { clip_->train(on); }

std::map<std::string, double> ClipModel::counts(const Batch& batch, const LossRequest&) const {
  return {{"itc", static_cast<double>(batch.images.value().pixels.size(0))}};
}

Abilities ClipModel::abilities() {
  Abilities can;
  can.embed_image = [this](const Images& images) {
    const at::NoGradGuard no_grad;
    return image_features(images, {});
  };
  can.embed_text = [this](const Tokens& tokens) {
    const at::NoGradGuard no_grad;
    return text_features(tokens, {});
  };
  return can;
}

}  // namespace tandem::models::clip
