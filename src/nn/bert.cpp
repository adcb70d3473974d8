#include "tandem/nn/bert.h"

#include <ATen/ops/embedding.h>
#include <ATen/ops/linear.h>

#include "tandem/base/error.h"
#include "tandem/nn/dropout.h"
#include "tandem/nn/naming.h"

namespace tandem::nn {

BertEmbeddings::BertEmbeddings(const BertShape& s)
    : rate(s.dropout), pad_id(s.pad_id), add_positions(s.add_positions) {
  word_embeddings =
      register_module("word_embeddings", std::make_shared<Embedding>(s.vocab_size, s.width));
  position_embeddings =
      register_module("position_embeddings", std::make_shared<Embedding>(s.positions, s.width));
  if (s.types > 0) {
    token_type_embeddings =
        register_module("token_type_embeddings", std::make_shared<Embedding>(s.types, s.width));
  }
  LayerNorm_ = register_module("LayerNorm", std::make_shared<LayerNorm>(s.width, s.eps));
}

at::Tensor BertEmbeddings::forward(const at::Tensor& ids, const at::Tensor& positions) const {
  const std::int64_t length = ids.size(1), most = position_embeddings->weight.size(0);
  if (length > most) {
    throw Error(ErrorKind::data, "[text] expected at most " + std::to_string(most) +
                                     " tokens; got " + std::to_string(length));
  }
  at::Tensor x = at::embedding(word_embeddings->weight, ids, pad_id);
  if (token_type_embeddings) x = x + token_type_embeddings->weight[0];
  if (add_positions) {
    x = x + (positions.defined() ? position_embeddings->forward(positions)
                                 : position_embeddings->weight.narrow(0, 0, length));
  }
  return drop(LayerNorm_->forward(x), rate, is_training());
}

BertAttention::BertAttention(const BertShape& s, std::int64_t key_width, const std::string& maps)
    : heads(s.heads), rate(s.dropout), attention_rate(s.attention_dropout) {
  TANDEM_CHECK(heads > 0 && s.width % heads == 0,
               "[attention] expected heads that divide the width");
  const auto linear = [&](const std::string& path, std::int64_t in) {
    return register_module_at(*this, path, std::make_shared<Linear>(in, s.width));
  };
  query = linear(maps + ".query", s.width);
  key = linear(maps + ".key", key_width);
  value = linear(maps + ".value", key_width);
  dense = linear("output.dense", s.width);
  norm = register_module_at(*this, "output.LayerNorm", std::make_shared<LayerNorm>(s.width, s.eps));
}

at::Tensor BertAttention::forward(const at::Tensor& x, const at::Tensor& rows,
                                  const Mask& mask) const {
  const auto q = split_heads(query->forward(x), 1, heads);
  const auto k = split_heads(key->forward(rows), 1, heads);
  const auto v = split_heads(value->forward(rows), 1, heads);
  const at::Tensor seen = attend(q[0], k[0], v[0], mask, is_training() ? attention_rate : 0);
  return norm->forward(x + drop(dense->forward(seen), rate, is_training()));
}

BertLayer::BertLayer(const BertShape& s, bool cross, const BertLayer* shared)
    : activation(s.activation), rate(s.dropout) {
  attention = register_module("attention", std::make_shared<BertAttention>(s, s.width));
  const std::int64_t rows = s.encoder_width > 0 ? s.encoder_width : s.width;
  if (shared != nullptr) {
    if (shared->crossattention) {
      crossattention = register_module("crossattention", shared->crossattention);
    }
    intermediate = register_module_at(*this, "intermediate.dense", shared->intermediate);
    output = register_module_at(*this, "output.dense", shared->output);
    norm = register_module_at(*this, "output.LayerNorm", shared->norm);
    return;
  }
  if (cross) {
    crossattention = register_module("crossattention", std::make_shared<BertAttention>(s, rows));
  }
  intermediate =
      register_module_at(*this, "intermediate.dense", std::make_shared<Linear>(s.width, s.hidden));
  output = register_module_at(*this, "output.dense", std::make_shared<Linear>(s.hidden, s.width));
  norm = register_module_at(*this, "output.LayerNorm", std::make_shared<LayerNorm>(s.width, s.eps));
}

at::Tensor BertLayer::forward(const at::Tensor& x, const Mask& mask, const at::Tensor& image,
                              const Mask& image_mask) const {
  at::Tensor y = attention->forward(x, x, mask);
  if (crossattention && image.defined()) y = crossattention->forward(y, image, image_mask);
  const at::Tensor hidden = output->forward(activation(intermediate->forward(y)));
  return norm->forward(y + drop(hidden, rate, is_training()));
}

BertEncoder::BertEncoder(const BertShape& s, const BertEncoder* shared) {
  for (std::int64_t i = 0; i < s.layers; ++i) {
    const bool cross = s.cross_from >= 0 && i >= s.cross_from;
    const BertLayer* twin =
        shared == nullptr ? nullptr : shared->layers[static_cast<std::size_t>(i)].get();
    layers.push_back(register_module_at(*this, "layer." + std::to_string(i),
                                        std::make_shared<BertLayer>(s, cross, twin)));
  }
}

at::Tensor BertEncoder::forward(at::Tensor x, const Mask& mask, const at::Tensor& image,
                                const Mask& image_mask, const BlockContext& context,
                                std::int64_t first, std::int64_t last) const {
  const auto end = last < 0 ? layers.size() : static_cast<std::size_t>(last);
  for (auto i = static_cast<std::size_t>(first); i < end; ++i) {
    const auto block = [layer = layers[i], mask, image_mask](const std::vector<at::Tensor>& in) {
      return layer->forward(in[0], mask, in.size() > 1 ? in[1] : at::Tensor(), image_mask);
    };
    std::vector<at::Tensor> inputs{x};
    // A view for each layer: its keys' and values' gradients meet there first, as they do where the
    // layer is recomputed, so that the sum over the layers has the same bits.
    if (image.defined()) inputs.push_back(image.view_as(image));
    x = run_block(*layers[i], block, inputs, of_block(context, i));
  }
  return x;
}

BertModel::BertModel(const BertShape& s, const BertModel* shared) {
  embeddings = register_module(
      "embeddings", shared == nullptr ? std::make_shared<BertEmbeddings>(s) : shared->embeddings);
  encoder = register_module(
      "encoder", std::make_shared<BertEncoder>(s, shared == nullptr ? nullptr : &*shared->encoder));
}

at::Tensor BertModel::embed(const at::Tensor& ids, const BlockContext& context) const {
  const auto block = [part = embeddings](const std::vector<at::Tensor>& in) {
    return part->forward(in[0]);
  };
  return run_block(*embeddings, block, {ids}, of_part(context, "embeddings"));
}

at::Tensor BertModel::forward(const at::Tensor& ids, const Mask& mask, const at::Tensor& image,
                              const Mask& image_mask, const BlockContext& context) const {
  return encoder->forward(embed(ids, context), mask, image, image_mask, context);
}

PredictionHead::PredictionHead(std::int64_t width, std::int64_t vocab_size, double eps,
                               Activation activation, const std::string& bias_name,
                               const at::Tensor& tied)
    : activation(activation) {
  dense = register_module_at(*this, "transform.dense", std::make_shared<Linear>(width, width));
  norm = register_module_at(*this, "transform.LayerNorm", std::make_shared<LayerNorm>(width, eps));
  decoder = tied.defined() ? tied
                           : register_parameter_at(*this, "decoder.weight",
                                                   make_parameter({vocab_size, width}));
  bias = register_parameter_at(*this, bias_name, make_parameter({vocab_size}));
}

at::Tensor PredictionHead::forward(const at::Tensor& x) const {
  return at::linear(norm->forward(activation(dense->forward(x))), decoder, bias);
}

}  // namespace tandem::nn
