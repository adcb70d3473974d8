#pragma once
// The multiway transformer: attention is shared by all kinds of input, the MLP is an expert's.
// Source: Bao et al. 2022 (VLMo, arXiv:2111.02358), section 2.2 and figure 2;
// microsoft/unilm:vlmo, multiway_transformer.py and vlmo_module.py, whose names the parts have.
// Letters: B samples, T text tokens, P patches, N tokens of a sequence, D width, H heads, L layers.

#include <memory>
#include <vector>

#include "models/vlmo/config.h"
#include "models/vlmo/positions.h"
#include "tandem/nn/bert.h"
#include "tandem/nn/mask.h"
#include "tandem/nn/mlp.h"
#include "tandem/nn/run_block.h"
#include "tandem/nn/vision_input.h"

namespace tandem::models::vlmo {

// Who computes the MLP. A pair goes to the joint expert where a block has one; elsewhere its text
// tokens go to the text expert and its patches to the image expert.
enum class Route { text, image, pair };

// What a whole pass knows: nothing of it wants a gradient.
struct Sight {
  Route route = Route::image;
  nn::Mask mask{};         // keys of padding; none for pictures
  std::int64_t split = 0;  // of a pair: where the picture begins
};

struct Attention : torch::nn::Module {
  std::shared_ptr<nn::Linear> qkv, proj;  // qkv: queries, keys, values as rows, without a bias
  at::Tensor q_bias, v_bias;              // [D]; keys have none
  std::int64_t heads;

  Attention(std::int64_t width, std::int64_t heads);
  // positions: [H, N, N], added to the scores; undefined: nothing is.
  at::Tensor forward(const at::Tensor& x, const nn::Mask& mask, const at::Tensor& positions) const;
};

struct Expert {
  std::shared_ptr<nn::LayerNorm> norm;  // "norm2_NAME"
  std::shared_ptr<nn::Mlp> mlp;         // "mlp_NAME"; null: the block has no such expert
};

struct Block : torch::nn::Module {
  std::shared_ptr<nn::LayerNorm> norm1;
  std::shared_ptr<Attention> attn;
  at::Tensor gamma_1, gamma_2;  // [D] LayerScale of both branches; undefined: none
  Expert text, image, joint;
  double path_rate;

  Block(const Config& config, std::int64_t layer);
  at::Tensor forward(const at::Tensor& x, const Sight& sight, const at::Tensor& positions) const;

 private:
  at::Tensor branch(const at::Tensor& x, const Expert& expert) const;
};

// One bias for each layer, [H, N, N]; empty: no relative positions.
using Biases = std::vector<at::Tensor>;

struct MultiwayTransformer : torch::nn::Module {
  at::Tensor cls_token;   // [1, 1, D]
  at::Tensor pos_embed;   // [1, 1 + P, D]; undefined: no absolute positions
  at::Tensor mask_token;  // [1, 1, D], in the place of hidden patches; undefined without mim
  std::shared_ptr<nn::PatchEmbed> patch;
  std::vector<std::shared_ptr<Block>> blocks;
  std::shared_ptr<nn::LayerNorm> norm;

  explicit MultiwayTransformer(const Config& config);
  // pixels [B, 3, S, S] -> [B, 1 + P, D]. hidden: [B, P], 1 = shown as mask_token; may be
  // undefined.
  at::Tensor embed(const at::Tensor& pixels, const at::Tensor& hidden) const;
  // Blocks [first, last).
  at::Tensor run(at::Tensor x, const Sight& sight, const Biases& biases,
                 const nn::BlockContext& context, std::size_t first, std::size_t last) const;
  std::size_t depth() const { return blocks.size(); }
};

// A unimodal pass: all blocks by the own expert, and (path 2 of the contrast) the last ones again
// by the joint expert, from where the own expert's pass stood. Both normed.
struct Rows {
  at::Tensor own, joint;  // [B, N, D]; joint: undefined where it is not asked for
};

// The transformer with its embeddings: what all heads stand on.
struct Backbone : torch::nn::Module {
  std::shared_ptr<MultiwayTransformer> transformer;
  at::Tensor relative_position_bias_table;  // [rows, H L]; undefined without
  std::shared_ptr<nn::BertEmbeddings> text_embeddings;
  std::shared_ptr<nn::Embedding> token_type_embeddings;  // 0 text, 1 picture, 2 second picture

  explicit Backbone(const Config& config);

  at::Tensor text_rows(const at::Tensor& ids, const nn::BlockContext& context) const;  // [B, T, D]
  // hidden as in MultiwayTransformer::embed.
  // kind: the row of token_type_embeddings; 2 is the second picture's.
  at::Tensor image_rows(const at::Tensor& pixels, const at::Tensor& hidden = {},
                        std::int64_t kind = 1) const;

  // mask: int [B, T]. joint: whether path 2 is run as well.
  Rows text(const at::Tensor& rows, const at::Tensor& mask, bool joint,
            const nn::BlockContext& context) const;
  Rows image(const at::Tensor& rows, bool joint, const nn::BlockContext& context) const;
  // A pair: [B, T, D] and [B, 1 + P, D] -> [B, T + 1 + P, D], normed. split: where the experts
  // change over; T, but for a text that is shorter than the original code takes it to be.
  at::Tensor pair(const at::Tensor& text, const at::Tensor& image, const at::Tensor& mask,
                  std::int64_t split, const nn::BlockContext& context) const;
  // The indices follow the parameters to their device.
  void place(const at::Device& device);

 private:
  Biases biases(const at::Tensor& index) const;
  Rows unimodal(const at::Tensor& x, Sight sight, const Biases& biases, bool joint,
                const nn::BlockContext& context) const;

  std::size_t joint_from_;
  std::int64_t layers_, heads_;
  RelativePositions positions_;
  at::Tensor image_index_, text_index_;  // int64; undefined without
};

}  // namespace tandem::models::vlmo
