#pragma once
// Rotary positions: pairs of numbers of queries and keys are turned by an angle that grows with the
// position. Source: Su et al. 2021 (RoFormer); transformers:modeling_rope_utils.py; with three
// positions a token (time, height, width) Wang et al. 2024 (Qwen2-VL, M-RoPE).
//
// The pairs are (i, i + d / 2), as in every file that transformers writes ("half split").
// Letters: B samples, T tokens, H heads, d numbers of a head.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace tandem::nn {

// How frequencies are changed for texts longer than those trained on; by transformers' names.
struct RopeScaling {
  std::string type = "default";  // default, linear, dynamic, llama3, yarn
  double factor = 1;
  std::int64_t trained = 0;              // positions at first: original_max_position_embeddings, or
                                         // of the config (dynamic)
  double low_freq = 1, high_freq = 4;    // llama3
  double beta_fast = 32, beta_slow = 1;  // yarn
  double attention = 0;               // yarn: cosine and sine are multiplied by it; 0: from factor
  double mscale = 0, mscale_all = 0;  // yarn
  bool truncate = true;               // yarn
};

struct RopeShape {
  std::int64_t head_dim = 128;
  double theta = 10000;
  // M-RoPE: how many of the d / 2 frequencies turn with time, height and width; empty: one position
  // a token.
  std::vector<std::int64_t> sections{};
  RopeScaling scaling{};
};

struct Rotary {
  at::Tensor cos, sin;  // [1 or B, T, d] fp32
  // Queries are multiplied by it after the turn, [1 or B, T, 1]; undefined: they are not.
  at::Tensor query_scale{};
};

// Frequencies fp32 [d / 2] on the CPU. length: tokens of the longest sample (dynamic; 0: none).
at::Tensor rope_frequencies(const RopeShape& shape, std::int64_t length = 0);

// positions: int64 [1 or B, T], or [3, 1 or B, T] with sections. length: as above; without it
// `dynamic` is taken as for a short text.
Rotary make_rotary(const RopeShape& shape, const at::Tensor& positions, std::int64_t length = 0);

// Angles [..., T, d / 2] of one's own making, each used for both halves (two-dimensional rotary of
// a vision tower).
Rotary rotary_of(const at::Tensor& angles, double attention = 1);

// x [B, H, T, d] -> the same, of x's type.
at::Tensor rotate(const at::Tensor& x, const Rotary& rotary);
// The same with ATen's operations on any device: the twin that the kernel is tested against.
at::Tensor rotate_aten(const at::Tensor& x, const Rotary& rotary);
// Queries (`query_scale` too) and keys of the caller's own making, which nobody reads afterwards:
// on a GPU they are turned in place where no gradient is recorded.
std::pair<at::Tensor, at::Tensor> rotate_both(const at::Tensor& q, const at::Tensor& k,
                                              const Rotary& rotary);

}  // namespace tandem::nn
