#include "models/albef/tasks.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/softmax.h>

#include <algorithm>
#include <set>

#include "models/pass.h"
#include "models/reference_inputs.h"
#include "tandem/base/error.h"
#include "tandem/nn/init.h"
#include "tandem/nn/naming.h"
#include "tandem/objectives/classification.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::albef {
namespace {

constexpr double momentum = 0.995;  // fixed in the original's fine-tuning

// (1 - alpha) of the hard targets' and alpha of the copies' cross entropy.
at::Tensor mixed(const at::Tensor& hard, const at::Tensor& soft, double alpha) {
  return soft.defined() ? hard * (1 - alpha) + soft * alpha : hard;
}

// The cross entropy with the copies' answers, for each row.
at::Tensor soft_loss(const at::Tensor& logits, const at::Tensor& copy) {
  return -(at::log_softmax(logits, -1) * at::softmax(copy, -1)).sum(-1);
}

}  // namespace

Asked asked_in(const ReferenceInputs& inputs, const Config& config) {
  const at::Tensor ids = inputs.ids("input_ids", config.text.vocab_size);
  const at::Tensor mask = inputs.mask("attention_mask", ids);
  const at::Tensor pixels = inputs.pixels();
  const std::int64_t pictures = config.the_kind() == Kind::reasoning ? 2 : 1;
  if (pixels.size(0) != pictures * ids.size(0) || pixels.size(2) != config.vision.image_size ||
      pixels.size(3) != config.vision.image_size) {
    refuse_reference("expected input.pixel_values [" + std::to_string(pictures) +
                     " B, 3, H, W] with sides of " + std::to_string(config.vision.image_size));
  }
  const at::Tensor alpha = inputs.optional("alpha");
  if (alpha.defined() && alpha.numel() != 1)
    refuse_reference("expected input.alpha to be a number");
  return {pixels, Texts(ids, mask), alpha.defined() ? alpha.item<double>() : config.alpha};
}

TaskParts::TaskParts(const Config& c, const std::string& suffix) : Encoders(c, suffix) {
  const Kind kind = c.the_kind();
  if (kind == Kind::answering) {
    const nn::BertShape shape = c.decoder_shape();
    const std::string text = "text_decoder" + suffix;
    decoder = nn::register_module_at(*this, text + ".bert", std::make_shared<nn::BertModel>(shape));
    words = nn::register_module_at(*this, text + ".cls.predictions",
                                   std::make_shared<nn::PredictionHead>(
                                       shape.width, shape.vocab_size, shape.eps, shape.activation,
                                       "bias", decoder->embeddings->word_embeddings->weight));
    return;
  }
  if (kind == Kind::reasoning) share_pictures(*bert->encoder, fusion_layer);
  const std::string head = "cls_head" + suffix;
  hidden = nn::register_module_at(*this, head + ".0",
                                  std::make_shared<nn::Linear>(c.text.width, c.text.width));
  classes = nn::register_module_at(*this, head + ".2",
                                   std::make_shared<nn::Linear>(c.text.width, c.classes()));
}

at::Tensor TaskParts::read(const at::Tensor& pixels, const Texts& texts,
                           const nn::BlockContext& context) const {
  const at::Tensor text = encode_text(texts, nn::of_part(context, "text"));
  const std::int64_t count = texts.ids.size(0);
  return fuse(text, texts.mask, encode_image(pixels, nn::of_part(context, "image")).split(count),
              nn::of_part(context, "fusion"));
}

at::Tensor TaskParts::classify(const at::Tensor& rows) const {
  return classes->forward(at::relu(hidden->forward(rows.select(1, 0))));
}

// --- The model as others see it --------------------------------------------------------------

FineTuned::FineTuned(const Config& config, Key init)
    : config_(config), parts_(std::make_shared<TaskParts>(config, "")) {
  if (config.text.vocab_size < 1) {
    throw Error(ErrorKind::config, "[models] expected model.text.vocab_size");
  }
  statistics_ = statistics_of(config.image);
  nn::initialize_normal(parameters(), 0.02, init);
  if (!config.copies()) return;
  copies_ = std::make_shared<TaskParts>(config, "_m");
  momentum_.pair(*parts_->vision, *copies_->vision);
  momentum_.pair(*parts_->bert, *copies_->bert);
  if (parts_->decoder) {
    momentum_.pair(*parts_->decoder, *copies_->decoder);
    momentum_.pair(*parts_->words, *copies_->words);
  } else {
    momentum_.pair(*parts_->hidden, *copies_->hidden);
    momentum_.pair(*parts_->classes, *copies_->classes);
  }
  momentum_.copy();
}

NamedTensors FineTuned::parameters() const { return parameters_of(*parts_); }

NamedTensors FineTuned::buffers() const {
  return copies_ ? parameters_of(*copies_) : NamedTensors();
}

void FineTuned::to(const at::Device& device) {
  parts_->to(device);
  if (copies_) copies_->to(device);
}

