#include "tandem/nn/qformer.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>

#include <string>

#include "tandem/base/error.h"
#include "tandem/nn/dropout.h"
#include "tandem/nn/naming.h"

namespace tandem::nn {
namespace {

std::shared_ptr<BertAttention> make_attention(const QFormerShape& s, std::int64_t key_width) {
  BertShape bert;
  bert.width = s.width;
  bert.heads = s.heads;
  bert.eps = s.eps;
  bert.dropout = s.dropout;
  bert.attention_dropout = s.attention_dropout;
  return std::make_shared<BertAttention>(bert, key_width, "attention");
}

}  // namespace

QLayer::QLayer(const QFormerShape& s, bool cross) : activation(s.activation), rate(s.dropout) {
  attention = register_module("attention", make_attention(s, s.width));
  if (cross) {
    crossattention = register_module("crossattention", make_attention(s, s.image_width));
  }
  const auto part = [&](const std::string& suffix, std::shared_ptr<Linear>& in,
                        std::shared_ptr<Linear>& out, std::shared_ptr<LayerNorm>& norm) {
    in = register_module_at(*this, "intermediate" + suffix + ".dense",
                            std::make_shared<Linear>(s.width, s.hidden));
    out = register_module_at(*this, "output" + suffix + ".dense",
                             std::make_shared<Linear>(s.hidden, s.width));
    norm = register_module_at(*this, "output" + suffix + ".LayerNorm",
                              std::make_shared<LayerNorm>(s.width, s.eps));
  };
  if (s.text) part("", text_in, text_out, text_norm);
  part("_query", query_in, query_out, query_norm);
}

at::Tensor QLayer::forward(const at::Tensor& x, std::int64_t queries, const Mask& mask,
                           const at::Tensor& before, const at::Tensor& image) const {
  const at::Tensor keys = before.defined() ? at::cat({before, x}, 1) : x;
  const at::Tensor y = attention->forward(x, keys, mask);
  const auto fed = [&](const at::Tensor& in, const Linear& a, const Linear& b,
                       const LayerNorm& norm) {
    const at::Tensor hidden = b.forward(activation(a.forward(in)));
    return norm.forward(in + drop(hidden, rate, is_training()));
  };
  const std::int64_t words = x.size(1) - queries;
  at::Tensor of_words, of_queries;
  if (words > 0) of_words = fed(y.narrow(1, queries, words), *text_in, *text_out, *text_norm);
  if (queries > 0) {
    at::Tensor rows = y.narrow(1, 0, queries);
    if (crossattention) rows = crossattention->forward(rows, image, no_mask());
    of_queries = fed(rows, *query_in, *query_out, *query_norm);
  }
  if (words == 0) return of_queries;
  return queries == 0 ? of_words : at::cat({of_queries, of_words}, 1);
}

QFormer::QFormer(const QFormerShape& s) : rate(s.dropout) {
  layernorm = register_module("layernorm", std::make_shared<LayerNorm>(s.width, s.eps));
  for (std::int64_t i = 0; i < s.layers; ++i) {
    layers.push_back(register_module_at(*this, "encoder.layer." + std::to_string(i),
                                        std::make_shared<QLayer>(s, i % s.cross_every == 0)));
  }
}

at::Tensor QFormer::forward(const at::Tensor& embedded, std::int64_t queries, const Mask& mask,
                            const at::Tensor& image, const BlockContext& context,
                            const LayerInputs* before, LayerInputs* inputs) const {
  const auto first = [this](const std::vector<at::Tensor>& in) {
    return drop(layernorm->forward(in[0]), rate, is_training());
  };
  at::Tensor x = run_block(*layernorm, first, {embedded}, of_part(context, "embeddings"));
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const bool looks = image.defined() && layers[i]->crossattention != nullptr;
    const bool follows = before != nullptr;
    const auto block = [layer = layers[i], queries, mask, looks,
                        follows](const std::vector<at::Tensor>& in) {
      const at::Tensor none;
      return layer->forward(in[0], queries, mask, follows ? in[1] : none, looks ? in.back() : none);
    };
    if (inputs != nullptr) inputs->push_back(x);
    // Views: what several layers or passes read sums its gradients in the same order whether or not
    // a block is recomputed.
    std::vector<at::Tensor> in{inputs != nullptr ? x.view_as(x) : x};
    if (follows) in.push_back((*before)[i].view_as((*before)[i]));
    if (looks) in.push_back(image.view_as(image));
    x = run_block(*layers[i], block, in, of_block(context, i));
  }
  return x;
}

QWords::QWords(std::int64_t vocab_size, std::int64_t positions, std::int64_t width,
               std::int64_t pad_id)
    : pad_id(pad_id) {
  word_embeddings =
      register_module("word_embeddings", std::make_shared<Embedding>(vocab_size, width));
  position_embeddings =
      register_module("position_embeddings", std::make_shared<Embedding>(positions, width));
}

at::Tensor QWords::forward(const at::Tensor& ids) const {
  const std::int64_t length = ids.size(1), most = position_embeddings->weight.size(0);
  if (length > most) {
    throw Error(ErrorKind::data, "[text] expected at most " + std::to_string(most) +
                                     " tokens; got " + std::to_string(length));
  }
  return at::embedding(word_embeddings->weight, ids, pad_id) +
         position_embeddings->weight.narrow(0, 0, length);
}

}  // namespace tandem::nn
