#include "tandem/nn/decoder.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <limits>
#include <tuple>

#include "tandem/base/error.h"
#include "tandem/nn/naming.h"

namespace tandem::nn {
namespace {

at::Tensor heads_of(const at::Tensor& x, std::int64_t heads) {  // [B, T, H d] -> [B, H, T, d]
  return x.view({x.size(0), x.size(1), heads, x.size(2) / heads}).transpose(1, 2);
}

}  // namespace

DecoderLayer::DecoderLayer(const DecoderShape& s, const DecoderNames& names)
    : heads(s.heads),
      kv_heads(s.kv_heads),
      head_dim(s.head_dim),
      activation(s.activation != nullptr ? s.activation : activation_of("silu")) {
  TANDEM_CHECK(kv_heads > 0 && heads % kv_heads == 0,
               "[decoder] expected heads in equal groups for each of keys and values");
  const std::int64_t q_width = heads * head_dim, kv_width = kv_heads * head_dim;
  const auto linear = [&](const std::string& name, std::int64_t in, std::int64_t to, bool bias) {
    return register_module_at(*this, name, std::make_shared<Linear>(in, to, bias));
  };
  if (names.qkv.empty()) {
    q = linear(names.q, s.width, q_width, s.qkv_bias);
    k = linear(names.k, s.width, kv_width, s.qkv_bias);
    v = linear(names.v, s.width, kv_width, s.qkv_bias);
  } else {
    qkv = linear(names.qkv, s.width, q_width + 2 * kv_width, s.qkv_bias);
  }
  out = linear(names.out, q_width, s.width, s.out_bias);
  gate = linear(names.gate, s.width, s.hidden, s.mlp_bias);
  up = linear(names.up, s.width, s.hidden, s.mlp_bias);
  down = linear(names.down, s.hidden, s.width, s.mlp_bias);
  const auto norm = [&](const std::string& name) {
    return register_module_at(*this, name, std::make_shared<RmsNorm>(s.width, s.eps));
  };
  input_norm = norm(names.input_norm);
  post_norm = norm(names.post_norm);
}

at::Tensor DecoderLayer::attend_to(const at::Tensor& x, const Rotary& rotary, const Mask& mask,
                                   KvCache* cache, std::size_t number) const {
  at::Tensor queries, keys, values;
  if (qkv != nullptr) {
    const auto parts = qkv->forward(x).split_with_sizes(
        {heads * head_dim, kv_heads * head_dim, kv_heads * head_dim}, -1);
    queries = heads_of(parts[0], heads);
    keys = heads_of(parts[1], kv_heads);
    values = heads_of(parts[2], kv_heads);
  } else {
    queries = heads_of(q->forward(x), heads);
    keys = heads_of(k->forward(x), kv_heads);
    values = heads_of(v->forward(x), kv_heads);
  }
  std::tie(queries, keys) = rotate_both(queries, keys, rotary);
  if (cache != nullptr) std::tie(keys, values) = cache->append(number, keys, values);
  return out->forward(attend(queries, keys, values, mask));
}

at::Tensor DecoderLayer::forward(const at::Tensor& x, const Rotary& rotary, const Mask& mask,
                                 KvCache* cache, std::size_t number) const {
  const auto [y, normed] =
      post_norm->forward_sum(x, attend_to(input_norm->forward(x), rotary, mask, cache, number));
  const at::Tensor raised = up->forward(normed);  // first: dropout of adapters draws in this order
  return y + down->forward(gated(activation, gate->forward(normed), raised));
}

Decoder::Decoder(const DecoderShape& s, const DecoderNames& names)
    : pad_id(s.pad_id), window(s.window), first_window(s.first_window) {
  embed_tokens =
      register_module_at(*this, names.embed, std::make_shared<Embedding>(s.vocab_size, s.width));
  for (std::int64_t i = 0; i < s.layers; ++i) {
    layers.push_back(register_module_at(*this, names.layers + "." + std::to_string(i),
                                        std::make_shared<DecoderLayer>(s, names)));
  }
  norm = register_module_at(*this, names.norm, std::make_shared<RmsNorm>(s.width, s.eps));
}

at::Tensor Decoder::embed(const at::Tensor& ids) const {
  return at::embedding(embed_tokens->weight, ids, pad_id);
}

at::Tensor Decoder::forward(const at::Tensor& embeds, const Rotary& rotary, const Mask& mask,
                            const BlockContext& context, KvCache* cache) const {
  TANDEM_CHECK(cache == nullptr || !at::GradMode::is_enabled(),
               "[decoder] a cache is for passes without gradient");
  at::Tensor x = embeds;
  const std::int64_t tokens = x.size(1), length = tokens + (cache != nullptr ? cache->length() : 0);
  const Mask near = window > 0 ? sliding_mask(mask, window, tokens, length, x.device()) : mask;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const bool slides = window > 0 && static_cast<std::int64_t>(i) >= first_window;
    const auto block = [layer = layers[i], rotary, mask = slides ? near : mask, cache,
                        i](const std::vector<at::Tensor>& in) {
      return layer->forward(in[0], rotary, mask, cache, i);
    };
    x = run_block(*layers[i], block, {x}, of_block(context, i));
  }
  return norm->forward(x);
}

Mask decoder_mask(const at::Tensor& mask, std::int64_t tokens, bool every_token) {
  const std::int64_t length = mask.size(1);
  if (every_token && (tokens == 1 || tokens == length)) {
    return tokens == 1 ? no_mask() : causal_mask();
  }
  if (tokens == 1) return padding_mask(mask);
  Mask whole = causal_padding_mask(mask);
  if (tokens < length) whole.bias = whole.bias.narrow(2, length - tokens, tokens);
  return whole;
}

namespace {

// The number of each token's sample, int64 [T].
at::Tensor samples_of(const std::vector<std::int64_t>& ends) {
  std::vector<std::int64_t> numbers;
  for (std::size_t i = 1; i < ends.size(); ++i) {
    numbers.insert(numbers.end(), static_cast<std::size_t>(ends[i] - ends[i - 1]),
                   static_cast<std::int64_t>(i));
  }
  return at::tensor(numbers, at::kLong);
}

}  // namespace

Mask sliding_mask(const Mask& mask, std::int64_t window, std::int64_t tokens, std::int64_t length,
                  const at::Device& device) {
  if (length <= window) return mask;
  const auto places = at::TensorOptions().dtype(at::kLong).device(device);
  const at::Tensor query = at::arange(length - tokens, length, places).unsqueeze(1);  // [T, 1]
  const at::Tensor key = at::arange(length, places).unsqueeze(0);                     // [1, S]
  at::Tensor visible = key > query - window;
  if (mask.causal) visible = visible.logical_and(key <= query);
  if (!mask.ends.empty()) {
    const at::Tensor sample = samples_of(mask.ends).to(device);
    visible = visible.logical_and(sample.unsqueeze(1).eq(sample.unsqueeze(0)));
  }
  const auto numbers = places.dtype(at::kFloat);
  const at::Tensor bias = mask.bias.defined() ? mask.bias : at::zeros({1, 1, 1, 1}, numbers);
  const at::Tensor lowest = at::zeros({}, numbers).add(std::numeric_limits<float>::lowest());
  return {at::where(visible, bias, lowest)};  // [1 or B, 1, T, S]
}

at::Tensor positions_of(const at::Tensor& mask) {
  return (mask.to(at::kLong).cumsum(1) - 1).clamp_min(0);
}

}  // namespace tandem::nn
