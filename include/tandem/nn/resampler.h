#pragma once
// One layer of cross-attention from a fixed number of queries, a square, to the patches of a
// picture, whatever their number: they stand in a square, too. Keys know where they stand, values
// do not. Source: Bai et al. 2023 (arXiv:2308.12966), 2.1; the hub's Qwen-VL, visual.py, whose
// names the children have. Letters: N pictures, P patches, Q queries, V width of the patches, D of
// what comes out.

#include <memory>

#include "tandem/nn/linear.h"

namespace tandem::nn {

struct ResamplerShape {
  std::int64_t in = 0, width = 0;  // V, D; D is a multiple of 4
  std::int64_t grid = 16;          // queries a side of their square
  std::int64_t heads = 1;
};

struct Resampler : torch::nn::Module {
  at::Tensor query;                         // [Q, D]
  at::Tensor pos_embed;                     // [Q, D], sines that are never trained
  std::shared_ptr<Linear> kv_proj;          // null where V = D
  at::Tensor in_proj_weight, in_proj_bias;  // [3 D, D], [3 D]: q, k, v
  std::shared_ptr<Linear> out_proj;
  std::shared_ptr<LayerNorm> ln_q, ln_kv;
  std::int64_t heads;

  explicit Resampler(const ResamplerShape& shape);
  // [N, P, V] -> [N, Q, D]. Throws Error(data) where P is no square.
  at::Tensor forward(const at::Tensor& patches) const;
};

// [side^2, width]: half of the numbers say the column, half the row; of each half, the sines stand
// before the cosines.
at::Tensor sine_positions(std::int64_t width, std::int64_t side);

}  // namespace tandem::nn
