#pragma once
// Multi-head attention. Source: Vaswani et al. 2017, section 3.2.
//
// Parameters stand apart under the names of Hugging Face's files (q_proj, k_proj, v_proj,
// out_proj); the compute joins the three for one product, and at::scaled_dot_product_attention
// picks the kernel. Rejected: one packed parameter, as every file, rule and optimizer state would
// then need a second name for it; joining copies 3 D^2 numbers a step, under 2 % of the block.

#include <memory>
#include <vector>

#include "tandem/nn/linear.h"
#include "tandem/nn/mask.h"

namespace tandem::nn {

// [B, T, n D] -> n x [B, H, T, D / H], without a copy.
std::vector<at::Tensor> split_heads(const at::Tensor& packed, std::int64_t parts,
                                    std::int64_t heads);

// softmax(q k^t / sqrt(d) + mask) v: q [B, H, T, d], k and v [B, K, S, d] -> [B, T, H d]. K divides
// H: each head of keys and values serves H / K heads of queries that stand together. Samples laid
// end to end (mask.ends) are attended to one by one.
// dropout: of the probabilities; 0 outside training. It draws from torch's generator, which
// run_block has set.
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Mask& mask,
                  double dropout = 0);

struct Attention : torch::nn::Module {
  std::shared_ptr<Linear> q_proj, k_proj, v_proj, out_proj;
  std::int64_t heads;

  // heads must divide width.
  Attention(std::int64_t width, std::int64_t heads);

  at::Tensor forward(const at::Tensor& x, const Mask& mask) const;  // [B, T, D] -> [B, T, D]

  // Queries of `queries` only, keys and values of `x`: [B, Q, D], [B, S, D] -> [B, Q, D].
  // No `causal` here: the rows asked for may stand anywhere.
  at::Tensor forward_queries(const at::Tensor& queries, const at::Tensor& x,
                             const Mask& mask) const;
};

}  // namespace tandem::nn
