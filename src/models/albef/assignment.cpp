#include "models/albef/assignment.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/where.h>

#include <cmath>

#include "models/pass.h"
#include "models/reference_inputs.h"
#include "tandem/base/error.h"
#include "tandem/nn/init.h"
#include "tandem/objectives/classification.h"
#include "tandem/objectives/hard_negatives.h"

namespace tandem::models::albef {
namespace {

constexpr double likeness_temperature = 0.07;  // fixed in the original

// PyTorch's default, which the original leaves its projections and heads at.
void fill_plain(const nn::Linear& linear, const std::string& name, Key init) {
  const double bound = 1 / std::sqrt(static_cast<double>(linear.weight.size(1)));
  nn::fill_uniform(linear.weight, bound, init, name + ".weight");
  nn::fill_uniform(linear.bias, bound, init, name + ".bias");
}

// Rows of pictures, or the three classes, that verify recorded.
at::Tensor chosen_in(const ReferenceInputs& inputs, const std::string& name, std::int64_t batch,
                     std::int64_t below) {
  const at::Tensor& given = inputs.required(name);
  const bool whole = !at::isFloatingType(given.scalar_type()) && given.numel() == batch;
  if (!whole || given.min().item<std::int64_t>() < 0 || given.max().item<std::int64_t>() >= below) {
    refuse_reference("expected input." + name + " to be " + std::to_string(batch) +
                     " numbers below " + std::to_string(below));
  }
  return given.to(at::kLong).view({-1});
}

}  // namespace

AssignmentParts::AssignmentParts(const Config& c) : Encoders(c, "") {
  share_pictures(*bert->encoder, fusion_layer);
  ta_head = register_module("ta_head", std::make_shared<nn::Linear>(c.text.width, 3));
}

FrozenContrast::FrozenContrast(const Config& c) {
  vision_proj =
      register_module("vision_proj", std::make_shared<nn::Linear>(c.vision.width, c.embed_dim));
  text_proj = register_module("text_proj", std::make_shared<nn::Linear>(c.text.width, c.embed_dim));
  temperature = register_parameter("temp", nn::make_parameter({}));
}

Assigned draw_assigned(const at::Tensor& alike, Key key) {
  const at::NoGradGuard no_grad;
  const std::int64_t size = alike.size(0);
  at::Tensor kinds = at::empty({size}, at::kLong);
  Random random(key.fold("sides"));
  for (std::int64_t i = 0; i < size; ++i) {
    const bool shown = random.uniform() > 1.0 / 3;
    const bool on_the_first = random.uniform() > 0.5;
    kinds.mutable_data_ptr<std::int64_t>()[i] = !shown ? 2 : on_the_first ? 0 : 1;
  }
  const at::Tensor labels = kinds.to(alike.device());
  const at::Tensor own = at::arange(size, labels.options());
  const at::Tensor other = objectives::draw_columns(alike, own, key.fold("other"));
  const at::Tensor rest = alike.scatter(1, other.unsqueeze(1), 0);
  const at::Tensor another = objectives::draw_columns(rest, own, key.fold("another"));
  return {at::where(labels.eq(0), own, other),
          at::where(labels.eq(1), own, at::where(labels.eq(2), another, other)), labels};
}

AssignmentModel::AssignmentModel(const Config& config, Key init)
    : config_(config),
      statistics_(statistics_of(config.image)),
      parts_(std::make_shared<AssignmentParts>(config)),
      frozen_(std::make_shared<FrozenContrast>(config)) {
  if (config.text.vocab_size < 1) {
    throw Error(ErrorKind::config, "[models] expected model.text.vocab_size");
  }
  nn::initialize_normal(parameters(), 0.02, init);
  fill_plain(*parts_->ta_head, "ta_head", init);
  fill_plain(*frozen_->vision_proj, "vision_proj", init);
  fill_plain(*frozen_->text_proj, "text_proj", init);
  nn::fill_constant(frozen_->temperature, config.temperature);
}

NamedTensors AssignmentModel::parameters() const { return parameters_of(*parts_); }

NamedTensors AssignmentModel::buffers() const {
  NamedTensors all = parameters_of(*frozen_);
  for (auto& [name, tensor] : all) tensor = tensor.detach();
  return all;
}

void AssignmentModel::to(const at::Device& device) {
  parts_->to(device);
  frozen_->to(device);
}

void AssignmentModel::train(bool on) { parts_->train(on); }

std::map<std::string, ChanceLevel> AssignmentModel::chance_levels(std::int64_t) const {
  return {{"ta", chance_among(3)}};
}

std::map<std::string, double> AssignmentModel::counts(const Batch& batch,
                                                      const LossRequest&) const {
  return {{"ta", static_cast<double>(batch.images.value().pixels.size(0))}};
}

at::Tensor AssignmentModel::likeness(const at::Tensor& image, const at::Tensor& picture_ids) const {
  const at::NoGradGuard no_grad;
  const at::Tensor feature =
      unit_rows(frozen_->vision_proj->forward(image.select(1, 0)), 1e-12).to(at::kFloat);
  const at::Tensor alike = at::softmax(feature.matmul(feature.t()) / likeness_temperature, 1);
  const at::Tensor equal = picture_ids.unsqueeze(1).eq(picture_ids.unsqueeze(0));
  return alike.masked_fill(equal, 0);  // the diagonal with them
}

at::Tensor AssignmentModel::logits(const at::Tensor& image, const Texts& texts,
                                   const Assigned& shown, const nn::BlockContext& context) const {
  const at::Tensor text = parts_->encode_text(texts, nn::of_part(context, "text"));
  const at::Tensor fused = parts_->fuse(
      text, texts.mask, {image.index_select(0, shown.first), image.index_select(0, shown.second)},
      nn::of_part(context, "fusion"));
  return parts_->ta_head->forward(fused.select(1, 0));
}

LossTerms AssignmentModel::losses(const Batch& batch, const LossRequest&,
                                  const StepContext& context) {
  const nn::BlockContext blocks = blocks_of(context, "assignment");
  const at::Tensor pixels = nn::normalize_pixels(batch.images.value().pixels, statistics_);
  const at::Tensor image = parts_->encode_image(pixels, nn::of_part(blocks, "image"));
  const Assigned shown =
      draw_assigned(likeness(image, batch.picture_ids), context.key.fold("assignment"));
  const Texts texts(batch.text.value().ids, batch.text->mask);
  return {{"ta", objectives::cross_entropy(logits(image, texts, shown, blocks), shown.labels,
                                           static_cast<double>(pixels.size(0)))}};
}

std::map<std::string, at::Tensor> AssignmentModel::reference_outputs(
    const std::map<std::string, at::Tensor>& recorded) {
  const ReferenceInputs inputs(
      recorded, {"pixel_values", "input_ids", "attention_mask", "first", "second", "labels"});
  const at::Tensor ids = inputs.ids("input_ids", config_.text.vocab_size);
  const at::Tensor mask = inputs.mask("attention_mask", ids);
  const at::Tensor pixels = inputs.pixels();
  const std::int64_t batch = ids.size(0), side = config_.vision.image_size;
  if (pixels.size(0) != batch || pixels.size(2) != side || pixels.size(3) != side) {
    refuse_reference("expected input.pixel_values of as many pictures as texts, with sides of " +
                     std::to_string(side));
  }
  const Assigned shown{chosen_in(inputs, "first", batch, batch),
                       chosen_in(inputs, "second", batch, batch),
                       chosen_in(inputs, "labels", batch, 3)};
  const at::Tensor image = parts_->encode_image(pixels, {});
  const at::Tensor out = logits(image, Texts(ids, mask), shown, {});
  return {{"logits", out},
          {"loss", at::cross_entropy_loss(out, shown.labels)},
          {"likeness", likeness(image, at::arange(batch, ids.options()))},
          {"state.temp", frozen_->temperature.detach()}};
}

}  // namespace tandem::models::albef
