#include "models/answers.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <vector>

#include "tandem/base/error.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models {
namespace {

constexpr std::int64_t answers_at_once = 512;

Tokens candidates_at(const Tokens& tokens, const at::Tensor& rows) {
  Tokens some;
  some.ids = tokens.ids.index_select(0, rows);
  some.mask = tokens.mask.index_select(0, rows);
  return some;
}

}  // namespace

at::Tensor answer_targets(const Tokens& answers) {
  const std::int64_t length = answers.ids.size(1) - 1;
  TANDEM_CHECK(length >= 1, "[answers] expected answers of two tokens or more");
  if (answers.labels.defined()) return answers.labels.narrow(1, 1, length);
  return answers.ids.masked_fill(answers.mask.eq(0), objectives::ignored).narrow(1, 1, length);
}

at::Tensor answer_losses(const at::Tensor& logits, const at::Tensor& targets, double smoothing) {
  const at::Tensor next = logits.narrow(1, 0, targets.size(1)).to(at::kFloat);
  return at::cross_entropy_loss(next.transpose(1, 2), targets, {}, at::Reduction::None,
                                objectives::ignored, smoothing)
      .sum(1);
}

Ranked rank_answers(const AnswerDecoder& decoder, std::int64_t questions, const Tokens& candidates,
                    std::int64_t k, bool with_first) {
  const at::NoGradGuard no_grad;
  TANDEM_CHECK(candidates.ids.size(1) >= 2, "[rank] expected candidates of two tokens or more");
  const std::int64_t count = std::min(k, candidates.ids.size(0));
  const at::Tensor start = candidates.ids.narrow(0, 0, 1).narrow(1, 0, 1).expand({questions, 1});
  const at::Tensor first =
      at::softmax(decoder.first(start.contiguous()).select(1, 0).to(at::kFloat), 1)
          .index_select(1, candidates.ids.select(1, 1));  // [B, A]
  const auto [likely, index] = first.topk(count, 1);
  const at::Tensor flat = index.reshape({-1});
  const at::Tensor rows =
      at::arange(questions, flat.options()).unsqueeze(1).expand({questions, count}).reshape({-1});
  std::vector<at::Tensor> losses;
  for (std::int64_t at = 0; at < flat.size(0); at += answers_at_once) {
    const std::int64_t some = std::min(answers_at_once, flat.size(0) - at);
    losses.push_back(decoder.losses(candidates_at(candidates, flat.narrow(0, at, some)),
                                    rows.narrow(0, at, some)));
  }
  at::Tensor score = -at::cat(losses).view({questions, count});
  if (with_first) score = score + likely.log();
  const auto [best, order] = score.sort(/*stable=*/true, /*dim=*/1, /*descending=*/true);
  return {index.gather(1, order), best};
}

void add_answers(Batch& batch, const data::Sample& sample,
                 const std::function<Tokens(const std::string&)>& encode, std::int64_t pad_id) {
  std::vector<Batch> rows;
  std::vector<float> weights;
  const auto add = [&](const std::string& text, double weight) {
    if (text.empty() || weight <= 0) return;
    Batch one;
    one.text = encode(text);
    rows.push_back(std::move(one));
    weights.push_back(static_cast<float>(weight));
  };
  for (const data::Answer& answer : sample.answers) add(answer.text, answer.score);
  if (sample.answers.empty()) add(sample.answer, 1);
  if (rows.empty()) {
    throw Error(ErrorKind::data, "[prepare] expected a question with an answer; got none",
                sample.id);
  }
  batch.answers = collate(rows, pad_id).text;
  batch.answer_rows = at::zeros({static_cast<std::int64_t>(rows.size())}, at::kLong);
  batch.answer_weights = at::tensor(weights, at::kFloat);
}

}  // namespace tandem::models
