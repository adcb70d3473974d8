#include "models/qwen_vl/vision.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/pow.h>

#include <cmath>
#include <string>

#include "tandem/base/error.h"
#include "tandem/nn/attention.h"
#include "tandem/nn/mlp.h"
#include "tandem/nn/naming.h"

namespace tandem::models::qwen_vl {
namespace {

constexpr double norm_eps = 1e-6;
constexpr std::int64_t trained_cells = 256;  // rows of positional_embedding, whatever the pictures

// The table for a square of as many cells as there are patches. [g^2, D] -> [P, D]
at::Tensor positions_for(const at::Tensor& table, std::int64_t patches) {
  const auto side = static_cast<std::int64_t>(std::sqrt(static_cast<double>(patches)));
  if (side * side != patches) {
    throw Error(ErrorKind::data,
                "[vision] expected a square number of patches; got " + std::to_string(patches));
  }
  return nn::interpolate_positions(table, 0, side, side);
}

}  // namespace

at::Tensor sine_positions(std::int64_t width, std::int64_t side) {
  const std::int64_t quarter = width / 4;
  const at::Tensor share = at::arange(quarter, at::kFloat) / (static_cast<double>(width) / 4);
  const at::Tensor speed = at::pow(10000.0, share).reciprocal();
  const at::Tensor angles = at::outer(at::arange(side, at::kFloat), speed);  // [side, D / 4]
  const at::Tensor one = at::cat({angles.sin(), angles.cos()}, 1);           // [side, D / 2]
  const at::Tensor columns = one.unsqueeze(0).expand({side, side, -1});
  const at::Tensor rows = one.unsqueeze(1).expand({side, side, -1});
  return at::cat({columns, rows}, 2).reshape({side * side, 4 * quarter});
}

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

Resampler::Resampler(const Config& c) : heads(c.resampler_heads()) {
  const std::int64_t width = c.language.width, queries = c.picture_tokens();
  query = register_parameter("query", nn::make_parameter({queries, width}));
  pos_embed = register_buffer("pos_embed", sine_positions(width, c.vision.query_grid()));
  if (c.vision.width != width) {
    kv_proj = register_module("kv_proj",
                              std::make_shared<nn::Linear>(c.vision.width, width, /*bias=*/false));
  }
  in_proj_weight = nn::register_parameter_at(*this, "attn.in_proj_weight",
                                             nn::make_parameter({3 * width, width}));
  in_proj_bias =
      nn::register_parameter_at(*this, "attn.in_proj_bias", nn::make_parameter({3 * width}));
  out_proj =
      nn::register_module_at(*this, "attn.out_proj", std::make_shared<nn::Linear>(width, width));
  ln_q = register_module("ln_q", std::make_shared<nn::LayerNorm>(width, norm_eps));
  ln_kv = register_module("ln_kv", std::make_shared<nn::LayerNorm>(width, norm_eps));
}

at::Tensor Resampler::forward(const at::Tensor& patches) const {
  const at::Tensor values = ln_kv->forward(kv_proj ? kv_proj->forward(patches) : patches);
  const at::Tensor keys = values + positions_for(pos_embed, patches.size(1));  // [N, P, D]
  const at::Tensor queries = (ln_q->forward(query) + pos_embed).unsqueeze(0);  // [1, Q, D]
  const auto weight = in_proj_weight.chunk(3);
  const auto bias = in_proj_bias.chunk(3);
  const auto projected = [&](const at::Tensor& x, std::size_t part) {
    return nn::split_heads(at::linear(x, weight[part], bias[part]), 1, heads)[0];
  };
  const at::Tensor q = projected(queries, 0).expand({patches.size(0), -1, -1, -1});
  const at::Tensor k = projected(keys, 1), v = projected(values, 2);
  return out_proj->forward(nn::attend(q, k, v, nn::no_mask()));
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
  attn_pool = register_module("attn_pool", std::make_shared<Resampler>(c));
  ln_post = register_module("ln_post", std::make_shared<nn::LayerNorm>(c.language.width, norm_eps));
  proj = register_parameter("proj", nn::make_parameter({c.language.width, c.language.width}));
}

at::Tensor VisionTower::patches(const at::Tensor& pixels, const nn::BlockContext& context) const {
  const at::Tensor patches = conv1->forward(pixels);  // [N, P, V]
  at::Tensor x = ln_pre->forward(patches + positions_for(positional_embedding, patches.size(1)));
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
