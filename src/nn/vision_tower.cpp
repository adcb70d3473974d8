#include "tandem/nn/vision_tower.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <string>

#include "tandem/base/error.h"

namespace tandem::nn {

EncoderStack::EncoderStack(const BlockShape& shape, std::int64_t count) {
  const auto list = register_module("layers", std::make_shared<torch::nn::Module>());
  for (std::int64_t i = 0; i < count; ++i) {
    layers.push_back(
        list->register_module(std::to_string(i), std::make_shared<EncoderBlock>(shape)));
  }
}

at::Tensor EncoderStack::pooled(at::Tensor x, const at::Tensor& rows, const Mask& mask,
                                const BlockContext& context) const {
  for (std::size_t i = 0; i + 1 < layers.size(); ++i) {
    const auto block = [layer = layers[i], mask](const std::vector<at::Tensor>& in) {
      return layer->forward(in[0], mask);
    };
    x = run_block(*layers[i], block, {x}, of_block(context, i));
  }
  const auto last = [layer = layers.back(), mask](const std::vector<at::Tensor>& in) {
    return layer->forward_rows(in[0], in[1], mask);
  };
  return run_block(*layers.back(), last, {x, rows}, of_block(context, layers.size() - 1));
}

std::vector<at::Tensor> EncoderStack::states(at::Tensor x, const Mask& mask,
                                             const BlockContext& context, std::int64_t last) const {
  std::vector<at::Tensor> states{x};
  for (std::size_t i = 0; i < static_cast<std::size_t>(last); ++i) {
    const auto block = [layer = layers[i], mask](const std::vector<at::Tensor>& in) {
      return layer->forward(in[0], mask);
    };
    x = run_block(*layers[i], block, {x}, of_block(context, i));
    states.push_back(x);
  }
  return states;
}

at::Tensor EncoderStack::forward(const at::Tensor& x, const Mask& mask) const {
  return states(x, mask, {}, static_cast<std::int64_t>(layers.size())).back();
}

VisionEmbeddings::VisionEmbeddings(const VitShape& s) {
  const std::int64_t width = s.block.width;
  class_embedding = register_parameter("class_embedding", make_parameter({width}));
  patch_embedding = register_module(
      "patch_embedding", std::make_shared<PatchEmbed>(s.patch_size, width, /*bias=*/false));
  position_embedding = register_module("position_embedding",
                                       std::make_shared<Embedding>(1 + s.grid() * s.grid(), width));
}

at::Tensor VisionEmbeddings::forward(const at::Tensor& pixels) const {
  const at::Tensor patches = patch_embedding->forward(pixels);  // [B, P, D]
  const at::Tensor first = class_embedding.expand({pixels.size(0), 1, -1});
  const at::Tensor positions =
      interpolate_positions(position_embedding->weight, 1, pixels.size(2) / patch_embedding->patch,
                            pixels.size(3) / patch_embedding->patch);
  return at::cat({first, patches}, 1) + positions;  // [B, 1 + P, D]
}

VisionTower::VisionTower(const VitShape& s) {
  embeddings = register_module("embeddings", std::make_shared<VisionEmbeddings>(s));
  pre_layrnorm =
      register_module("pre_layrnorm", std::make_shared<LayerNorm>(s.block.width, s.block.eps));
  encoder = register_module("encoder", std::make_shared<EncoderStack>(s.block, s.layers));
  post_layernorm =
      register_module("post_layernorm", std::make_shared<LayerNorm>(s.block.width, s.block.eps));
}

at::Tensor VisionTower::pooled(const at::Tensor& pixels, const BlockContext& context) const {
  const at::Tensor x = pre_layrnorm->forward(embeddings->forward(pixels));
  const at::Tensor first = at::zeros({x.size(0)}, x.options().dtype(at::kLong));
  return post_layernorm->forward(encoder->pooled(x, first, no_mask(), context));
}

at::Tensor VisionTower::hidden(const at::Tensor& pixels) const {
  return encoder->forward(pre_layrnorm->forward(embeddings->forward(pixels)), no_mask());
}

std::vector<at::Tensor> VisionTower::states(const at::Tensor& pixels,
                                            const std::vector<std::int64_t>& blocks,
                                            const BlockContext& context) const {
  TANDEM_CHECK(!blocks.empty(), "[vision_tower] expected a block to read");
  const auto all = encoder->states(pre_layrnorm->forward(embeddings->forward(pixels)), no_mask(),
                                   context, *std::max_element(blocks.begin(), blocks.end()));
  std::vector<at::Tensor> chosen;
  chosen.reserve(blocks.size());
  for (const std::int64_t block : blocks) chosen.push_back(all.at(static_cast<std::size_t>(block)));
  return chosen;
}

}  // namespace tandem::nn
