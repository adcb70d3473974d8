#pragma once
// The vision tower over pictures of any size, laid end to end: patches, blocks whose attention
// stays within a slice of time (or a window of it), and a merger that makes one token of a cell.
// Letters: P patches, D width, d of a head, C = P / merge^2 cells, E width of the language model.

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "models/qwen2_vl/config.h"
#include "tandem/nn/linear.h"
#include "tandem/nn/mask.h"
#include "tandem/nn/rotary.h"
#include "tandem/nn/run_block.h"

namespace tandem::models::qwen2_vl {

// A part whose kind depends on the version: a norm or an MLP. It holds its module.
using Part = std::function<at::Tensor(const at::Tensor&)>;

// norm1, attn and norm2, mlp. Qwen2-VL: LayerNorm and two layers; Qwen2.5-VL: RMSNorm and SwiGLU.
struct VisionBlock : torch::nn::Module {
  Part norm1, norm2, mlp;
  std::shared_ptr<nn::Linear> qkv, proj;
  std::int64_t heads;

  VisionBlock(const VisionConfig& config, Version version);
  // x [P, D], rotary [1, P, d] -> [P, D]
  at::Tensor forward(const at::Tensor& x, const nn::Rotary& rotary, const nn::Mask& mask) const;

 private:
  at::Tensor attend_to(const at::Tensor& x, const nn::Rotary& rotary, const nn::Mask& mask) const;
};

struct Tower : torch::nn::Module {
  at::Tensor patch_weight;  // [D, channels, frames, patch, patch]
  std::vector<std::shared_ptr<VisionBlock>> blocks;
  Part merger_norm;
  std::shared_ptr<nn::Linear> merger0, merger2;

  // out: E.
  Tower(const VisionConfig& config, Version version, std::int64_t out);
  // Patches of all pictures in the order of vision::write_patches, normalised: [P, numbers] ->
  // [C, E], cells in rows.
  at::Tensor forward(const at::Tensor& patches, std::span<const Grid> grids,
                     const nn::BlockContext& context) const;

 private:
  nn::Rotary rotary(std::span<const Grid> grids, const at::Tensor& like) const;  // [1, P, d]

  VisionConfig config_;
  bool windowed_;
};

}  // namespace tandem::models::qwen2_vl
