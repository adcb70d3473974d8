#pragma once
// Pictures to tokens: a vision transformer without a class token, and one layer of cross-attention
// from a fixed number of queries to its patches. Source: the hub's visual.py. Letters: N pictures,
// P patches, Q queries, V the tower's width, D the language model's.

#include <memory>
#include <vector>

#include "models/qwen_vl/config.h"
#include "tandem/nn/linear.h"
#include "tandem/nn/resampler.h"
#include "tandem/nn/run_block.h"
#include "tandem/nn/vision_input.h"

namespace tandem::models::qwen_vl {

// x + attention(ln_1 x), then + mlp(ln_2 x). The rows of in_proj are laid [heads, (q, k, v), d].
struct VisionBlock : torch::nn::Module {
  std::shared_ptr<nn::LayerNorm> ln_1, ln_2;
  std::shared_ptr<nn::Linear> in_proj, out_proj, c_fc, c_proj;
  std::int64_t heads;

  explicit VisionBlock(const VisionConfig& config);
  at::Tensor forward(const at::Tensor& x) const;  // [N, P, V] -> [N, P, V]
};

struct VisionTower : torch::nn::Module {
  std::shared_ptr<nn::PatchEmbed> conv1;
  at::Tensor positional_embedding;  // [256, V], resized to the picture's grid
  std::shared_ptr<nn::LayerNorm> ln_pre, ln_post;
  std::vector<std::shared_ptr<VisionBlock>> blocks;
  std::shared_ptr<nn::Resampler> attn_pool;
  at::Tensor proj;  // [D, D], applied from the right

  explicit VisionTower(const Config& config);
  at::Tensor patches(const at::Tensor& pixels, const nn::BlockContext& context) const;  // [N, P, V]
  at::Tensor resampled(const at::Tensor& patches) const;  // [N, P, V] -> [N, Q, D]
  at::Tensor forward(const at::Tensor& pixels, const nn::BlockContext& context) const;  // [N, Q, D]
};

}  // namespace tandem::models::qwen_vl