void FineTuned::train(bool on) {
  training_ = on;
  parts_->train(on);
  if (copies_) copies_->train(on);
}

void FineTuned::move_copies(const at::Tensor& broken) {
  if (copies_) momentum_.update(momentum, broken);
}

double FineTuned::alpha_at(std::int64_t step) const {
  return training_ ? ramped(config_.alpha, config_.alpha_ramp, step) : config_.alpha;
}

// --- Fine-tuning -----------------------------------------------------------------------------

TaskModel::TaskModel(const Config& config, Key init)
    : FineTuned(config, init), kind_(config.the_kind()) {}

std::vector<std::string> TaskModel::losses_known() const {
  if (kind_ == Kind::entailment) return {"ve"};
  if (kind_ == Kind::reasoning) return {"nlvr2"};
  return {};
}

std::map<std::string, ChanceLevel> TaskModel::chance_levels(std::int64_t) const {
  return {{"ve", chance_among(config_.classes())}, {"nlvr2", chance_among(config_.classes())}};
}

std::map<std::string, double> TaskModel::counts(const Batch& batch, const LossRequest&) const {
  std::map<std::string, double> counts;
  for (const std::string& name : losses_known()) {
    counts[name] = objectives::count_labels(batch.labels);
  }
  return counts;
}

at::Tensor TaskModel::pixels_of(const Batch& batch) const {
  at::Tensor pixels = batch.images.value().pixels;
  if (kind_ == Kind::reasoning) pixels = at::cat({pixels, batch.second.value().pixels});
  return nn::normalize_pixels(pixels, statistics_);
}

LossTerms TaskModel::losses(const Batch& batch, const LossRequest&, const StepContext& context) {
  if (training_ && context.micro_batch == 0) move_copies(context.broken);
  const at::Tensor pixels = pixels_of(batch);
  const Texts texts(batch.text.value().ids, batch.text->mask);
  const at::Tensor logits =
      parts_->classify(parts_->read(pixels, texts, blocks_of(context, "classes")));
  // It is divided by what counts() said: a GPU's labels are not waited for.
  const double count = batch.labels.is_cpu() ? objectives::count_labels(batch.labels) : 1;
  LossTerm term = objectives::cross_entropy(logits, batch.labels, count);
  if (copies_) {
    at::Tensor given;
    {
      const at::NoGradGuard no_grad;
      given = copies_->classify(copies_->read(pixels, texts, blocks_of(context, "classes copy")));
    }
    const double alpha = alpha_at(context.step);
    term.sum = term.sum * (1 - alpha) + objectives::soft_cross_entropy(logits, given).sum * alpha;
  }
  return {{losses_known().front(), term}};
}

Abilities TaskModel::abilities() {
  Abilities can;
  if (kind_ == Kind::entailment || kind_ == Kind::reasoning) {
    can.classify = [this](const Batch& batch) {
      const at::NoGradGuard no_grad;
      const Texts texts(batch.text.value().ids, batch.text->mask);
      return parts_->classify(parts_->read(pixels_of(batch), texts)).to(at::kFloat);
    };
  }
  return can;
}

// --- `tandem verify` -------------------------------------------------------------------------

// Logits, and with labels one training step's loss.
std::map<std::string, at::Tensor> TaskModel::reference_outputs(const Outputs& recorded) {
  const ReferenceInputs inputs(recorded,
                               {"pixel_values", "input_ids", "attention_mask", "labels", "alpha"});
  const Asked q = asked_in(inputs, config_);
  const at::Tensor logits = parts_->classify(parts_->read(q.pixels, q.texts));
  Outputs outputs{{"logits", logits}};
  if (!inputs.has("labels")) return outputs;
  const at::Tensor labels = inputs.required("labels").to(at::kLong).view({-1});
  if (labels.size(0) != logits.size(0) || labels.min().item<std::int64_t>() < 0 ||
      labels.max().item<std::int64_t>() >= logits.size(1)) {
    refuse_reference("expected input.labels to be classes [B]");
  }
  at::Tensor soft;
  if (copies_) {
    move_copies();
    at::Tensor copy;
    {
      const at::NoGradGuard no_grad;
      copy = copies_->classify(copies_->read(q.pixels, q.texts));
    }
    soft = soft_loss(logits, copy).mean();
  }
  outputs["loss"] = mixed(at::cross_entropy_loss(logits, labels), soft, q.alpha);
  if (copies_) add_copies_state(*copies_, outputs);
  return outputs;
}

void add_copies_state(const TaskParts& copies, std::map<std::string, at::Tensor>& outputs) {
  for (const auto& item : copies.named_parameters()) {
    outputs["state." + item.key()] = item.value().detach().clone();
  }
  if (!copies.decoder) return;
  const std::string text = "state.text_decoder_m.";
  outputs[text + "cls.predictions.decoder.weight"] =
      outputs[text + "bert.embeddings.word_embeddings.weight"];
  outputs[text + "cls.predictions.decoder.bias"] = outputs[text + "cls.predictions.bias"];
}

}  // namespace tandem::models::albef
