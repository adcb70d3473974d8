#include "tandem/nn/attention.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_scaled_dot_product_attention_math.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <limits>
#include <optional>
#include <string>

#include "nn/packed_attention.h"
#include "tandem/base/error.h"

namespace tandem::nn {

std::vector<at::Tensor> split_heads(const at::Tensor& packed, std::int64_t parts,
                                    std::int64_t heads) {
  const std::int64_t batch = packed.size(0), length = packed.size(1);
  return packed.view({batch, length, parts, heads, packed.size(2) / (parts * heads)})
      .permute({2, 0, 3, 1, 4})
      .unbind(0);
}

namespace {

// Each head of keys `times` times, one behind the other: [B, K, S, d] -> [B, K times, S, d].
at::Tensor repeated(const at::Tensor& x, std::int64_t times) {
  if (times == 1) return x;
  return x.unsqueeze(2)
      .expand({x.size(0), x.size(1), times, x.size(2), x.size(3)})
      .reshape({x.size(0), x.size(1) * times, x.size(2), x.size(3)});
}

// Whether a row sees no key at all (padding on the left): its weights are equal, all of them, which
// the fused kernels know going forward and lose going backward. Asked on the CPU only.
bool sees_nothing(const std::optional<at::Tensor>& bias) {
  if (!bias || !bias->is_cpu() || !at::GradMode::is_enabled()) return false;
  constexpr double hidden = std::numeric_limits<float>::lowest() / 2;
  return bias->amax(-1).lt(hidden).any().item<bool>();
}

// One sample a row.
at::Tensor attend_rows(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                       const std::optional<at::Tensor>& bias, bool causal, double dropout) {
  const std::int64_t heads = q.size(1), groups = k.size(1);
  if (heads != groups && q.size(2) == 1 && (!bias || bias->size(1) == 1)) {
    // One token: the queries that share keys stand as the rows of one head; nothing is copied.
    const at::Tensor rows = q.reshape({q.size(0), groups, heads / groups, q.size(3)});
    return at::scaled_dot_product_attention(rows, k, v, bias, dropout).reshape({q.size(0), 1, -1});
  }
  const at::Tensor keys = repeated(k, heads / groups), values = repeated(v, heads / groups);
  if (sees_nothing(bias)) {
    return std::get<0>(
               at::_scaled_dot_product_attention_math(q, keys, values, bias, dropout, causal))
        .transpose(1, 2)
        .flatten(2);
  }
  const at::Tensor out = at::scaled_dot_product_attention(q, keys, values, bias, dropout, causal);
  return out.transpose(1, 2).flatten(2);  // [B, T, H d]
}

}  // namespace

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Mask& mask,
                  double dropout) {
  TANDEM_CHECK(!(mask.causal && mask.bias.defined()), "[attention] a mask is causal or a bias");
  std::optional<at::Tensor> bias;
  if (mask.bias.defined()) bias = mask.bias.to(q.scalar_type());
  if (mask.ends.empty()) return attend_rows(q, k, v, bias, mask.causal, dropout);
  const std::int64_t length = mask.ends.back();
  TANDEM_CHECK(q.size(0) == 1 && !bias && q.size(2) == length && k.size(2) == length,
               "[attention] expected samples laid end to end in one row");
  if (const auto all = attend_packed(q, k, v, mask.ends, mask.causal, dropout)) return *all;
  std::vector<std::int64_t> sizes;
  for (std::size_t i = 1; i < mask.ends.size(); ++i) {
    sizes.push_back(mask.ends[i] - mask.ends[i - 1]);
  }
  // Sample by sample: many times faster on a CPU than one masked square, as nothing is computed for
  // pairs that do not see each other.
  const auto qs = q.split_with_sizes(sizes, 2);
  const auto ks = k.split_with_sizes(sizes, 2);
  const auto vs = v.split_with_sizes(sizes, 2);
  std::vector<at::Tensor> parts;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    parts.push_back(attend_rows(qs[i], ks[i], vs[i], std::nullopt, mask.causal, dropout));
  }
  return at::cat(parts, 1);
}

Attention::Attention(std::int64_t width, std::int64_t heads) : heads(heads) {
  TANDEM_CHECK(heads > 0 && width % heads == 0,
               "[attention] expected heads that divide the width; got " + std::to_string(heads) +
                   " and " + std::to_string(width));
  k_proj = register_module("k_proj", std::make_shared<Linear>(width, width));
  v_proj = register_module("v_proj", std::make_shared<Linear>(width, width));
  q_proj = register_module("q_proj", std::make_shared<Linear>(width, width));
  out_proj = register_module("out_proj", std::make_shared<Linear>(width, width));
}

at::Tensor Attention::forward(const at::Tensor& x, const Mask& mask) const {
  const at::Tensor weight = at::cat({q_proj->weight, k_proj->weight, v_proj->weight});
  const at::Tensor bias = at::cat({q_proj->bias, k_proj->bias, v_proj->bias});
  const at::Tensor packed =
      add_adapters(at::linear(x, weight, bias), x, {q_proj.get(), k_proj.get(), v_proj.get()});
  const auto qkv = split_heads(packed, 3, heads);
  return out_proj->forward(attend(qkv[0], qkv[1], qkv[2], mask));
}

at::Tensor Attention::forward_queries(const at::Tensor& queries, const at::Tensor& x,
                                      const Mask& mask) const {
  TANDEM_CHECK(!mask.causal, "[attention] rows that stand anywhere need a mask as a bias");
  const at::Tensor weight = at::cat({k_proj->weight, v_proj->weight});
  const at::Tensor bias = at::cat({k_proj->bias, v_proj->bias});
  const auto q = split_heads(q_proj->forward(queries), 1, heads);
  const at::Tensor packed =
      add_adapters(at::linear(x, weight, bias), x, {k_proj.get(), v_proj.get()});
  const auto kv = split_heads(packed, 2, heads);
  return out_proj->forward(attend(q[0], kv[0], kv[1], mask));
}

}  // namespace tandem::nn
