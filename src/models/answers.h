#pragma once
// What families with a decoder of answers share: the losses of whole answers, their ranking, and a
// sample's answers as tokens.
// Letters: B questions, A answers or candidates, T tokens of an answer, V vocabulary.

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

#include "tandem/data/sample.h"
#include "tandem/models/model.h"

namespace tandem::models {

// The labels, or else the tokens with -100 where padding is, of all but the first position:
// [A, T] -> [A, T - 1].
at::Tensor answer_targets(const Tokens& answers);

// The sum of each answer's token losses, [A] in fp32: row t of logits [A, T, V] tells token t + 1.
at::Tensor answer_losses(const at::Tensor& logits, const at::Tensor& targets, double smoothing);

struct AnswerDecoder {
  std::function<at::Tensor(const at::Tensor& ids)> first;  // int64 [B, 1] -> logits [B, 1, V]
  // Loss of each of N answers to the questions `rows` (int64 [N]): -> [N].
  std::function<at::Tensor(const Tokens& answers, const at::Tensor& rows)> losses;
};

// Abilities::rank: of each question's k candidates with the likeliest first token behind the start
// mark, the loss of the whole. with_first: log p of that token is added once more (ALBEF).
Ranked rank_answers(const AnswerDecoder& decoder, std::int64_t questions, const Tokens& candidates,
                    std::int64_t k, bool with_first);

// Into a Batch of one: the sample's answers, each with its score as weight. Those of score 0 are
// left out; throws Error(data) where none is left.
void add_answers(Batch& batch, const data::Sample& sample,
                 const std::function<Tokens(const std::string&)>& encode, std::int64_t pad_id);

}  // namespace tandem::models
