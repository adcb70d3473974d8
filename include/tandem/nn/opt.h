#pragma once
// OPT: a decoder with learned positions, biases, LayerNorm before (or behind) each part and the
// table of words as its head.
// Source: Zhang et al. 2022 (arXiv:2205.01068); transformers:modeling_opt.py, whose names the
// children have.
// Letters: B texts, T tokens, S keys (earlier ones included), D width, W width of the words, V
// vocabulary.

#include <memory>
#include <vector>

#include "tandem/nn/kv_cache.h"
#include "tandem/nn/linear.h"
#include "tandem/nn/mask.h"
#include "tandem/nn/mlp.h"
#include "tandem/nn/run_block.h"

namespace tandem::nn {

struct OptShape {
  std::int64_t width = 768, layers = 12, heads = 12, hidden = 3072;
  std::int64_t vocab_size = 50272, positions = 2048;
  std::int64_t word_width = 0;  // of the table of words; 0: width
  std::int64_t pad_id = 1;      // the word whose row learns nothing from being looked up; -1: none
  Activation activation = nullptr;  // null: ReLU
  bool norm_before = true;          // false: each part's norm stands behind its sum (350m)
  bool last_norm = true;            // with norm_before only
  bool bias = true;                 // of the linear layers
  bool norm_weights = true;
  bool tied = true;  // the head is the table of words
  double dropout = 0.1, attention_dropout = 0;

  std::int64_t words() const { return word_width > 0 ? word_width : width; }
};

// LayerNorm with eps 1e-5; without weights where the shape says so.
struct OptNorm : torch::nn::Module {
  at::Tensor weight, bias;  // [width]
  std::int64_t width;

  OptNorm(std::int64_t width, bool with_weights);
  at::Tensor forward(const at::Tensor& x) const;
};

struct OptLayer : torch::nn::Module {
  std::shared_ptr<Linear> q_proj, k_proj, v_proj, out_proj, fc1, fc2;
  std::shared_ptr<OptNorm> self_attn_layer_norm, final_layer_norm;
  OptShape shape;

  explicit OptLayer(const OptShape& shape);
  // x [B, T, D] -> the same. cache: null, or where this layer's keys and values are kept.
  at::Tensor forward(const at::Tensor& x, const Mask& mask, KvCache* cache = nullptr,
                     std::size_t number = 0) const;
};

// Where the tokens of texts [B, S] stand, of which `mask` int64 says which are tokens: counted from
// 0, of padding -1.
at::Tensor opt_positions(const at::Tensor& mask);

struct Opt : torch::nn::Module {
  std::shared_ptr<Embedding> embed_tokens, embed_positions;  // [V, W], [positions + 2, D]
  std::shared_ptr<Linear> project_in, project_out;           // null where W = D
  std::vector<std::shared_ptr<OptLayer>> layers;
  std::shared_ptr<OptNorm> final_layer_norm;  // may be null
  at::Tensor head;                            // [V, W]
  OptShape shape;

  explicit Opt(const OptShape& shape);

  at::Tensor embed(const at::Tensor& ids) const;  // [B, T] -> [B, T, W]
  // words [B, T, W], of which `mask` int64 [B, S] says which are tokens (undefined: all are) ->
  // [B, T, W], before the head. Positions count the tokens, so padding may stand on the left.
  // cache: the S - T tokens before these, extended by them; or null.
  at::Tensor forward(const at::Tensor& words, const at::Tensor& mask, const BlockContext& context,
                     KvCache* cache = nullptr) const;
  // The same at positions of the caller's own, int64 [1 or B, T], from 0 (of padding: -1): texts
  // laid end to end, or a cache with texts of several lengths. The caller calls expect_room.
  at::Tensor forward_at(const at::Tensor& words, const at::Tensor& positions, const Mask& mask,
                        const BlockContext& context, KvCache* cache = nullptr) const;
  // Throws Error(data) for a text of more tokens than there are positions.
  void expect_room(std::int64_t tokens) const;
  at::Tensor logits(const at::Tensor& rows) const;  // [..., W] -> [..., V]
};

}  // namespace tandem::nn
