#include "tandem/nn/vit.h"

#include <ATen/ops/cat.h>

#include <algorithm>

#include "tandem/base/error.h"
#include "tandem/nn/dropout.h"
#include "tandem/nn/naming.h"

namespace tandem::nn {

const VitNames& timm_vit_names() {
  static const VitNames names{"cls_token", "pos_embed", "patch_embed.proj", "blocks",
                              "norm",      "norm1",     "attn.qkv",         "attn.proj",
                              "norm2",     "mlp.fc1",   "mlp.fc2"};
  return names;
}

const VitNames& hugging_face_vit_names() {
  static const VitNames names{"embeddings.class_embedding",
                              "embeddings.position_embedding",
                              "embeddings.patch_embedding",
                              "encoder.layers",
                              "post_layernorm",
                              "layer_norm1",
                              "self_attn.qkv",
                              "self_attn.projection",
                              "layer_norm2",
                              "mlp.fc1",
                              "mlp.fc2",
                              "pre_layernorm"};
  return names;
}

VitBlock::VitBlock(const BlockShape& s, const VitNames& names, double path_rate, bool qkv_bias)
    : heads(s.heads), activation(s.activation), path_rate(path_rate) {
  TANDEM_CHECK(heads > 0 && s.width % heads == 0,
               "[attention] expected heads that divide the width");
  norm1 = register_module_at(*this, names.norm1, std::make_shared<LayerNorm>(s.width, s.eps));
  qkv = register_module_at(*this, names.qkv,
                           std::make_shared<Linear>(s.width, 3 * s.width, qkv_bias));
  out = register_module_at(*this, names.out, std::make_shared<Linear>(s.width, s.width));
  norm2 = register_module_at(*this, names.norm2, std::make_shared<LayerNorm>(s.width, s.eps));
  fc1 = register_module_at(*this, names.fc1, std::make_shared<Linear>(s.width, s.hidden));
  fc2 = register_module_at(*this, names.fc2, std::make_shared<Linear>(s.hidden, s.width));
}

at::Tensor VitBlock::forward(const at::Tensor& x, const Mask& mask) const {
  const auto parts = split_heads(qkv->forward(norm1->forward(x)), 3, heads);
  const at::Tensor seen = out->forward(attend(parts[0], parts[1], parts[2], mask));
  const at::Tensor y = x + drop_path(seen, path_rate, is_training());
  const at::Tensor hidden = fc2->forward(activation(fc1->forward(norm2->forward(y))));
  return y + drop_path(hidden, path_rate, is_training());
}

Vit::Vit(const VitShape& s, const VitNames& names) {
  const std::int64_t width = s.block.width, cells = s.grid() * s.grid();
  class_token = register_parameter_at(*this, names.class_token, make_parameter({1, 1, width}));
  positions = register_parameter_at(*this, names.positions, make_parameter({1, 1 + cells, width}));
  patch = register_module_at(*this, names.patch,
                             std::make_shared<PatchEmbed>(s.patch_size, width, s.patch_bias));
  if (s.first_norm) {
    first_norm = register_module_at(*this, names.first_norm,
                                    std::make_shared<LayerNorm>(width, s.block.eps));
  }
  for (std::int64_t i = 0; i < s.layers; ++i) {
    const double rate =
        s.layers > 1 ? s.drop_path * static_cast<double>(i) / static_cast<double>(s.layers - 1) : 0;
    blocks.push_back(
        register_module_at(*this, names.blocks + "." + std::to_string(i),
                           std::make_shared<VitBlock>(s.block, names, rate, s.qkv_bias)));
  }
  const double eps = s.norm_eps > 0 ? s.norm_eps : s.block.eps;
  norm = register_module_at(*this, names.norm, std::make_shared<LayerNorm>(width, eps));
}

at::Tensor Vit::forward(const at::Tensor& pixels, const BlockContext& context) const {
  return norm->forward(forward_blocks(pixels, context));
}

at::Tensor Vit::forward_blocks(const at::Tensor& pixels, const BlockContext& context) const {
  return states(pixels, {static_cast<std::int64_t>(blocks.size())}, context)[0];
}

std::vector<at::Tensor> Vit::states(const at::Tensor& pixels,
                                    const std::vector<std::int64_t>& after,
                                    const BlockContext& context) const {
  TANDEM_CHECK(!after.empty(), "[vit] expected a block to read");
  const auto last = static_cast<std::size_t>(*std::max_element(after.begin(), after.end()));
  TANDEM_CHECK(last <= blocks.size(), "[vit] expected a block of the tower");
  const at::Tensor first = class_token.expand({pixels.size(0), 1, -1});
  const at::Tensor rows = interpolate_positions(
      positions.squeeze(0), 1, pixels.size(2) / patch->patch, pixels.size(3) / patch->patch);
  at::Tensor x = at::cat({first, patch->forward(pixels)}, 1) + rows;  // [B, 1 + P, D]
  if (first_norm) x = first_norm->forward(x);
  std::vector<at::Tensor> seen(after.size());
  const auto keep = [&](std::size_t done) {
    for (std::size_t j = 0; j < after.size(); ++j) {
      if (after[j] == static_cast<std::int64_t>(done)) seen[j] = x;
    }
  };
  keep(0);
  for (std::size_t i = 0; i < last; ++i) {
    const auto block = [layer = blocks[i]](const std::vector<at::Tensor>& in) {
      return layer->forward(in[0], no_mask());
    };
    x = run_block(*blocks[i], block, {x}, of_block(context, i));
    keep(i + 1);
  }
  return seen;
}

}  // namespace tandem::nn
