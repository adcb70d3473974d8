#include "tandem/nn/encoder_block.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/zeros.h>

#include <limits>

namespace tandem::nn {
namespace {

// What row `rows[b]` of sample b sees: [B, 1, 1, S].
Mask mask_of_rows(const Mask& mask, const at::Tensor& rows, std::int64_t length) {
  if (mask.causal) {
    const at::Tensor key = at::arange(length, rows.options());
    const at::Tensor hidden = key.unsqueeze(0) > rows.unsqueeze(1);  // [B, S]
    at::Tensor bias = at::zeros(hidden.sizes(), hidden.options().dtype(at::kFloat));
    bias.masked_fill_(hidden, std::numeric_limits<float>::lowest());
    return {bias.unsqueeze(1).unsqueeze(1)};
  }
  if (!mask.bias.defined() || mask.bias.size(2) == 1) return mask;
  const at::Tensor bias = mask.bias.expand({rows.size(0), -1, -1, -1});  // [B, H, T, S]
  const at::Tensor index =
      rows.view({-1, 1, 1, 1}).expand({rows.size(0), bias.size(1), 1, bias.size(3)});
  return {at::gather(bias, 2, index)};
}

}  // namespace

at::Tensor take_rows(const at::Tensor& x, const at::Tensor& rows) {
  const at::Tensor index = rows.view({-1, 1, 1}).expand({x.size(0), 1, x.size(2)});
  return at::gather(x, 1, index).squeeze(1);
}

EncoderBlock::EncoderBlock(const BlockShape& shape) {
  self_attn = register_module("self_attn", std::make_shared<Attention>(shape.width, shape.heads));
  layer_norm1 = register_module("layer_norm1", std::make_shared<LayerNorm>(shape.width, shape.eps));
  mlp = register_module("mlp", std::make_shared<Mlp>(shape.width, shape.hidden, shape.activation));
  layer_norm2 = register_module("layer_norm2", std::make_shared<LayerNorm>(shape.width, shape.eps));
}

at::Tensor EncoderBlock::forward(const at::Tensor& x, const Mask& mask) const {
  const at::Tensor attended = x + self_attn->forward(layer_norm1->forward(x), mask);
  return attended + mlp->forward(layer_norm2->forward(attended));
}

at::Tensor EncoderBlock::forward_rows(const at::Tensor& x, const at::Tensor& rows,
                                      const Mask& mask) const {
  const at::Tensor normed = layer_norm1->forward(x);
  const at::Tensor query = take_rows(normed, rows).unsqueeze(1);  // [B, 1, D]
  const at::Tensor seen =
      self_attn->forward_queries(query, normed, mask_of_rows(mask, rows, x.size(1))).squeeze(1);
  const at::Tensor attended = take_rows(x, rows) + seen;  // [B, D]
  return attended + mlp->forward(layer_norm2->forward(attended));
}

}  // namespace tandem::nn
