#include "models/albef/answering.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/softmax.h>

#include <algorithm>

#include "models/answers.h"
#include "models/pass.h"
#include "models/reference_inputs.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::albef {
namespace {

// The cross entropy with the copies' words, summed over each answer's tokens: [A].
at::Tensor soft_losses(const at::Tensor& logits, const at::Tensor& copy,
                       const at::Tensor& targets) {
  const std::int64_t length = targets.size(1);
  const at::Tensor wanted = at::softmax(copy.narrow(1, 0, length).to(at::kFloat), -1);
  const at::Tensor given = at::log_softmax(logits.narrow(1, 0, length).to(at::kFloat), -1);
  return (-(given * wanted).sum(-1) * targets.ne(objectives::ignored)).sum(1);
}

}  // namespace

Abilities AnswerModel::abilities() {
  Abilities can;
  can.generate = [this](const Batch& prompts, const GenerateOptions& options) {
    return write(prompts, options);
  };
  can.rank = [this](const Batch& prompts, const Tokens& candidates, std::int64_t k) {
    return rank(prompts, candidates, k);
  };
  return can;
}

// --- Question and answers --------------------------------------------------------------------

AnswerModel::Question AnswerModel::read(const TaskParts& parts, const at::Tensor& pixels,
                                        const Texts& texts, const nn::BlockContext& context) const {
  return {parts.read(pixels, texts, context), texts.mask};
}

at::Tensor AnswerModel::decode(const TaskParts& parts, const Texts& answers,
                               const Question& question, const at::Tensor& rows,
                               const nn::BlockContext& context) const {
  const at::Tensor& bias = question.mask.bias;
  const nn::Mask mask{bias.defined() ? bias.index_select(0, rows) : at::Tensor(), false};
  const at::Tensor read =
      parts.decoder->encoder->forward(parts.decoder->embed(answers.ids, context), answers.mask,
                                      question.rows.index_select(0, rows), mask, context);
  return parts.words->forward(read);
}

at::Tensor AnswerModel::weigh(const at::Tensor& pixels, const Texts& questions,
                              const Tokens& answers, const at::Tensor& rows, double alpha,
                              const StepContext& context, at::Tensor* logits) const {
  const Texts texts(answers.ids, answers.mask, /*causal=*/true);
  const at::Tensor targets = answer_targets(answers);
  const auto logits_of = [&](const TaskParts& parts, const char* question, const char* answer) {
    const Question asked = read(parts, pixels, questions, blocks_of(context, question));
    return decode(parts, texts, asked, rows, blocks_of(context, answer));
  };
  const at::Tensor own = logits_of(*parts_, "question", "answer");
  if (logits != nullptr) *logits = own;
  const at::Tensor hard = answer_losses(own, targets, 0);
  if (!copies_) return hard;
  at::Tensor copied;
  {
    const at::NoGradGuard no_grad;
    copied = logits_of(*copies_, "question copy", "answer copy");
  }
  return hard * (1 - alpha) + soft_losses(own, copied, targets) * alpha;
}

// --- Fine-tuning: the weighted sum of the answers' losses over the number of questions ---------

std::map<std::string, double> AnswerModel::counts(const Batch& batch, const LossRequest&) const {
  return {{"vqa", static_cast<double>(batch.text.value().ids.size(0))}};
}

LossTerms AnswerModel::losses(const Batch& batch, const LossRequest&, const StepContext& context) {
  if (training_ && context.micro_batch == 0) move_copies(context.broken);
  const Texts questions(batch.text.value().ids, batch.text->mask);
  const at::Tensor pixels = nn::normalize_pixels(batch.images.value().pixels, statistics_);
  const at::Tensor each = weigh(pixels, questions, batch.answers.value(), batch.answer_rows,
                                alpha_at(context.step), context);
  return {
      {"vqa", {(each * batch.answer_weights).sum(), static_cast<double>(questions.ids.size(0))}}};
}

// --- Answering -------------------------------------------------------------------------------

