#pragma once
// A transformer block with the norm before each part: x + Attention(norm x), then x + Mlp(norm x).
// Child names are those of Hugging Face's CLIP and its relatives: layer_norm1, self_attn,
// layer_norm2, mlp.

#include <memory>

#include "tandem/nn/attention.h"
#include "tandem/nn/mlp.h"

namespace tandem::nn {

struct BlockShape {
  std::int64_t width = 0, heads = 0, hidden = 0;
  double eps = 1e-5;
  Activation activation = erf_gelu;
};

struct EncoderBlock : torch::nn::Module {
  std::shared_ptr<Attention> self_attn;
  std::shared_ptr<LayerNorm> layer_norm1, layer_norm2;
  std::shared_ptr<Mlp> mlp;

  explicit EncoderBlock(const BlockShape& shape);

  at::Tensor forward(const at::Tensor& x, const Mask& mask) const;  // [B, T, D] -> [B, T, D]

  // One row of each sample, for the last block of a tower that is pooled at one token: nobody reads
  // the others, so only their keys and values are computed. rows: int64 [B]; the result is
  // forward(x, mask) at those rows, [B, D]. A causal mask hides what stands behind each row.
  at::Tensor forward_rows(const at::Tensor& x, const at::Tensor& rows, const Mask& mask) const;
};

// x [B, T, D] at rows [B] -> [B, D].
at::Tensor take_rows(const at::Tensor& x, const at::Tensor& rows);

}  // namespace tandem::nn
