#pragma once
// Texts from a decoder, token by token: the likeliest, the best of several beams, or drawn.
// The rules are those of transformers 5.17 (generation/utils.py, logits_process.py), so that the
// same logits give the same ids; draws are keyed by (row, position).
//
// Non-goals here: the decoder's cache of keys and values, prompts of several lengths in one call.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "tandem/base/random.h"

namespace tandem::models {

struct GenerateOptions {
  std::int64_t max_length = 30, min_length = 0;  // tokens, the prompt's included
  std::int64_t beams = 1;
  bool sample = false;                // draw (without beams)
  double temperature = 1, top_p = 1;  // of a draw; top_p: the likeliest that make up this share
  std::int64_t top_k = 0;             // of a draw: the k likeliest; 0: all
  double repetition_penalty = 1;      // tokens that are there already become less likely
  double length_penalty = 1;          // beams: the sum of logs is divided by length^this
  Key key{0};                         // of the draws, with the row's number in the batch
  std::vector<Key> keys{};            // of each row's draws, instead; empty: none
};

// `options` with a key of its own for each row's draws: of its place in the source, whatever batch
// it stands in.
GenerateOptions keyed_by(GenerateOptions options, const std::vector<std::int64_t>& places);

// ids [N, T] so far, of which row i goes on for prompt rows[i] (int64 [N]) -> logits of the next
// token [N, V].
using NextLogits = std::function<at::Tensor(const at::Tensor& ids, const at::Tensor& rows)>;

// prompt: int64 [B, T], without padding. Whole texts, prompt and end mark (`end`, where one came)
// included.
std::vector<std::vector<std::int64_t>> generate(const NextLogits& next, const at::Tensor& prompt,
                                                std::int64_t end, const GenerateOptions& options);

}  // namespace tandem::models