Ranked AnswerModel::rank(const Batch& prompts, const Tokens& candidates, std::int64_t k) const {
  const at::NoGradGuard no_grad;
  const Texts texts(prompts.text.value().ids, prompts.text->mask);
  const at::Tensor pixels = nn::normalize_pixels(prompts.images.value().pixels, statistics_);
  const Question question = read(*parts_, pixels, texts, {});
  AnswerDecoder decoder;
  const at::Tensor all = at::arange(texts.ids.size(0), texts.ids.options());
  decoder.first = [&](const at::Tensor& ids) {
    return decode(*parts_, Texts(ids, {}, /*causal=*/true), question, all, {});
  };
  decoder.losses = [&](const Tokens& answers, const at::Tensor& rows) {
    const Texts written(answers.ids, answers.mask, /*causal=*/true);
    return answer_losses(decode(*parts_, written, question, rows, {}), answer_targets(answers), 0);
  };
  return rank_answers(decoder, texts.ids.size(0), candidates, k, /*with_first=*/true);
}

// Behind [CLS]; the released code only ranks.
std::vector<std::vector<std::int64_t>> AnswerModel::write(const Batch& prompts,
                                                          const GenerateOptions& options) const {
  const at::NoGradGuard no_grad;
  const Texts texts(prompts.text.value().ids, prompts.text->mask);
  const at::Tensor pixels = nn::normalize_pixels(prompts.images.value().pixels, statistics_);
  const Question question = read(*parts_, pixels, texts, {});
  const NextLogits next = [&](const at::Tensor& ids, const at::Tensor& rows) {
    const at::Tensor logits = decode(*parts_, Texts(ids, {}, /*causal=*/true), question, rows, {});
    return logits.select(1, ids.size(1) - 1);
  };
  GenerateOptions bounded = options;
  bounded.max_length = std::min(options.max_length, config_.text.positions);
  const at::Tensor begin =
      at::full({texts.ids.size(0), 1}, config_.text.cls_id, texts.ids.options());
  auto answers = generate(next, begin, config_.text.sep_id, bounded);
  for (auto& answer : answers) answer.erase(answer.begin());
  return answers;
}

// --- `tandem verify` -------------------------------------------------------------------------

// A question has k[i] answers, one behind the other.
AnswerModel::Outputs AnswerModel::reference_outputs(const Outputs& recorded) {
  const ReferenceInputs inputs(recorded,
                               {"pixel_values", "input_ids", "attention_mask", "decoder_input_ids",
                                "decoder_attention_mask", "k", "weights", "alpha"});
  const Asked asked = asked_in(inputs, config_);
  Tokens answers;
  answers.ids = inputs.ids("decoder_input_ids", config_.text.vocab_size);
  const at::Tensor given = inputs.optional("decoder_attention_mask");
  const at::Tensor k = inputs.required("k").to(at::kLong).view({-1});
  const at::Tensor weights = inputs.required("weights").to(at::kFloat).view({-1});
  const std::int64_t count = asked.texts.ids.size(0), all = answers.ids.size(0);
  if (k.size(0) != count || k.min().item<std::int64_t>() < 0 ||
      k.sum().item<std::int64_t>() != all || weights.size(0) != all ||
      (given.defined() && given.sizes() != answers.ids.sizes()) || answers.ids.size(1) < 2) {
    refuse_reference("expected input.k answers of each question, with their weights and masks");
  }
  answers.mask = given;
  answers.labels =
      answers.ids.masked_fill(answers.ids.eq(config_.text.pad_id), objectives::ignored);
  const at::Tensor rows = at::arange(count, k.options()).repeat_interleave(k, 0);
  move_copies();
  at::Tensor logits;
  const at::Tensor each = weigh(asked.pixels, asked.texts, answers, rows, asked.alpha, {}, &logits);
  Outputs outputs{{"loss", (each * weights).sum() / static_cast<double>(count)},
                  {"logits", logits}};
  if (copies_) add_copies_state(*copies_, outputs);
  return outputs;
}

}  // namespace tandem::models::albef
