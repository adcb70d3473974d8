#include "models/qwen_vl/vision.h"

#include <ATen/ops/matmul.h>

#include <string>

#include "tandem/nn/attention.h"
#include "tandem/nn/mlp.h"
#include "tandem/nn/naming.h"

namespace tandem::models::qwen_vl {
namespace {

constexpr double norm_eps = 1e-6;
constexpr std::int64_t trained_cells = 256;  // rows of positional_embedding, whatever the pictures

}  // namespace

VisionBlock::VisionBlock(const VisionConfig& c) : heads(c.heads) {
  const auto norm = [&] { return std::make_shared<nn::LayerNorm>(c.width, norm_eps); };
  const auto linear = [&](const char* path, std::int64_t in, std::int64_t out) {
    return nn::register_module_at(*this, path, std::make_shared<nn::Linear>(in, out));
  };
  ln_1 = register_module("ln_1", norm());
  in_proj = linear("attn.in_proj", c.width, 3 * c.width);
  out_proj = linear("attn.out_proj", c.width, c.width);
  ln_2 = register_module("ln_2", norm());
  c_fc = linear("mlp.c_fc", c.width, c.hidden());
  c_proj = linear("mlp.c_proj", c.hidden(), c.width);
}

at::Tensor VisionBlock::forward(const at::Tensor& x) const {
  const at::Tensor packed = in_proj->forward(ln_1->forward(x));
  const auto parts = packed.view({x.size(0), x.size(1), heads, 3, x.size(2) / heads})
                         .permute({3, 0, 2, 1, 4})  // [3, N, heads, P, d]
                         .unbind(0);
  const at::Tensor y =
      x + out_proj->forward(nn::attend(parts[0], parts[1], parts[2], nn::no_mask()));
  return y + c_proj->forward(nn::erf_gelu(c_fc->forward(ln_2->forward(y))));
}

VisionTower::VisionTower(const Config& c) {
  const VisionConfig& v = c.vision;
  conv1 = register_module("conv1", std::make_shared<nn::PatchEmbed>(v.patch_size, v.width, false));
  positional_embedding =
      register_parameter("positional_embedding", nn::make_parameter({trained_cells, v.width}));
  ln_pre = register_module("ln_pre", std::make_shared<nn::LayerNorm>(v.width, norm_eps));
  for (std::int64_t i = 0; i < v.layers; ++i) {
    blocks.push_back(nn::register_module_at(*this, "transformer.resblocks." + std::to_string(i),
                                            std::make_shared<VisionBlock>(v)));
  }
  attn_pool = register_module("attn_pool", std::make_shared<nn::Resampler>(
                                               nn::ResamplerShape{.in = v.width,
                                                                  .width = c.language.width,
                                                                  .grid = v.query_grid(),
                                                                  .heads = c.resampler_heads()}));
  ln_post = register_module("ln_post", std::make_shared<nn::LayerNorm>(c.language.width, norm_eps));
  proj = register_parameter("proj", nn::make_parameter({c.language.width, c.language.width}));
}

at::Tensor VisionTower::patches(const at::Tensor& pixels, const nn::BlockContext& context) const {
  const at::Tensor patches = conv1->forward(pixels);  // [N, P, V]
  at::Tensor x =
      ln_pre->forward(patches + nn::square_positions(positional_embedding, patches.size(1)));
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const auto block = [layer = blocks[i]](const std::vector<at::Tensor>& in) {
      return layer->forward(in[0]);
    };
    x = nn::run_block(*blocks[i], block, {x}, nn::of_block(context, i));
  }
  return x;
}

at::Tensor VisionTower::resampled(const at::Tensor& patches) const {
  return at::matmul(ln_post->forward(attn_pool->forward(patches)), proj);
}

at::Tensor VisionTower::forward(const at::Tensor& pixels, const nn::BlockContext& context) const {
  return resampled(patches(pixels, context));
}

}  // namespace tandem::models::qwen_vl
