#pragma once
// The vision transformer with one packed projection for queries, keys and values.
// Source: Dosovitskiy et al. 2021; timm:vision_transformer.py (whose names are timm_vit_names).
// Letters: B pictures, P patches, D width.

#include <memory>
#include <string>
#include <vector>

#include "tandem/nn/attention.h"
#include "tandem/nn/encoder_block.h"
#include "tandem/nn/mlp.h"
#include "tandem/nn/run_block.h"
#include "tandem/nn/vision_input.h"

namespace tandem::nn {

// Where its parts stand in a file, as dotted paths below the tower or below a block.
struct VitNames {
  std::string class_token, positions, patch, blocks, norm;  // of the tower
  std::string norm1, qkv, out, norm2, fc1, fc2;             // of a block
  std::string first_norm{};                                 // of the tower, where there is one
};
const VitNames& timm_vit_names();
const VitNames& hugging_face_vit_names();  // of its towers with one packed projection

struct VitShape {
  BlockShape block{};
  std::int64_t layers = 12, image_size = 224, patch_size = 16;
  double drop_path = 0;  // of the last block; from 0 linearly over the depth
  double norm_eps = 0;   // of the norm behind the blocks; 0: theirs
  bool qkv_bias = true, patch_bias = true;
  bool first_norm = false;  // a norm in front of the blocks, too (CLIP's towers)

  std::int64_t grid() const { return image_size / patch_size; }
};

struct VitBlock : torch::nn::Module {
  std::shared_ptr<LayerNorm> norm1, norm2;
  std::shared_ptr<Linear> qkv, out, fc1, fc2;
  std::int64_t heads;
  Activation activation;
  double path_rate;

  VitBlock(const BlockShape& shape, const VitNames& names, double path_rate = 0,
           bool qkv_bias = true);
  at::Tensor forward(const at::Tensor& x, const Mask& mask) const;  // [B, T, D] -> [B, T, D]
};

struct Vit : torch::nn::Module {
  at::Tensor class_token;  // [1, 1, D]
  at::Tensor positions;    // [1, 1 + P, D]
  std::shared_ptr<PatchEmbed> patch;
  std::vector<std::shared_ptr<VitBlock>> blocks;
  std::shared_ptr<LayerNorm> first_norm, norm;  // the first may be null

  Vit(const VitShape& shape, const VitNames& names);
  // Class token and patches after the last norm: [B, 3, H, W] -> [B, 1 + P, D]. Pictures of another
  // size get the positions of their own grid (bicubic).
  at::Tensor forward(const at::Tensor& pixels, const BlockContext& context) const;
  // The same before the last norm.
  at::Tensor forward_blocks(const at::Tensor& pixels, const BlockContext& context) const;
  // The same after so many blocks, for each of `blocks`; no block behind the last of them runs. 0:
  // before the first.
  std::vector<at::Tensor> states(const at::Tensor& pixels, const std::vector<std::int64_t>& blocks,
                                 const BlockContext& context) const;
};

}  // namespace tandem::nn
