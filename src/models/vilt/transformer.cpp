#include "models/vilt/transformer.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/tanh.h>

#include "models/vilt/layout.h"
#include "tandem/base/error.h"
#include "tandem/nn/attention.h"
#include "tandem/nn/dropout.h"
#include "tandem/nn/naming.h"
#include "tandem/nn/vit.h"

namespace tandem::models::vilt {
namespace {

nn::BertShape text_shape(const Config& c) {
  nn::BertShape shape;
  shape.width = c.width;
  shape.vocab_size = c.text.vocab_size;
  shape.positions = c.text.context_length;
  shape.types = c.text.types;
  shape.eps = c.text.layer_norm_eps;
  shape.dropout = c.dropout;
  return shape;
}

Grid batch_grid(const Images& images, std::int64_t patch) {
  return {images.pixels.size(2) / patch, images.pixels.size(3) / patch};
}

}  // namespace

// --- Words -----------------------------------------------------------------------------------

TextEmbeddings::TextEmbeddings(const nn::BertShape& shape, std::int64_t unlearned)
    : nn::BertEmbeddings(shape), unlearned(unlearned) {}

at::Tensor TextEmbeddings::words(const at::Tensor& ids) const {
  return at::embedding(word_embeddings->weight, ids, unlearned);
}

at::Tensor TextEmbeddings::embed(const at::Tensor& words, const at::Tensor& types) const {
  const std::int64_t length = words.size(1), most = position_embeddings->weight.size(0);
  if (length > most) {
    throw Error(ErrorKind::data, "[text] expected at most " + std::to_string(most) +
                                     " tokens; got " + std::to_string(length));
  }
  const at::Tensor type =
      types.defined() ? token_type_embeddings->forward(types) : token_type_embeddings->weight[0];
  const at::Tensor sum = words + type + position_embeddings->weight.narrow(0, 0, length);
  return nn::drop(LayerNorm_->forward(sum), rate, is_training());
}

// --- Words and patches -----------------------------------------------------------------------

Embeddings::Embeddings(const Config& c) : most_patches(c.most_patches), rate(c.dropout) {
  for (std::size_t i = 0; i < 3; ++i) {
    statistics.mean[i] = c.image.mean[i];
    statistics.std[i] = c.image.std[i];
  }
  text_embeddings = register_module(
      "text_embeddings", std::make_shared<TextEmbeddings>(text_shape(c), c.text.unlearned));
  cls_token = register_parameter("cls_token", nn::make_parameter({1, 1, c.width}));
  position_embeddings = register_parameter(
      "position_embeddings", nn::make_parameter({1, 1 + c.grid() * c.grid(), c.width}));
  projection =
      nn::register_module_at(*this, "patch_embeddings.projection",
                             std::make_shared<nn::PatchEmbed>(c.patch_size, c.width, true));
  token_type_embeddings = register_module("token_type_embeddings",
                                          std::make_shared<nn::Embedding>(c.modalities, c.width));
}

at::Tensor Embeddings::text(const PairInput& input) const {
  const at::Tensor words =
      input.words.defined() ? input.words : text_embeddings->words(input.text.ids);
  return text_embeddings->embed(words, input.types) + token_type_embeddings->weight[0];
}

at::Tensor Embeddings::patches(const Images& images, const PatchRows& rows, Grid grid,
                               bool padded) const {
  const at::Device device = images.pixels.device();
  const PatchIndex index = index_patches(rows, grid, padded);
  const std::int64_t side = projection->patch;
  const at::Tensor whole =
      images.pixels.narrow(2, 0, grid.rows * side).narrow(3, 0, grid.columns * side);
  const at::Tensor cut = whole.reshape({rows.batch, 3, grid.rows, side, grid.columns, side})
                             .permute({0, 2, 4, 1, 3, 5})
                             .reshape({rows.batch * grid.rows * grid.columns, 3, side, side});
  const at::Tensor seen = cut.index_select(0, index_tensor(index.cells, device));
  const at::Tensor pixels = nn::normalize_pixels(seen, statistics).flatten(1);
  const at::Tensor x = at::linear(pixels, projection->weight.flatten(1), projection->bias);
  const at::Tensor table = resized_positions(position_embeddings, rows.grids);
  return x + at::embedding(table, index_tensor(index.positions, device));
}

at::Tensor Embeddings::join(const PairInput& input, const at::Tensor& text,
                            const at::Tensor& picture) const {
  const at::Tensor seen = nn::drop(picture, rate, is_training());
  return at::cat({text, seen + token_type_embeddings->weight[input.modality]}, 1);
}

at::Tensor Embeddings::forward(const PairInput& input, const std::optional<Key>& key,
                               Layout& layout) const {
  const at::Tensor words = text(input);  // [B, T, D]
  const std::int64_t batch = words.size(0), width = words.size(2);
  if (input.patches.defined()) {
    layout = padded_layout(input, input.images.mask.flatten(1).ne(0), words.device());
    return at::cat({words, input.patches + token_type_embeddings->weight[input.modality]}, 1);
  }
  const Grid grid = batch_grid(input.images, projection->patch);
  const PatchRows rows = choose_patches(visible_cells(input.images, projection->patch), grid,
                                        most_patches, key ? key->fold("patches") : Key(0));
  const at::Tensor first = (cls_token + position_embeddings.narrow(1, 0, 1)).expand({batch, 1, -1});
  const at::Tensor seen = patches(input.images, rows, grid, !input.pack);
  if (!input.pack) {
    layout = padded_layout(input, picture_mask_of(rows), words.device());
    return join(input, words, at::cat({first, seen.view({batch, -1, width})}, 1));
  }
  layout = packed_layout(input, rows, words.device());
  const at::Tensor picture = nn::drop(at::cat({first.squeeze(1), seen}), rate, is_training());
  const at::Tensor all =
      at::cat({words.flatten(0, 1), picture + token_type_embeddings->weight[input.modality]});
  return all.index_select(0, layout.order);  // [S, D]
}

// --- The transformer -------------------------------------------------------------------------

Layer::Layer(const Config& c)
    : heads(c.heads),
      activation(nn::activation_of(c.activation)),
      rate(c.dropout),
      attention_rate(c.attention_dropout) {
  const auto linear = [&](const char* path, std::int64_t in, std::int64_t out, bool bias) {
    return nn::register_module_at(*this, path, std::make_shared<nn::Linear>(in, out, bias));
  };
  query = linear("attention.attention.query", c.width, c.width, c.qkv_bias);
  key = linear("attention.attention.key", c.width, c.width, c.qkv_bias);
  value = linear("attention.attention.value", c.width, c.width, c.qkv_bias);
  dense = linear("attention.output.dense", c.width, c.width, true);
  intermediate = linear("intermediate.dense", c.width, c.hidden(), true);
  output = linear("output.dense", c.hidden(), c.width, true);
  const auto norm = [&](const char* name) {
    return register_module(name, std::make_shared<nn::LayerNorm>(c.width, c.layer_norm_eps));
  };
  layernorm_before = norm("layernorm_before");
  layernorm_after = norm("layernorm_after");
}

// packed: [B, L, 3 D] or [S, 3 D], queries, keys and values side by side.
at::Tensor Layer::attend(const at::Tensor& packed, const Layout& layout) const {
  const double dropout = is_training() ? attention_rate : 0;
  if (!layout.packed()) {
    const auto qkv = nn::split_heads(packed, 3, heads);
    return nn::attend(qkv[0], qkv[1], qkv[2], layout.mask, dropout);
  }
  std::vector<at::Tensor> samples;
  for (const at::Tensor& sample : packed.split_with_sizes(layout.lengths, 0)) {
    const auto qkv = nn::split_heads(sample.unsqueeze(0), 3, heads);
    samples.push_back(nn::attend(qkv[0], qkv[1], qkv[2], nn::no_mask(), dropout).squeeze(0));
  }
  return at::cat(samples);
}

at::Tensor Layer::forward(const at::Tensor& x, const Layout& layout) const {
  const at::Tensor weight = at::cat({query->weight, key->weight, value->weight});
  const at::Tensor bias =
      query->bias.defined() ? at::cat({query->bias, key->bias, value->bias}) : at::Tensor();
  const at::Tensor normed = layernorm_before->forward(x);
  const at::Tensor packed = nn::add_adapters(at::linear(normed, weight, bias), normed,
                                             {query.get(), key.get(), value.get()});
  const at::Tensor seen = dense->forward(attend(packed, layout));
  const at::Tensor y = x + nn::drop(seen, rate, is_training());
  const at::Tensor hidden = activation(intermediate->forward(layernorm_after->forward(y)));
  const at::Tensor out = output->forward(nn::drop(hidden, rate, is_training()));
  return y + nn::drop(out, rate, is_training());
}

Vilt::Vilt(const Config& c) {
  embeddings = register_module("embeddings", std::make_shared<Embeddings>(c));
  for (std::int64_t i = 0; i < c.layers; ++i) {
    layers.push_back(nn::register_module_at(*this, "encoder.layer." + std::to_string(i),
                                            std::make_shared<Layer>(c)));
  }
  layernorm =
      register_module("layernorm", std::make_shared<nn::LayerNorm>(c.width, c.layer_norm_eps));
  if (c.pooled()) {
    pooler = nn::register_module_at(*this, "pooler.dense",
                                    std::make_shared<nn::Linear>(c.width, c.width));
  }
}

PairOutput Vilt::forward(const PairInput& input, const nn::BlockContext& context) const {
  Layout layout;
  const nn::BlockContext own = nn::of_part({.recompute = false, .key = context.key}, "embeddings");
  const at::Tensor& seed = input.words.defined() ? input.words : input.text.ids;
  const auto embed = [&](const std::vector<at::Tensor>&) {
    return embeddings->forward(input, context.key, layout);
  };
  at::Tensor x = nn::run_block(*embeddings, embed, {seed}, own);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto block = [layer = layers[i], layout](const std::vector<at::Tensor>& in) {
      return layer->forward(in[0], layout);
    };
    x = nn::run_block(*layers[i], block, {x}, nn::of_block(context, i));
  }
  return {layernorm->forward(x), layout};
}

at::Tensor Vilt::pool(const PairOutput& output) const {
  return at::tanh(pooler->forward(output.first()));
}

}  // namespace tandem::models::vilt
