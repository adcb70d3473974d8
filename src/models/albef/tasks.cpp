#include "models/albef/tasks.h"

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
#include "tandem/objectives/token_loss.h"

namespace tandem::models::albef {
namespace {

constexpr double momentum = 0.995;  // fixed in the original's fine-tuning

// Of two layers behind each other the first sees one picture and the second the other, with the
// same keys and values.
void share_pictures(const nn::BertEncoder& encoder, std::int64_t first) {
  for (auto i = static_cast<std::size_t>(first); i + 1 < encoder.layers.size(); i += 2) {
    nn::BertAttention& one = *encoder.layers[i]->crossattention;
    const nn::BertAttention& other = *encoder.layers[i + 1]->crossattention;
    one.key = other.key;
    one.value = other.value;
    torch::nn::Module& self = nn::module_at(one, "self");
    self.replace_module("key", one.key);
    self.replace_module("value", one.value);
  }
}

// (1 - alpha) of the hard targets' and alpha of the copies' cross entropy.
at::Tensor mixed(const at::Tensor& hard, const at::Tensor& soft, double alpha) {
  return soft.defined() ? hard * (1 - alpha) + soft * alpha : hard;
}

// The cross entropy with the copies' answers, for each row.
at::Tensor soft_loss(const at::Tensor& logits, const at::Tensor& copy) {
  return -(at::log_softmax(logits, -1) * at::softmax(copy, -1)).sum(-1);
}

struct Question {
  at::Tensor pixels;
  Texts texts;
  double alpha = 0;
};

Question question_of(const ReferenceInputs& inputs, const Config& config) {
  const at::Tensor ids = inputs.ids("input_ids", config.text.vocab_size);
  const at::Tensor mask = inputs.optional("attention_mask");
  if (mask.defined() && mask.sizes() != ids.sizes()) {
    refuse_reference("expected input.attention_mask of the shape of input.input_ids");
  }
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

}  // namespace

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
  classes = nn::register_module_at(
      *this, head + ".2",
      std::make_shared<nn::Linear>(c.text.width, kind == Kind::reasoning ? 2 : 3));
}

at::Tensor TaskParts::read(const at::Tensor& pixels, const Texts& texts) const {
  const at::Tensor text = encode_text(texts, {});
  const std::int64_t count = texts.ids.size(0);
  return fuse(text, texts.mask, encode_image(pixels, {}).split(count), {});
}

at::Tensor TaskParts::classify(const at::Tensor& rows) const {
  return classes->forward(at::relu(hidden->forward(rows.select(1, 0))));
}

at::Tensor TaskParts::answer(const Texts& answers, const at::Tensor& question,
                             const nn::Mask& question_mask) const {
  const at::Tensor rows = decoder->encoder->forward(decoder->embed(answers.ids, {}), answers.mask,
                                                    question, question_mask, {});
  return words->forward(rows);
}

TaskModel::TaskModel(const Config& config, Key init)
    : config_(config), kind_(config.the_kind()), parts_(std::make_shared<TaskParts>(config, "")) {
  if (config.text.vocab_size < 1) {
    throw Error(ErrorKind::config, "[models] expected model.text.vocab_size");
  }
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

// --- The model as others see it --------------------------------------------------------------

NamedTensors TaskModel::parameters() const { return parameters_of(*parts_); }

NamedTensors TaskModel::buffers() const {
  return copies_ ? parameters_of(*copies_) : NamedTensors();
}

void TaskModel::to(const at::Device& device) {
  parts_->to(device);
  if (copies_) copies_->to(device);
}

void TaskModel::train(bool on) {
  parts_->train(on);
  if (copies_) copies_->train(on);
}

// --- `tandem verify` -------------------------------------------------------------------------

std::map<std::string, at::Tensor> TaskModel::reference_outputs(const Outputs& inputs) {
  return kind_ == Kind::answering ? answers(inputs) : classification(inputs);
}

// Logits, and with labels one training step's loss.
TaskModel::Outputs TaskModel::classification(const Outputs& recorded) {
  const ReferenceInputs inputs(recorded,
                               {"pixel_values", "input_ids", "attention_mask", "labels", "alpha"});
  const Question q = question_of(inputs, config_);
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
  add_state(outputs);
  return outputs;
}

// The weighted sum of the answers' losses over the questions' number; a question has k[i] answers,
// one behind the other.
TaskModel::Outputs TaskModel::answers(const Outputs& recorded) {
  const ReferenceInputs inputs(recorded,
                               {"pixel_values", "input_ids", "attention_mask", "decoder_input_ids",
                                "decoder_attention_mask", "k", "weights", "alpha"});
  const Question q = question_of(inputs, config_);
  const at::Tensor ids = inputs.ids("decoder_input_ids", config_.text.vocab_size);
  const at::Tensor mask = inputs.optional("decoder_attention_mask");
  const at::Tensor k = inputs.required("k").to(at::kLong).view({-1});
  const at::Tensor weights = inputs.required("weights").to(at::kFloat).view({-1});
  if (k.size(0) != q.texts.ids.size(0) || k.min().item<std::int64_t>() < 0 ||
      k.sum().item<std::int64_t>() != ids.size(0) || weights.size(0) != ids.size(0) ||
      (mask.defined() && mask.sizes() != ids.sizes())) {
    refuse_reference("expected input.k answers of each question, with their weights and masks");
  }
  const Texts answers(ids, mask, /*causal=*/true);
  const auto each = [&](const at::Tensor& x) { return x.repeat_interleave(k, 0); };
  const nn::Mask question_mask{q.texts.mask.bias.defined() ? each(q.texts.mask.bias) : at::Tensor(),
                               false};
  const auto logits_of = [&](const TaskParts& parts) {
    return parts.answer(answers, each(parts.read(q.pixels, q.texts)), question_mask);
  };
  const std::int64_t length = ids.size(1) - 1;
  const at::Tensor labels =
      ids.masked_fill(ids.eq(config_.text.pad_id), objectives::ignored).narrow(1, 1, length);
  const at::Tensor logits = logits_of(*parts_), next = logits.narrow(1, 0, length);
  const at::Tensor hard = at::cross_entropy_loss(next.transpose(1, 2), labels, {},
                                                 at::Reduction::None, objectives::ignored)
                              .sum(1);  // [A]
  at::Tensor soft;
  if (copies_) {
    move_copies();
    at::Tensor copy;
    {
      const at::NoGradGuard no_grad;
      copy = logits_of(*copies_).narrow(1, 0, length);
    }
    soft = (soft_loss(next, copy) * labels.ne(objectives::ignored)).sum(1);
  }
  const at::Tensor loss =
      (mixed(hard, soft, q.alpha) * weights).sum() / static_cast<double>(q.texts.ids.size(0));
  Outputs outputs{{"loss", loss}, {"logits", logits}};
  add_state(outputs);
  return outputs;
}

void TaskModel::move_copies() { momentum_.update(momentum); }

// Under every name that a tensor has.
void TaskModel::add_state(Outputs& outputs) const {
  if (!copies_) return;
  for (const auto& item : copies_->named_parameters()) {
    outputs["state." + item.key()] = item.value().detach().clone();
  }
  if (!copies_->decoder) return;
  const std::string text = "state.text_decoder_m.";
  outputs[text + "cls.predictions.decoder.weight"] =
      outputs[text + "bert.embeddings.word_embeddings.weight"];
  outputs[text + "cls.predictions.decoder.bias"] = outputs[text + "cls.predictions.bias"];
}

}  // namespace tandem::models::albef
