#include "tandem/nn/resampler.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/pow.h>

#include "tandem/nn/attention.h"
#include "tandem/nn/mask.h"
#include "tandem/nn/naming.h"
#include "tandem/nn/vision_input.h"

namespace tandem::nn {
namespace {

constexpr double resampler_norm_eps = 1e-6;

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

Resampler::Resampler(const ResamplerShape& s) : heads(s.heads) {
  const std::int64_t width = s.width, queries = s.grid * s.grid;
  query = register_parameter("query", make_parameter({queries, width}));
  pos_embed = register_buffer("pos_embed", sine_positions(width, s.grid));
  if (s.in != width) {
    kv_proj = register_module("kv_proj", std::make_shared<Linear>(s.in, width, /*bias=*/false));
  }
  in_proj_weight =
      register_parameter_at(*this, "attn.in_proj_weight", make_parameter({3 * width, width}));
  in_proj_bias = register_parameter_at(*this, "attn.in_proj_bias", make_parameter({3 * width}));
  out_proj = register_module_at(*this, "attn.out_proj", std::make_shared<Linear>(width, width));
  ln_q = register_module("ln_q", std::make_shared<LayerNorm>(width, resampler_norm_eps));
  ln_kv = register_module("ln_kv", std::make_shared<LayerNorm>(width, resampler_norm_eps));
}

at::Tensor Resampler::forward(const at::Tensor& patches) const {
  const at::Tensor values = ln_kv->forward(kv_proj ? kv_proj->forward(patches) : patches);
  const at::Tensor keys = values + square_positions(pos_embed, patches.size(1));  // [N, P, D]
  const at::Tensor queries = (ln_q->forward(query) + pos_embed).unsqueeze(0);     // [1, Q, D]
  const auto weight = in_proj_weight.chunk(3);
  const auto bias = in_proj_bias.chunk(3);
  const auto projected = [&](const at::Tensor& x, std::size_t part) {
    return split_heads(at::linear(x, weight[part], bias[part]), 1, heads)[0];
  };
  const at::Tensor q = projected(queries, 0).expand({patches.size(0), -1, -1, -1});
  const at::Tensor k = projected(keys, 1), v = projected(values, 2);
  return out_proj->forward(attend(q, k, v, no_mask()));
}

}  // namespace tandem::nn
