#include "tandem/objectives/wpa.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/logical_and.h>
#include <ATen/ops/logical_not.h>

#include "objectives/wide.h"

namespace tandem::objectives {
namespace {

at::Tensor unit(const at::Tensor& x) {
  const at::Tensor all = wide(x);
  return all / at::linalg_vector_norm(all, 2, {-1}, /*keepdim=*/true).clamp_min(1e-5);
}

at::Tensor hidden_pairs(const at::Tensor& text_mask, const at::Tensor& picture_mask) {
  return at::logical_and(text_mask.unsqueeze(2), picture_mask.unsqueeze(1)).logical_not();
}

}  // namespace

at::Tensor transport_cost(const at::Tensor& text, const at::Tensor& text_mask,
                          const at::Tensor& picture, const at::Tensor& picture_mask) {
  const AutocastOff off(text.device().type());
  const at::Tensor cost = 1 - at::bmm(unit(text), unit(picture).transpose(1, 2));
  return cost.masked_fill(hidden_pairs(text_mask, picture_mask), 0);
}

at::Tensor transport_plan(const at::Tensor& cost, const at::Tensor& text_mask,
                          const at::Tensor& picture_mask, const TransportOptions& options) {
  const at::NoGradGuard no_grad;
  const AutocastOff off(cost.device().type());
  const at::Tensor c = cost.detach();  // [B, M, N]
  const at::Tensor hidden = hidden_pairs(text_mask, picture_mask);
  const auto count = [&](const at::Tensor& mask) {
    return mask.sum(1).to(c.scalar_type()).view({-1, 1, 1});
  };
  const at::Tensor m = count(text_mask), n = count(picture_mask);  // [B, 1, 1]
  // What takes no part gets 1 / 1e4 instead of a division by zero.
  const at::Tensor no_word = text_mask.logical_not().to(c.scalar_type()).unsqueeze(2) * 1e4;
  const at::Tensor no_patch = picture_mask.logical_not().to(c.scalar_type()).unsqueeze(1) * 1e4;

  const at::Tensor kernel = (c / -options.beta).exp().masked_fill(hidden, 0);
  at::Tensor plan = hidden.logical_not().to(c.scalar_type());
  at::Tensor word = (1 / m)
                        .expand({-1, c.size(1), 1})
                        .masked_fill(text_mask.logical_not().unsqueeze(2), 0);  // [B, M, 1]
  for (std::int64_t i = 0; i < options.iterations; ++i) {
    const at::Tensor q = kernel * plan;                                              // [B, M, N]
    const at::Tensor patch = 1 / (n * at::bmm(word.transpose(1, 2), q) + no_patch);  // [B, 1, N]
    word = 1 / (m * at::bmm(q, patch.transpose(1, 2)) + no_word);                    // [B, M, 1]
    plan = word * q * patch;
  }
  return plan.masked_fill(hidden, 0);
}

at::Tensor transport_distance(const at::Tensor& text, const at::Tensor& text_mask,
                              const at::Tensor& picture, const at::Tensor& picture_mask,
                              const TransportOptions& options) {
  const at::Tensor cost = transport_cost(text, text_mask, picture, picture_mask);
  return (cost * transport_plan(cost, text_mask, picture_mask, options)).sum({1, 2});
}

LossTerm wpa(const at::Tensor& distance, const at::Tensor& matches) {
  const at::Tensor sign = matches.to(distance.scalar_type()) * 2 - 1;
  return {(distance * sign).sum(), static_cast<double>(distance.size(0))};
}

at::Tensor inner_tokens(const at::Tensor& mask) {
  const at::Tensor visible = mask.ne(0);
  const at::Tensor place = at::arange(mask.size(1), mask.options().dtype(at::kLong));
  const at::Tensor last = visible.sum(1, /*keepdim=*/true) - 1;  // [B, 1]
  return visible.logical_and(place.ne(0)).logical_and(place.unsqueeze(0).ne(last));
}

}  // namespace tandem::objectives
