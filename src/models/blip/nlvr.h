#pragma once
// A sentence about two pictures, true or false: the grounded encoder with two cross-attentions in
// every layer, one for each picture. The lower layers take the mean of both, the upper ones join
// them by a matrix. Source: Li et al. 2022, figure 5 and section 5.4; salesforce/BLIP:
// models/{blip_nlvr,nlvr_encoder}.py, whose names the children have.
// Letters: B sentences, T tokens, S rows of a picture, D width.

#include <memory>
#include <vector>

#include "tandem/nn/bert.h"

namespace tandem::models::blip {

// The first layer whose two halves are joined by a matrix; a constant of the released code.
inline constexpr std::int64_t first_merging_layer = 6;

struct TwinAttention : torch::nn::Module {
  struct Half {
    std::shared_ptr<nn::Linear> query, key, value, dense;
  };
  Half halves[2];                     // self0 and output.dense0, self1 and output.dense1
  std::shared_ptr<nn::Linear> merge;  // output.merge_layer; null: the mean
  std::shared_ptr<nn::LayerNorm> norm;
  std::int64_t heads;
  double rate, attention_rate;

  TwinAttention(const nn::BertShape& shape, bool merges);
  // x [B, T, D], rows of the first and of the second picture [B, S, E].
  at::Tensor forward(const at::Tensor& x, const at::Tensor& first, const at::Tensor& second) const;

 private:
  at::Tensor half(const Half& half, const at::Tensor& x, const at::Tensor& rows) const;
};

struct TwinLayer : torch::nn::Module {
  std::shared_ptr<nn::BertAttention> attention;
  std::shared_ptr<TwinAttention> crossattention;
  std::shared_ptr<nn::Linear> intermediate, output;
  std::shared_ptr<nn::LayerNorm> norm;
  nn::Activation activation;
  double rate;

  TwinLayer(const nn::BertShape& shape, bool merges);
  at::Tensor forward(const at::Tensor& x, const nn::Mask& mask, const at::Tensor& first,
                     const at::Tensor& second) const;
};

struct TwinEncoder : torch::nn::Module {
  std::shared_ptr<nn::BertEmbeddings> embeddings;
  std::vector<std::shared_ptr<TwinLayer>> layers;  // "encoder.layer.N"

  explicit TwinEncoder(const nn::BertShape& shape);
  at::Tensor forward(const at::Tensor& ids, const nn::Mask& mask, const at::Tensor& first,
                     const at::Tensor& second, const nn::BlockContext& context) const;
};

}  // namespace tandem::models::blip
