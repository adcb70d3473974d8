#include "tandem/nn/t5.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/where.h>

#include <cmath>
#include <optional>
#include <string>

#include "tandem/base/error.h"
#include "tandem/nn/attention.h"
#include "tandem/nn/dropout.h"
#include "tandem/nn/mask.h"
#include "tandem/nn/naming.h"

namespace tandem::nn {

at::Tensor relative_buckets(std::int64_t queries, std::int64_t keys, bool both_ways,
                            std::int64_t buckets, std::int64_t max_distance,
                            const at::Device& device) {
  const auto whole = at::TensorOptions().dtype(at::kLong).device(device);
  const at::Tensor query = at::arange(keys - queries, keys, whole).unsqueeze(1);
  at::Tensor distance = at::arange(keys, whole).unsqueeze(0) - query;  // [queries, keys]
  at::Tensor first = at::full({1}, 0, whole);
  if (both_ways) {
    buckets /= 2;
    first = distance.gt(0).to(at::kLong) * buckets;
    distance = distance.abs();
  } else {
    distance = (-distance).clamp_min(0);
  }
  const std::int64_t exact = buckets / 2;
  // As the original computes it, in fp32: a distance on a bucket's edge must fall on its side.
  const at::Tensor grown =
      at::log(distance.to(at::kFloat) / static_cast<double>(exact)) /
      std::log(static_cast<double>(max_distance) / static_cast<double>(exact)) *
      static_cast<double>(buckets - exact);
  const at::Tensor far = (grown.to(at::kLong) + exact).clamp_max(buckets - 1);
  return first + at::where(distance.lt(exact), distance, far);
}

// --- A block ---------------------------------------------------------------------------------

T5Attention::T5Attention(const T5Shape& s, bool relative) : heads(s.heads), rate(s.dropout) {
  const std::int64_t inner = s.heads * s.head_width;
  const auto linear = [&](const char* name, std::int64_t in, std::int64_t out) {
    return register_module(name, std::make_shared<Linear>(in, out, false));
  };
  q = linear("q", s.width, inner);
  k = linear("k", s.width, inner);
  v = linear("v", s.width, inner);
  o = linear("o", inner, s.width);
  if (relative) {
    relative_attention_bias =
        register_module("relative_attention_bias", std::make_shared<Embedding>(s.buckets, s.heads));
  }
}

KeysAndValues T5Attention::keys_of(const at::Tensor& rows) const {
  return {split_heads(k->forward(rows), 1, heads)[0], split_heads(v->forward(rows), 1, heads)[0]};
}

at::Tensor T5Attention::forward(const at::Tensor& x, const KeysAndValues& rows,
                                const at::Tensor& bias) const {
  const at::Tensor query = split_heads(q->forward(x), 1, heads)[0];
  std::optional<at::Tensor> added;
  if (bias.defined()) added = bias.to(query.scalar_type());
  const at::Tensor seen = at::scaled_dot_product_attention(query, rows.first, rows.second, added,
                                                           is_training() ? rate : 0,
                                                           /*is_causal=*/false, /*scale=*/1.0);
  return o->forward(seen.transpose(1, 2).flatten(2));
}

void T5Cache::reorder(const at::Tensor& order) {
  own.reorder(order);
  for (auto& [keys, values] : rows) {
    keys = keys.index_select(0, order);
    values = values.index_select(0, order);
  }
}

T5Block::T5Block(const T5Shape& s, bool decodes, bool relative)
    : activation(s.activation), rate(s.dropout) {
  const auto norm = [&](const std::string& layer) {
    return register_module_at(*this, layer + ".layer_norm",
                              std::make_shared<RmsNorm>(s.width, s.eps));
  };
  self = register_module_at(*this, "layer.0.SelfAttention",
                            std::make_shared<T5Attention>(s, relative));
  self_norm = norm("layer.0");
  if (decodes) {
    cross = register_module_at(*this, "layer.1.EncDecAttention",
                               std::make_shared<T5Attention>(s, /*relative=*/false));
    cross_norm = norm("layer.1");
  }
  const std::string last = decodes ? "layer.2" : "layer.1";
  const auto linear = [&](const std::string& name, std::int64_t in, std::int64_t out) {
    return register_module_at(*this, last + ".DenseReluDense." + name,
                              std::make_shared<Linear>(in, out, false));
  };
  wi = linear(s.gated ? "wi_0" : "wi", s.width, s.hidden);
  if (s.gated) wi_1 = linear("wi_1", s.width, s.hidden);
  wo = linear("wo", s.hidden, s.width);
  mlp_norm = norm(last);
}

at::Tensor T5Block::forward(const at::Tensor& x, const at::Tensor& bias, const at::Tensor& rows,
                            const at::Tensor& rows_bias, T5Cache* cache, std::size_t number) const {
  const bool learns = is_training();
  const at::Tensor in = self_norm->forward(x);
  KeysAndValues own = self->keys_of(in);
  if (cache != nullptr) own = cache->own.append(number, own.first, own.second);
  at::Tensor y = x + drop(self->forward(in, own, bias), rate, learns);
  if (cross) {
    const bool known = cache != nullptr && cache->rows.size() > number;
    const KeysAndValues other = known ? cache->rows[number] : cross->keys_of(rows);
    if (cache != nullptr && !known) cache->rows.push_back(other);
    y = y + drop(cross->forward(cross_norm->forward(y), other, rows_bias), rate, learns);
  }
  const at::Tensor normed = mlp_norm->forward(y);
  at::Tensor hidden = activation(wi->forward(normed));
  if (wi_1) hidden = hidden * wi_1->forward(normed);
  return y + drop(wo->forward(drop(hidden, rate, learns)), rate, learns);
}

// --- Encoder and decoder ---------------------------------------------------------------------

T5Stack::T5Stack(const T5Shape& s, bool decodes) : shape(s), decodes(decodes) {
  const std::int64_t depth = decodes ? s.decoder_layers : s.layers;
  for (std::int64_t i = 0; i < depth; ++i) {
    blocks.push_back(register_module_at(*this, "block." + std::to_string(i),
                                        std::make_shared<T5Block>(s, decodes, i == 0)));
  }
  final_layer_norm = register_module("final_layer_norm", std::make_shared<RmsNorm>(s.width, s.eps));
}

at::Tensor T5Stack::position_bias(std::int64_t queries, std::int64_t keys) const {
  const Embedding& table = *blocks.front()->self->relative_attention_bias;
  const at::Tensor bucket = relative_buckets(queries, keys, !decodes, shape.buckets,
                                             shape.max_distance, table.weight.device());
  return table.forward(bucket).permute({2, 0, 1}).unsqueeze(0);
}

at::Tensor T5Stack::forward(at::Tensor x, const at::Tensor& mask, const at::Tensor& rows,
                            const at::Tensor& rows_mask, const BlockContext& context,
                            T5Cache* cache) const {
  const std::int64_t queries = x.size(1);
  const std::int64_t keys = queries + (cache == nullptr ? 0 : cache->own.length());
  at::Tensor bias = position_bias(queries, keys);
  if (decodes) {
    const at::Tensor tokens =
        mask.defined() ? mask : at::ones({1, keys}, x.options().dtype(at::kLong));
    bias = bias + causal_padding_mask(tokens).bias.narrow(2, keys - queries, queries);
  } else if (mask.defined()) {
    bias = bias + padding_mask(mask).bias;
  }
  const at::Tensor hidden_rows = rows_mask.defined() ? padding_mask(rows_mask).bias : at::Tensor();
  const auto dropped = [rate = shape.dropout, this](const std::vector<at::Tensor>& in) {
    return drop(in[0], rate, is_training());
  };
  const auto own = [&](const char* purpose) { return of_part({false, context.key}, purpose); };
  x = run_block(*final_layer_norm, dropped, {x}, own("in"));
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const auto block = [layer = blocks[i], hidden_rows, cache,
                        i](const std::vector<at::Tensor>& in) {
      return layer->forward(in[0], in[1], in.size() > 2 ? in[2] : at::Tensor(), hidden_rows, cache,
                            i);
    };
    // Views, so that the gradients of what all blocks read are summed in the same order whether or
    // not a block is recomputed.
    std::vector<at::Tensor> inputs{x, bias.view_as(bias)};
    if (decodes) inputs.push_back(rows.view_as(rows));
    x = run_block(*blocks[i], block, inputs, of_block(context, i));
  }
  return run_block(*final_layer_norm, dropped, {final_layer_norm->forward(x)}, own("out"));
}

