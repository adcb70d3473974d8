#pragma once
// T5: an encoder and a decoder with a learned bias for relative positions, RMS norms and no bias
// anywhere; attention does not divide by the square root of the head's width.
// Source: Raffel et al. 2020 (arXiv:1910.10683), section 2.1; transformers:modeling_t5.py, whose
// names the children have.
// Letters: B texts, T tokens, S tokens of the encoder, H heads, D width, V vocabulary.

#include <memory>
#include <utility>
#include <vector>

#include "tandem/nn/kv_cache.h"
#include "tandem/nn/linear.h"
#include "tandem/nn/mlp.h"
#include "tandem/nn/rms_norm.h"
#include "tandem/nn/run_block.h"

namespace tandem::nn {

struct T5Shape {
  std::int64_t width = 512, head_width = 64, heads = 8, hidden = 2048;
  std::int64_t layers = 6, decoder_layers = 6, vocab_size = 32128;
  std::int64_t buckets = 32, max_distance = 128;
  Activation activation = erf_gelu;
  bool gated = true;   // act(wi_0 x) * wi_1 x, else act(wi x)
  bool tied = true;    // the head is the table of words
  bool scaled = true;  // rows are multiplied by 1 / sqrt(width) before the head
  double eps = 1e-6, dropout = 0.1;
};

// Bucket of each key's distance from each query, int64 [queries, keys]; the queries are the last
// ones of `keys`. Half of the buckets are exact, the rest grow logarithmically to max_distance;
// looking both ways, each direction has half of them.
at::Tensor relative_buckets(std::int64_t queries, std::int64_t keys, bool both_ways,
                            std::int64_t buckets, std::int64_t max_distance,
                            const at::Device& device);

// [B, H, T, d] each.
using KeysAndValues = std::pair<at::Tensor, at::Tensor>;

struct T5Attention : torch::nn::Module {
  std::shared_ptr<Linear> q, k, v, o;
  std::shared_ptr<Embedding> relative_attention_bias;  // [buckets, H], of the first block only
  std::int64_t heads;
  double rate;

  T5Attention(const T5Shape& shape, bool relative);
  KeysAndValues keys_of(const at::Tensor& rows) const;  // [B, S, D]
  // Queries of x [B, T, D]; bias [1 or B, H or 1, T, S], or undefined.
  at::Tensor forward(const at::Tensor& x, const KeysAndValues& rows, const at::Tensor& bias) const;
};

// What the decoder has seen: its own keys and values, and those of the encoder's rows, which do not
// change.
struct T5Cache {
  KvCache own;
  std::vector<KeysAndValues> rows;  // of each block; empty: not computed yet

  explicit T5Cache(std::int64_t layers) : own(layers) {}
  void reorder(const at::Tensor& order);  // as KvCache's
};

// layer.0 looks at its own side, layer.1 of a decoder at the encoder's rows, the last one is the
// MLP. Each: x + part(norm x).
struct T5Block : torch::nn::Module {
  std::shared_ptr<T5Attention> self, cross;  // cross: null in the encoder
  std::shared_ptr<RmsNorm> self_norm, cross_norm, mlp_norm;
  std::shared_ptr<Linear> wi, wi_1, wo;  // wi: "wi_0" where gated
  Activation activation;
  double rate;

  T5Block(const T5Shape& shape, bool decodes, bool relative);
  // bias: what relative positions and masks add. rows and rows_bias: of the encoder.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& bias, const at::Tensor& rows,
                     const at::Tensor& rows_bias, T5Cache* cache = nullptr,
                     std::size_t number = 0) const;
};

struct T5Stack : torch::nn::Module {
  std::vector<std::shared_ptr<T5Block>> blocks;  // "block.N"
  std::shared_ptr<RmsNorm> final_layer_norm;
  T5Shape shape;
  bool decodes;

  T5Stack(const T5Shape& shape, bool decodes);
  // x [B, T, D]; mask, rows_mask: int64 [B, T (all keys)] and [B, S], undefined: all are tokens.
  // cache: what was seen before these T tokens, extended by them; or null.
  at::Tensor forward(at::Tensor x, const at::Tensor& mask, const at::Tensor& rows,
                     const at::Tensor& rows_mask, const BlockContext& context,
                     T5Cache* cache = nullptr) const;

 private:
  at::Tensor position_bias(std::int64_t queries, std::int64_t keys) const;  // [1, H, T, keys]
};

struct T5 : torch::nn::Module {
  std::shared_ptr<Embedding> shared;  // [V, D]
  std::shared_ptr<T5Stack> encoder, decoder;
  at::Tensor head;  // [V, D]
  T5Shape shape;

  explicit T5(const T5Shape& shape);
  at::Tensor embed(const at::Tensor& ids) const { return shared->forward(ids); }
  // Rows of the decoder as the head reads them.
  at::Tensor decode(const at::Tensor& words, const at::Tensor& mask, const at::Tensor& rows,
                    const at::Tensor& rows_mask, const BlockContext& context,
                    T5Cache* cache = nullptr) const;
  at::Tensor logits(const at::Tensor& rows) const;  // [..., D] -> [..., V]
};

// Labels [B, T] moved by one, `start` in front, -100 as `pad`: what the decoder is fed.
at::Tensor shifted_right(const at::Tensor& labels, std::int64_t start, std::int64_t pad);

}  // namespace tandem::nn
