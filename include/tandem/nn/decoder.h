#pragma once
// The decoders of LLaMA and its relatives: norms of the root mean square before each part, rotary
// positions, keys and values shared by groups of heads, a gated MLP.
// Source: Touvron et al. 2023; transformers:modeling_llama.py and modeling_qwen2.py.
// Letters: B texts, T tokens, D width, V vocabulary.

#include <memory>
#include <string>
#include <vector>

#include "tandem/nn/attention.h"
#include "tandem/nn/kv_cache.h"
#include "tandem/nn/mlp.h"
#include "tandem/nn/rms_norm.h"
#include "tandem/nn/rotary.h"
#include "tandem/nn/run_block.h"

namespace tandem::nn {

struct DecoderShape {
  std::int64_t width = 4096, layers = 32, heads = 32, kv_heads = 32, head_dim = 128;
  std::int64_t hidden = 11008;  // of the MLP
  std::int64_t vocab_size = 32000;
  double eps = 1e-6;
  bool qkv_bias = false, out_bias = false, mlp_bias = false;
  Activation activation = nullptr;  // of the gate; nullptr: silu
  std::int64_t pad_id = -1;  // the word whose row learns nothing from being looked up; -1: none
  // Tokens that a token sees, itself included, from the layer `first_window` on; 0: all before it.
  std::int64_t window = 0, first_window = 0;
};

// Where its parts stand in a file, as dotted paths below the decoder or below a layer.
struct DecoderNames {
  std::string embed = "embed_tokens", layers = "layers", norm = "norm";
  std::string input_norm = "input_layernorm", post_norm = "post_attention_layernorm";
  std::string q = "self_attn.q_proj", k = "self_attn.k_proj", v = "self_attn.v_proj";
  std::string qkv{};  // not empty: q, k and v are one layer of this name, [q; k; v]
  std::string out = "self_attn.o_proj";
  std::string gate = "mlp.gate_proj", up = "mlp.up_proj", down = "mlp.down_proj";
};

struct DecoderLayer : torch::nn::Module {
  std::shared_ptr<RmsNorm> input_norm, post_norm;
  std::shared_ptr<Linear> q, k, v;  // null where they are joined
  std::shared_ptr<Linear> qkv;      // null where they are not
  std::shared_ptr<Linear> out, gate, up, down;
  std::int64_t heads, kv_heads, head_dim;
  Activation activation;

  DecoderLayer(const DecoderShape& shape, const DecoderNames& names);
  // x [B, T, D] -> the same. cache: null, or where this layer's keys and values are kept.
  at::Tensor forward(const at::Tensor& x, const Rotary& rotary, const Mask& mask,
                     KvCache* cache = nullptr, std::size_t number = 0) const;

 private:
  at::Tensor attend_to(const at::Tensor& x, const Rotary& rotary, const Mask& mask, KvCache* cache,
                       std::size_t number) const;
};

struct Decoder : torch::nn::Module {
  std::shared_ptr<Embedding> embed_tokens;
  std::vector<std::shared_ptr<DecoderLayer>> layers;
  std::shared_ptr<RmsNorm> norm;
  std::int64_t pad_id;
  std::int64_t window, first_window;

  explicit Decoder(const DecoderShape& shape, const DecoderNames& names = {});

  at::Tensor embed(const at::Tensor& ids) const;  // int64 [B, T] -> [B, T, D]
  // embeds [B, T, D] -> [B, T, D], after the last norm. The head is its owner's: hidden states go
  // through objectives::lm_loss, or through linear(hidden, head).
  // cache: what was seen before these T tokens, extended by them; then `mask` is decoder_mask of
  // all tokens, `rotary` of these T.
  at::Tensor forward(const at::Tensor& embeds, const Rotary& rotary, const Mask& mask,
                     const BlockContext& context = {}, KvCache* cache = nullptr) const;
};

// The mask of T tokens that stand at the end of what `mask` [B, S] (1 = a token) shows: causal,
// padding hidden. every_token: the caller knows that there is no padding (nothing is added then).
Mask decoder_mask(const at::Tensor& mask, std::int64_t tokens, bool every_token = false);

// What `mask` shows the last `tokens` of `length` tokens, and of that the nearest `window` alone,
// the token itself included: `mask` itself where all are near, else a square of numbers on
// `device`. Source: transformers:masking_utils.py, sliding_window_overlay.
Mask sliding_mask(const Mask& mask, std::int64_t window, std::int64_t tokens, std::int64_t length,
                  const at::Device& device);

// Positions from a mask: its running count minus 1, padding at 0. int64 [B, S].
at::Tensor positions_of(const at::Tensor& mask);

}  // namespace tandem::nn
