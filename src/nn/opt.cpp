#include "tandem/nn/opt.h"

#include <ATen/ops/cumsum.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/relu.h>

#include <string>
#include <tuple>

#include "tandem/base/error.h"
#include "tandem/nn/attention.h"
#include "tandem/nn/decoder.h"
#include "tandem/nn/dropout.h"
#include "tandem/nn/naming.h"

namespace tandem::nn {
namespace {

constexpr double opt_norm_eps = 1e-5;
constexpr std::int64_t opt_offset =
    2;  // the first two rows of positions: padding's, and an unused one

}  // namespace

OptNorm::OptNorm(std::int64_t width, bool with_weights) : width(width) {
  if (!with_weights) return;
  weight = register_parameter("weight", make_parameter({width}));
  bias = register_parameter("bias", make_parameter({width}));
}

at::Tensor OptNorm::forward(const at::Tensor& x) const {
  return at::layer_norm(x, {width}, weight, bias, opt_norm_eps);
}

OptLayer::OptLayer(const OptShape& s) : shape(s) {
  TANDEM_CHECK(s.heads > 0 && s.width % s.heads == 0,
               "[attention] expected heads that divide the width");
  const auto linear = [&](const char* path, std::int64_t in, std::int64_t out) {
    return register_module_at(*this, path, std::make_shared<Linear>(in, out, s.bias));
  };
  const auto norm = [&](const char* name) {
    return register_module(name, std::make_shared<OptNorm>(s.width, s.norm_weights));
  };
  k_proj = linear("self_attn.k_proj", s.width, s.width);
  v_proj = linear("self_attn.v_proj", s.width, s.width);
  q_proj = linear("self_attn.q_proj", s.width, s.width);
  out_proj = linear("self_attn.out_proj", s.width, s.width);
  self_attn_layer_norm = norm("self_attn_layer_norm");
  fc1 = linear("fc1", s.width, s.hidden);
  fc2 = linear("fc2", s.hidden, s.width);
  final_layer_norm = norm("final_layer_norm");
}

at::Tensor OptLayer::forward(const at::Tensor& x, const Mask& mask, KvCache* cache,
                             std::size_t number) const {
  const bool before = shape.norm_before;
  const at::Tensor normed = before ? self_attn_layer_norm->forward(x) : x;
  const auto heads_of = [&](const Linear& linear) {
    return split_heads(linear.forward(normed), 1, shape.heads)[0];
  };
  const at::Tensor q = heads_of(*q_proj);
  at::Tensor k = heads_of(*k_proj), v = heads_of(*v_proj);
  if (cache != nullptr) std::tie(k, v) = cache->append(number, k, v);
  const double rate = is_training() ? shape.attention_dropout : 0;
  const at::Tensor seen = out_proj->forward(attend(q, k, v, mask, rate));
  at::Tensor y = x + drop(seen, shape.dropout, is_training());
  if (!before) y = self_attn_layer_norm->forward(y);
  const at::Tensor in = fc1->forward(before ? final_layer_norm->forward(y) : y);
  const at::Tensor hidden = shape.activation == nullptr ? at::relu(in) : shape.activation(in);
  const at::Tensor out = y + drop(fc2->forward(hidden), shape.dropout, is_training());
  return before ? out : final_layer_norm->forward(out);
}

Opt::Opt(const OptShape& s) : shape(s) {
  const auto part = [&](const std::string& path, auto module) {
    return register_module_at(*this, "model.decoder." + path, std::move(module));
  };
  embed_tokens = part("embed_tokens", std::make_shared<Embedding>(s.vocab_size, s.words()));
  embed_positions =
      part("embed_positions", std::make_shared<Embedding>(s.positions + opt_offset, s.width));
  if (s.words() != s.width) {
    project_out = part("project_out", std::make_shared<Linear>(s.width, s.words(), false));
    project_in = part("project_in", std::make_shared<Linear>(s.words(), s.width, false));
  }
  if (s.norm_before && s.last_norm) {
    final_layer_norm = part("final_layer_norm", std::make_shared<OptNorm>(s.width, s.norm_weights));
  }
  for (std::int64_t i = 0; i < s.layers; ++i) {
    layers.push_back(part("layers." + std::to_string(i), std::make_shared<OptLayer>(s)));
  }
  head = s.tied ? embed_tokens->weight
                : register_parameter_at(*this, "lm_head.weight",
                                        make_parameter({s.vocab_size, s.words()}));
}

at::Tensor opt_positions(const at::Tensor& mask) { return at::cumsum(mask, 1) * mask - 1; }

at::Tensor Opt::embed(const at::Tensor& ids) const {
  return at::embedding(embed_tokens->weight, ids, shape.pad_id);
}

at::Tensor Opt::forward(const at::Tensor& words, const at::Tensor& given,
                        const BlockContext& context, KvCache* cache) const {
  const std::int64_t queries = words.size(1);
  const std::int64_t earlier = cache == nullptr ? 0 : cache->length();
  const at::Tensor mask = given.defined() ? given.to(at::kLong)
                                          : at::ones({words.size(0), earlier + queries},
                                                     words.options().dtype(at::kLong));
  TANDEM_CHECK(mask.size(1) == earlier + queries, "[opt] expected a mask of all keys");
  expect_room(mask.size(1));
  const at::Tensor positions = opt_positions(mask).narrow(1, earlier, queries);
  return forward_at(words, positions, decoder_mask(mask, queries, /*every_token=*/!given.defined()),
                    context, cache);
}

void Opt::expect_room(std::int64_t tokens) const {
  if (tokens <= shape.positions) return;
  throw Error(ErrorKind::data, "[text] expected at most " + std::to_string(shape.positions) +
                                   " tokens; got " + std::to_string(tokens));
}

at::Tensor Opt::forward_at(const at::Tensor& words, const at::Tensor& positions, const Mask& seen,
                           const BlockContext& context, KvCache* cache) const {
  at::Tensor x = project_in ? project_in->forward(words) : words;
  x = x + embed_positions->forward(positions + opt_offset);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto block = [layer = layers[i], seen, cache, i](const std::vector<at::Tensor>& in) {
      return layer->forward(in[0], seen, cache, i);
    };
    x = run_block(*layers[i], block, {x}, of_block(context, i));
  }
  if (final_layer_norm) x = final_layer_norm->forward(x);
  return project_out ? project_out->forward(x) : x;
}

at::Tensor Opt::logits(const at::Tensor& rows) const { return at::linear(rows, head); }

}  // namespace tandem::nn
