#pragma once
// generate() for a decoder that keeps keys and values: each call says which rows of the last one
// go on, and prompts of several lengths are padded on the left.

#include "tandem/models/generate.h"

namespace tandem::models {

struct GenerationStep {
  bool first = false;  // `ids` are the prompts, [B, T]; else a call gives one more token a row
  at::Tensor ids{};    // int64 [N, T]: all tokens so far, the prompt's padding included
  // int64 [N]: which row of the call before each row goes on from (of the first call: which
  // prompt); undefined: each from its own.
  at::Tensor from{};
};

// -> logits of the next token [N, V].
using NextOfStep = std::function<at::Tensor(const GenerationStep&)>;

// prompt: int64 [B, T], padded on the left. Gives what is written behind each prompt, the end mark
// (any of `ends`, where one came) included. max_length and min_length count these tokens alone.
std::vector<std::vector<std::int64_t>> generate_steps(const NextOfStep& next,
                                                      const at::Tensor& prompt,
                                                      const std::vector<std::int64_t>& ends,
                                                      const GenerateOptions& options);

}  // namespace tandem::models
