#pragma once
// BERT, with the norm behind each part, and its relatives with cross-attention and with a causal
// mask: one text transformer that encodes, grounds in a picture and decodes.
// Source: Devlin et al. 2019; transformers:modeling_bert.py (whose names the children have);
// salesforce/BLIP:models/med.py; salesforce/ALBEF:models/xbert.py.
// Letters: B texts, T tokens, S rows of the other side (a picture's), D width, V vocabulary.

#include <memory>
#include <string>
#include <vector>

#include "tandem/nn/attention.h"
#include "tandem/nn/mlp.h"
#include "tandem/nn/run_block.h"

namespace tandem::nn {

struct BertShape {
  std::int64_t width = 768, layers = 12, heads = 12, hidden = 3072;
  std::int64_t vocab_size = 30522, positions = 512;
  std::int64_t types = 2;  // rows of token_type_embeddings, of which row 0 is added; 0: none
  double eps = 1e-12;
  Activation activation = erf_gelu;
  double dropout = 0.1, attention_dropout = 0.1;
  std::int64_t cross_from = -1;    // the first layer with cross-attention; -1: none has it
  std::int64_t encoder_width = 0;  // of the rows that cross-attention looks at; 0: width
  std::int64_t pad_id = -1;   // the word whose row learns nothing from being looked up; -1: none
  bool add_positions = true;  // false: the table of positions is there, and not added
};

// LayerNorm(word + position + type 0), then dropout.
struct BertEmbeddings : torch::nn::Module {
  std::shared_ptr<Embedding> word_embeddings, position_embeddings, token_type_embeddings;
  std::shared_ptr<LayerNorm> LayerNorm_;
  double rate;
  std::int64_t pad_id;
  bool add_positions;

  explicit BertEmbeddings(const BertShape& shape);
  // ids [B, T] -> [B, T, D]; positions: undefined (0, 1, 2, ...) or int64 [1 or B, T]. Throws
  // Error(data) when there are more tokens than positions.
  at::Tensor forward(const at::Tensor& ids, const at::Tensor& positions = {}) const;
};

// MAPS.{query, key, value}, output.{dense, LayerNorm}: LayerNorm(x + dropout(dense(attend))).
struct BertAttention : torch::nn::Module {
  std::shared_ptr<Linear> query, key, value, dense;
  std::shared_ptr<LayerNorm> norm;
  std::int64_t heads;
  double rate, attention_rate;

  // Of the shape: width, heads, eps and the shares that are dropped.
  BertAttention(const BertShape& shape, std::int64_t key_width, const std::string& maps = "self");
  // Queries of x [B, T, D], keys and values of `rows` [B, S, E] (x itself in self-attention).
  at::Tensor forward(const at::Tensor& x, const at::Tensor& rows, const Mask& mask) const;
};

struct BertLayer : torch::nn::Module {
  std::shared_ptr<BertAttention> attention, crossattention;  // the second may be null
  std::shared_ptr<Linear> intermediate, output;
  std::shared_ptr<LayerNorm> norm;  // output.LayerNorm
  Activation activation;
  double rate;

  // All but self-attention is that of `shared` where it is given (the same modules, not copies).
  BertLayer(const BertShape& shape, bool cross, const BertLayer* shared = nullptr);
  // image: [B, S, E], or undefined: cross-attention is left out.
  at::Tensor forward(const at::Tensor& x, const Mask& mask, const at::Tensor& image,
                     const Mask& image_mask) const;
};

struct BertEncoder : torch::nn::Module {
  std::vector<std::shared_ptr<BertLayer>> layers;  // "layer.N"

  explicit BertEncoder(const BertShape& shape, const BertEncoder* shared = nullptr);
  // Layers [first, last); last -1: to the end. x [B, T, D] -> [B, T, D].
  at::Tensor forward(at::Tensor x, const Mask& mask, const at::Tensor& image,
                     const Mask& image_mask, const BlockContext& context, std::int64_t first = 0,
                     std::int64_t last = -1) const;
};

struct BertModel : torch::nn::Module {
  std::shared_ptr<BertEmbeddings> embeddings;
  std::shared_ptr<BertEncoder> encoder;

  explicit BertModel(const BertShape& shape, const BertModel* shared = nullptr);
  // The embeddings draw (dropout) under their own key too.
  at::Tensor embed(const at::Tensor& ids, const BlockContext& context) const;
  at::Tensor forward(const at::Tensor& ids, const Mask& mask, const at::Tensor& image,
                     const Mask& image_mask, const BlockContext& context) const;
};

// Tokens from rows: decoder(LayerNorm(act(dense x))) + bias, as
// "transform.dense", "transform.LayerNorm", "decoder.weight" and `bias_name`.
struct PredictionHead : torch::nn::Module {
  std::shared_ptr<Linear> dense;
  std::shared_ptr<LayerNorm> norm;
  at::Tensor decoder;  // [V, D]
  at::Tensor bias;     // [V]
  Activation activation;

  // tied: the decoder's weight when another part owns it (it is not registered here then).
  PredictionHead(std::int64_t width, std::int64_t vocab_size, double eps, Activation activation,
                 const std::string& bias_name, const at::Tensor& tied = {});
  at::Tensor forward(const at::Tensor& x) const;  // [..., D] -> [..., V]
};

}  // namespace tandem::nn
