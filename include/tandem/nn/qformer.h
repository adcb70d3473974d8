#pragma once
// The querying transformer: learned queries and words go through one BERT. Self-attention is
// shared; each kind has a feed-forward part of its own; the queries alone look at the picture, in
// every n-th layer.
// Source: Li et al. 2023, section 3.1 and figure 2; salesforce/LAVIS:blip2_models/Qformer.py. The
// children have Hugging Face's names.
// Letters: B samples, Q queries, T tokens, S rows of a picture, D width.

#include <memory>
#include <vector>

#include "tandem/nn/bert.h"
#include "tandem/nn/linear.h"
#include "tandem/nn/mask.h"
#include "tandem/nn/mlp.h"
#include "tandem/nn/run_block.h"

namespace tandem::nn {

struct QFormerShape {
  std::int64_t width = 768, layers = 12, heads = 12, hidden = 3072;
  std::int64_t cross_every = 2, image_width = 1408;
  bool text = true;
  double eps = 1e-12, dropout = 0.1, attention_dropout = 0.1;
  Activation activation = erf_gelu;
};

struct QLayer : torch::nn::Module {
  // Their maps lie in "attention"; the second in every n-th layer.
  std::shared_ptr<BertAttention> attention, crossattention;
  std::shared_ptr<Linear> query_in, query_out, text_in, text_out;
  std::shared_ptr<LayerNorm> query_norm, text_norm;  // text_*: null without words
  Activation activation;
  double rate;

  QLayer(const QFormerShape& shape, bool cross);
  // The first `queries` rows of x [B, Q + T, D] are queries. before: rows that x also looks at and
  // that stand in front of it [B, Q, D], or undefined. image: [B, S, E], or undefined.
  at::Tensor forward(const at::Tensor& x, std::int64_t queries, const Mask& mask,
                     const at::Tensor& before, const at::Tensor& image) const;
};

// What went into each layer: from it a text looks at queries that went through before it
// ("cached keys and values": they are these rows' maps).
using LayerInputs = std::vector<at::Tensor>;

struct QFormer : torch::nn::Module {
  std::shared_ptr<LayerNorm> layernorm;  // of queries and words, before the first layer
  std::vector<std::shared_ptr<QLayer>> layers;
  double rate;

  explicit QFormer(const QFormerShape& shape);
  // x [B, Q + T, D] as embedded -> the same shape. before: of each layer, or null. inputs: filled
  // where it is not null.
  at::Tensor forward(const at::Tensor& x, std::int64_t queries, const Mask& mask,
                     const at::Tensor& image, const BlockContext& context,
                     const LayerInputs* before = nullptr, LayerInputs* inputs = nullptr) const;
};

// Words and their positions, which begin at 0 also behind queries: "word_embeddings" and
// "position_embeddings".
struct QWords : torch::nn::Module {
  std::shared_ptr<Embedding> word_embeddings, position_embeddings;
  std::int64_t pad_id;

  QWords(std::int64_t vocab_size, std::int64_t positions, std::int64_t width, std::int64_t pad_id);
  // ids [B, T] -> [B, T, D]. Throws Error(data) when there are more tokens than positions.
  at::Tensor forward(const at::Tensor& ids) const;
};

}  // namespace tandem::nn
