#pragma once
// The vision transformer with a norm before its first block and q, k, v apart, under the names that
// the files of OpenAI's contrastive model have at Hugging Face (pre_layrnorm is spelt so).
// Source: Radford et al. 2021, 2.4; transformers:modeling_clip.py.
// Letters: B pictures, P patches, D width.

#include <memory>
#include <vector>

#include "tandem/nn/encoder_block.h"
#include "tandem/nn/run_block.h"
#include "tandem/nn/vision_input.h"
#include "tandem/nn/vit.h"

namespace tandem::nn {

// "layers.N".
struct EncoderStack : torch::nn::Module {
  std::vector<std::shared_ptr<EncoderBlock>> layers;

  EncoderStack(const BlockShape& shape, std::int64_t count);
  // All blocks, the last one at one row of each sample: [B, T, D], rows [B] -> [B, D].
  at::Tensor pooled(at::Tensor x, const at::Tensor& rows, const Mask& mask,
                    const BlockContext& context) const;
  // What stands before the first `last` blocks and after each of them: last + 1 of [B, T, D].
  std::vector<at::Tensor> states(at::Tensor x, const Mask& mask, const BlockContext& context,
                                 std::int64_t last) const;
  // All rows of all blocks.
  at::Tensor forward(const at::Tensor& x, const Mask& mask) const;
};

struct VisionEmbeddings : torch::nn::Module {
  at::Tensor class_embedding;  // [D]
  std::shared_ptr<PatchEmbed> patch_embedding;
  std::shared_ptr<Embedding> position_embedding;  // [1 + P, D]

  explicit VisionEmbeddings(const VitShape& shape);
  // [B, 3, H, W] -> [B, 1 + P, D]; pictures of another size than the shape's get positions of their
  // own grid.
  at::Tensor forward(const at::Tensor& pixels) const;
};

struct VisionTower : torch::nn::Module {
  std::shared_ptr<VisionEmbeddings> embeddings;
  std::shared_ptr<LayerNorm> pre_layrnorm, post_layernorm;
  std::shared_ptr<EncoderStack> encoder;

  explicit VisionTower(const VitShape& shape);
  at::Tensor pooled(const at::Tensor& pixels, const BlockContext& context) const;  // [B, D], normed
  at::Tensor hidden(const at::Tensor& pixels) const;  // [B, 1 + P, D], without post_layernorm
  // Rows after the first `block` blocks, for each of `blocks`; no block behind the last of them
  // runs. 0: before the first.
  std::vector<at::Tensor> states(const at::Tensor& pixels, const std::vector<std::int64_t>& blocks,
                                 const BlockContext& context) const;
};

}  // namespace tandem::nn