T5::T5(const T5Shape& s) : shape(s) {
  shared = register_module("shared", std::make_shared<Embedding>(s.vocab_size, s.width));
  encoder = register_module("encoder", std::make_shared<T5Stack>(s, /*decodes=*/false));
  decoder = register_module("decoder", std::make_shared<T5Stack>(s, /*decodes=*/true));
  head = s.tied ? shared->weight
                : register_parameter_at(*this, "lm_head.weight",
                                        make_parameter({s.vocab_size, s.width}));
}

at::Tensor T5::decode(const at::Tensor& words, const at::Tensor& mask, const at::Tensor& rows,
                      const at::Tensor& rows_mask, const BlockContext& context,
                      T5Cache* cache) const {
  const at::Tensor out = decoder->forward(words, mask, rows, rows_mask, context, cache);
  return shape.scaled ? out * std::pow(static_cast<double>(shape.width), -0.5) : out;
}

at::Tensor T5::logits(const at::Tensor& rows) const { return at::linear(rows, head); }

at::Tensor shifted_right(const at::Tensor& labels, std::int64_t start, std::int64_t pad) {
  const at::Tensor first = at::full({labels.size(0), 1}, start, labels.options());
  const at::Tensor moved = at::cat({first, labels.narrow(1, 0, labels.size(1) - 1)}, 1);
  return moved.masked_fill(moved.eq(-100), pad);
}

}  // namespace tandem::nn
