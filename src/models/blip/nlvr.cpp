#include "models/blip/nlvr.h"

#include <ATen/ops/cat.h>

#include <string>

#include "tandem/base/error.h"
#include "tandem/nn/dropout.h"
#include "tandem/nn/naming.h"
#include "tandem/nn/vit.h"

namespace tandem::models::blip {

TwinAttention::TwinAttention(const nn::BertShape& s, bool merges)
    : heads(s.heads), rate(s.dropout), attention_rate(s.attention_dropout) {
  const auto linear = [&](const std::string& path, std::int64_t in) {
    return nn::register_module_at(*this, path, std::make_shared<nn::Linear>(in, s.width));
  };
  for (const int i : {0, 1}) {
    const std::string number = std::to_string(i), self = "self" + number;
    halves[i] = {linear(self + ".query", s.width), linear(self + ".key", s.encoder_width),
                 linear(self + ".value", s.encoder_width),
                 linear("output.dense" + number, s.width)};
  }
  if (merges) merge = linear("output.merge_layer", 2 * s.width);
  norm = nn::register_module_at(*this, "output.LayerNorm",
                                std::make_shared<nn::LayerNorm>(s.width, s.eps));
}

at::Tensor TwinAttention::half(const Half& part, const at::Tensor& x,
                               const at::Tensor& rows) const {
  const auto q = nn::split_heads(part.query->forward(x), 1, heads);
  const auto k = nn::split_heads(part.key->forward(rows), 1, heads);
  const auto v = nn::split_heads(part.value->forward(rows), 1, heads);
  const double dropped = is_training() ? attention_rate : 0;
  return part.dense->forward(nn::attend(q[0], k[0], v[0], nn::no_mask(), dropped));
}

at::Tensor TwinAttention::forward(const at::Tensor& x, const at::Tensor& first,
                                  const at::Tensor& second) const {
  const at::Tensor a = half(halves[0], x, first), b = half(halves[1], x, second);
  const at::Tensor joined = merge ? merge->forward(at::cat({a, b}, -1)) : (a + b) / 2;
  return norm->forward(x + nn::drop(joined, rate, is_training()));
}

TwinLayer::TwinLayer(const nn::BertShape& s, bool merges)
    : activation(s.activation), rate(s.dropout) {
  attention = register_module("attention", std::make_shared<nn::BertAttention>(s, s.width));
  crossattention = register_module("crossattention", std::make_shared<TwinAttention>(s, merges));
  intermediate = nn::register_module_at(*this, "intermediate.dense",
                                        std::make_shared<nn::Linear>(s.width, s.hidden));
  output = nn::register_module_at(*this, "output.dense",
                                  std::make_shared<nn::Linear>(s.hidden, s.width));
  norm = nn::register_module_at(*this, "output.LayerNorm",
                                std::make_shared<nn::LayerNorm>(s.width, s.eps));
}

at::Tensor TwinLayer::forward(const at::Tensor& x, const nn::Mask& mask, const at::Tensor& first,
                              const at::Tensor& second) const {
  const at::Tensor y = crossattention->forward(attention->forward(x, x, mask), first, second);
  const at::Tensor hidden = output->forward(activation(intermediate->forward(y)));
  return norm->forward(y + nn::drop(hidden, rate, is_training()));
}

TwinEncoder::TwinEncoder(const nn::BertShape& s) {
  embeddings = register_module("embeddings", std::make_shared<nn::BertEmbeddings>(s));
  for (std::int64_t i = 0; i < s.layers; ++i) {
    layers.push_back(
        nn::register_module_at(*this, "encoder.layer." + std::to_string(i),
                               std::make_shared<TwinLayer>(s, i >= first_merging_layer)));
  }
}

at::Tensor TwinEncoder::forward(const at::Tensor& ids, const nn::Mask& mask,
                                const at::Tensor& first, const at::Tensor& second,
                                const nn::BlockContext& context) const {
  const auto embed = [part = embeddings](const std::vector<at::Tensor>& in) {
    return part->forward(in[0]);
  };
  at::Tensor x = nn::run_block(*embeddings, embed, {ids}, nn::of_part(context, "embeddings"));
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto block = [layer = layers[i], mask](const std::vector<at::Tensor>& in) {
      return layer->forward(in[0], mask, in[1], in[2]);
    };
    x = nn::run_block(*layers[i], block, {x, first.view_as(first), second.view_as(second)},
                      nn::of_block(context, i));
  }
  return x;
}

}  // namespace tandem::models::blip
