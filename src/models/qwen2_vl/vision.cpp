#include "models/qwen2_vl/vision.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "tandem/base/error.h"
#include "tandem/nn/attention.h"
#include "tandem/nn/mlp.h"
#include "tandem/nn/naming.h"
#include "tandem/nn/rms_norm.h"

namespace tandem::models::qwen2_vl {
namespace {

constexpr double norm_eps = 1e-6;  // of all norms of the tower, in the released code

Part add_norm(torch::nn::Module& owner, const std::string& name, std::int64_t width,
              Version version) {
  if (version == Version::two) {
    const auto norm =
        nn::register_module_at(owner, name, std::make_shared<nn::LayerNorm>(width, norm_eps));
    return [norm](const at::Tensor& x) { return norm->forward(x); };
  }
  const auto norm =
      nn::register_module_at(owner, name, std::make_shared<nn::RmsNorm>(width, norm_eps));
  return [norm](const at::Tensor& x) { return norm->forward(x); };
}

Part add_mlp(torch::nn::Module& owner, const VisionConfig& config, Version version) {
  const nn::Activation activation = nn::activation_of(config.activation);
  if (version == Version::two) {
    const auto mlp = owner.register_module(
        "mlp", std::make_shared<nn::Mlp>(config.width, config.hidden(), activation));
    return [mlp](const at::Tensor& x) { return mlp->forward(x); };
  }
  const auto linear = [&](const char* name, std::int64_t in, std::int64_t out) {
    return nn::register_module_at(owner, name, std::make_shared<nn::Linear>(in, out));
  };
  const auto gate = linear("mlp.gate_proj", config.width, config.hidden());
  const auto up = linear("mlp.up_proj", config.width, config.hidden());
  const auto down = linear("mlp.down_proj", config.hidden(), config.width);
  return [gate, up, down, activation](const at::Tensor& x) {
    const at::Tensor raised = up->forward(x);
    return down->forward(nn::gated(activation, gate->forward(x), raised));
  };
}

}  // namespace

VisionBlock::VisionBlock(const VisionConfig& config, Version version) : heads(config.heads) {
  norm1 = add_norm(*this, "norm1", config.width, version);
  norm2 = add_norm(*this, "norm2", config.width, version);
  qkv = nn::register_module_at(*this, "attn.qkv",
                               std::make_shared<nn::Linear>(config.width, 3 * config.width));
  proj = nn::register_module_at(*this, "attn.proj",
                                std::make_shared<nn::Linear>(config.width, config.width));
  mlp = add_mlp(*this, config, version);
}

at::Tensor VisionBlock::attend_to(const at::Tensor& x, const nn::Rotary& rotary,
                                  const nn::Mask& mask) const {
  const auto parts = nn::split_heads(qkv->forward(x).unsqueeze(0), 3, heads);  // [1, H, P, d] each
  const auto [queries, keys] = nn::rotate_both(parts[0], parts[1], rotary);
  const at::Tensor seen = nn::attend(queries, keys, parts[2], mask);
  return proj->forward(seen.squeeze(0));
}

at::Tensor VisionBlock::forward(const at::Tensor& x, const nn::Rotary& rotary,
                                const nn::Mask& mask) const {
  const at::Tensor y = x + attend_to(norm1(x), rotary, mask);
  return y + mlp(norm2(y));
}

Tower::Tower(const VisionConfig& config, Version version, std::int64_t out)
    : config_(config), windowed_(version == Version::two_five) {
  const vision::PatchShape& p = config.patch;
  patch_weight = nn::register_parameter_at(
      *this, "patch_embed.proj.weight",
      nn::make_parameter({config.width, config.channels, p.frames, p.patch, p.patch}));
  for (std::int64_t i = 0; i < config.layers; ++i) {
    blocks.push_back(nn::register_module_at(*this, "blocks." + std::to_string(i),
                                            std::make_shared<VisionBlock>(config, version)));
  }
  const std::int64_t cell = config.width * p.merge * p.merge;
  merger_norm = add_norm(*this, "merger.ln_q", config.width, version);
  merger0 = nn::register_module_at(*this, "merger.mlp.0", std::make_shared<nn::Linear>(cell, cell));
  merger2 = nn::register_module_at(*this, "merger.mlp.2", std::make_shared<nn::Linear>(cell, out));
}

// The first half of the frequencies turns with the row, the second with the column.
nn::Rotary Tower::rotary(std::span<const Grid> grids, const at::Tensor& like) const {
  const PatchPositions positions = patch_positions(grids, config_.patch.merge);
  const std::int64_t half = config_.width / config_.heads / 2;
  const at::Tensor power = at::arange(0, half, 2, at::kFloat) / static_cast<double>(half);
  const at::Tensor frequencies = 1.0 / at::pow(at::Scalar(config_.theta), power);
  const auto angles = [&](const std::vector<std::int64_t>& axis) {
    return at::tensor(axis, at::kFloat).unsqueeze(1) * frequencies;  // [P, d / 4]
  };
  const at::Tensor both = at::cat({angles(positions.row), angles(positions.column)}, 1);
  return nn::rotary_of(both.unsqueeze(0).to(like.device()));
}

at::Tensor Tower::forward(const at::Tensor& patches, std::span<const Grid> grids,
                          const nn::BlockContext& context) const {
  at::Tensor x = at::linear(patches, patch_weight.flatten(1));  // [P, D]
  nn::Rotary turns = rotary(grids, x);
  const nn::Mask slices = nn::packed_mask(slice_ends(grids), /*causal=*/false);
  nn::Mask mask = slices;
  at::Tensor order;
  if (windowed_) {
    const Windows all = windows(grids, config_.patch.merge, config_.window_side());
    mask = nn::packed_mask(all.ends, /*causal=*/false);
    order = at::tensor(all.order, at::kLong).to(x.device());
    // Cells move as a whole, and their positions with them: [..., P, D].
    const std::int64_t cell = config_.patch.merge * config_.patch.merge;
    const auto reordered = [&](const at::Tensor& rows) {
      return rows.reshape({-1, cell, rows.size(-1)}).index_select(0, order).reshape(rows.sizes());
    };
    x = reordered(x);
    turns = {reordered(turns.cos), reordered(turns.sin)};
  }
  const auto& full = config_.full_attention;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const bool whole = !windowed_ || std::find(full.begin(), full.end(), i) != full.end();
    const auto block = [layer = blocks[i], turns,
                        seen = whole ? slices : mask](const std::vector<at::Tensor>& in) {
      return layer->forward(in[0], turns, seen);
    };
    x = nn::run_block(*blocks[i], block, {x}, nn::of_block(context, i));
  }
  const at::Tensor cells = merger_norm(x).view({-1, merger0->weight.size(1)});
  const at::Tensor merged = merger2->forward(nn::erf_gelu(merger0->forward(cells)));
  return order.defined() ? merged.index_select(0, at::argsort(order)) : merged;
}

}  // namespace tandem::models::qwen2_vl
