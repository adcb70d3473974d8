// Questions about a picture: the grounded encoder reads the question, and a decoder of its own,
// which looks at the question's rows, writes the answer or weighs given ones.
// Source: Li et al. 2022, section 5.3; salesforce/BLIP:models/blip_vqa.py.
// A answers, T' tokens of an answer.

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>

#include <algorithm>

#include "models/answers.h"
#include "models/blip/model.h"
#include "models/pass.h"
#include "tandem/base/error.h"

namespace tandem::models::blip {

BlipModel::Question BlipModel::read_question(const Batch& batch, const StepContext& context) const {
  const Tokens& text = batch.text.value();
  const at::Tensor rows = picture_rows(batch.images.value().pixels, blocks_of(context, "image"));
  const nn::Mask mask = text.mask.defined() ? nn::padding_mask(text.mask) : nn::no_mask();
  return {blip_->encoder->forward(with_first(text.ids, config_.text.enc_id), mask, rows,
                                  nn::no_mask(), blocks_of(context, "question")),
          text.mask};
}

// [A, T'] -> [A, T', V]. The question's padding is hidden from the answer, as in the original.
at::Tensor BlipModel::answer_logits(const Texts& answers, const Question& question,
                                    const at::Tensor& rows, bool hide,
                                    const nn::BlockContext& context) const {
  const nn::Mask own =
      answers.mask.defined() ? nn::causal_padding_mask(answers.mask) : nn::causal_mask();
  const nn::Mask asked = hide && question.mask.defined()
                             ? nn::padding_mask(question.mask.index_select(0, rows))
                             : nn::no_mask();
  const at::Tensor hidden =
      blip_->decoder->forward(with_first(answers.ids, config_.text.bos_id), own,
                              question.rows.index_select(0, rows), asked, context);
  return blip_->lm_head->forward(hidden);
}

// The weighted sum of the answers' losses, each the sum over its tokens; the loop divides by the
// number of questions.
LossTerms BlipModel::answer_losses(const Batch& batch, const StepContext& context) const {
  const Question question = read_question(batch, context);
  const Tokens& answers = batch.answers.value();
  const at::Tensor logits = answer_logits({answers.ids, answers.mask}, question, batch.answer_rows,
                                          /*hide=*/true, blocks_of(context, "answer"));
  const at::Tensor each =
      models::answer_losses(logits, answer_targets(answers), config_.text.label_smoothing);
  return {
      {"vqa", {(each * batch.answer_weights).sum(), static_cast<double>(question.rows.size(0))}}};
}

// By the smoothed loss of the whole answer, as released.
Ranked BlipModel::rank(const Batch& prompts, const Tokens& candidates, std::int64_t k) const {
  const at::NoGradGuard no_grad;
  const Question question = read_question(prompts, {});
  const std::int64_t count = question.rows.size(0);
  const at::Tensor all = at::arange(count, prompts.text->ids.options());
  AnswerDecoder decoder;
  decoder.first = [&](const at::Tensor& ids) {
    return answer_logits({ids, {}}, question, all, /*hide=*/true, {});
  };
  decoder.losses = [&](const Tokens& answers, const at::Tensor& rows) {
    return models::answer_losses(
        answer_logits({answers.ids, answers.mask}, question, rows, /*hide=*/true, {}),
        answer_targets(answers), config_.text.label_smoothing);
  };
  return rank_answers(decoder, count, candidates, k, /*with_first=*/false);
}

// Where the answer is written, the released code shows the decoder the question's padding, too.
std::vector<std::vector<std::int64_t>> BlipModel::write_answers(
    const Batch& prompts, const GenerateOptions& options) const {
  const at::NoGradGuard no_grad;
  const Question question = read_question(prompts, {});
  const at::Tensor begin =
      at::full({question.rows.size(0), 1}, config_.text.bos_id, prompts.text->ids.options());
  const NextLogits next = [&](const at::Tensor& ids, const at::Tensor& rows) {
    return answer_logits({ids, {}}, question, rows, /*hide=*/false, {}).select(1, ids.size(1) - 1);
  };
  GenerateOptions bounded = options;
  bounded.max_length = std::min(options.max_length, config_.text.positions);
  auto answers = generate(next, begin, config_.text.sep_id, bounded);
  for (auto& answer : answers) answer.erase(answer.begin());
  return answers;
}

}  // namespace tandem::models::blip
