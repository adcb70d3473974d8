#pragma once
// The single stream: words and patches, each embedded by one table or one matrix, go through one
// transformer together. Source: Kim et al. 2021, figure 2 and section 3.1;
// dandelin/ViLT:vilt/modules; the children's names are those of transformers' ViltModel.
// Letters: B pairs, T tokens, N patches (padded), L = T + 1 + N rows, S rows end to end, D width.

#include <memory>
#include <optional>
#include <vector>

#include "models/vilt/config.h"
#include "models/vilt/pictures.h"
#include "tandem/nn/bert.h"
#include "tandem/nn/normalize.h"
#include "tandem/nn/run_block.h"
#include "tandem/nn/vision_input.h"
#include "tandem/tensor/batch.h"

namespace tandem::models::vilt {

// Where the rows of the samples stand: padded to one length with a mask, or end to end.
struct Layout {
  std::int64_t batch = 0, text = 0, picture = 0;  // B, T, 1 + N
  nn::Mask mask{};                                // padded: of keys
  at::Tensor picture_mask{};                      // [B, 1 + N] bool, CPU or device
  // End to end: rows of each sample; then where each row comes from in [B T words; B class tokens;
  // patches], and where the padded outputs' rows stand among the S.
  std::vector<std::int64_t> lengths{};
  at::Tensor order{}, first_rows{}, text_rows{}, picture_rows{};

  bool packed() const { return !lengths.empty(); }
};

// What goes in. Rows may stand in for ids and pixels (`tandem verify` only).
struct PairInput {
  Tokens text{};
  Images images{};
  at::Tensor types{};    // [B, T] of BERT's own type table; undefined: 0
  at::Tensor words{};    // [B, T, D] in place of text.ids
  at::Tensor patches{};  // [B, M, D] in place of images, with images.mask [B, ...] of M entries
  std::int64_t modality = 1;  // the picture's row of the modality table
  bool pack = false;          // needs the batch's lengths and sizes
};

struct PairOutput {
  at::Tensor rows;  // [B, L, D], or [S, D]
  Layout layout;

  at::Tensor first() const;    // [B, D], the text's [CLS]
  at::Tensor text() const;     // [B, T, D]; rows of padding hold anything
  at::Tensor picture() const;  // [B, 1 + N, D]; the class token first
};

// BERT's, with a type for each token.
struct TextEmbeddings : nn::BertEmbeddings {
  std::int64_t unlearned;

  TextEmbeddings(const nn::BertShape& shape, std::int64_t unlearned);
  at::Tensor words(const at::Tensor& ids) const;  // [B, T] -> [B, T, D]
  at::Tensor embed(const at::Tensor& words, const at::Tensor& types) const;
};

struct Embeddings : torch::nn::Module {
  std::shared_ptr<TextEmbeddings> text_embeddings;
  at::Tensor cls_token;            // [1, 1, D]
  at::Tensor position_embeddings;  // [1, 1 + g^2, D]
  std::shared_ptr<nn::PatchEmbed> projection;
  std::shared_ptr<nn::Embedding> token_type_embeddings;  // of the modalities
  std::int64_t most_patches;
  double rate;
  nn::PixelStatistics statistics;

  explicit Embeddings(const Config& config);
  // The rows of both sides with everything added, in the layout that comes back with them.
  at::Tensor forward(const PairInput& input, const std::optional<Key>& key, Layout& layout) const;

 private:
  at::Tensor text(const PairInput& input) const;  // [B, T, D]
  // [B * N, D], or those that are seen end to end.
  at::Tensor patches(const Images& images, const PatchRows& rows, Grid grid, bool padded) const;
  at::Tensor join(const PairInput& input, const at::Tensor& text, const at::Tensor& picture) const;
};

// x + Attention(norm x), then x + Mlp(norm x).
struct Layer : torch::nn::Module {
  std::shared_ptr<nn::Linear> query, key, value, dense, intermediate, output;
  std::shared_ptr<nn::LayerNorm> layernorm_before, layernorm_after;
  std::int64_t heads;
  nn::Activation activation;
  double rate, attention_rate;

  explicit Layer(const Config& config);
  at::Tensor forward(const at::Tensor& x, const Layout& layout) const;

 private:
  at::Tensor attend(const at::Tensor& packed, const Layout& layout) const;
};

struct Vilt : torch::nn::Module {
  std::shared_ptr<Embeddings> embeddings;
  std::vector<std::shared_ptr<Layer>> layers;
  std::shared_ptr<nn::LayerNorm> layernorm;
  std::shared_ptr<nn::Linear> pooler;  // null without

  explicit Vilt(const Config& config);
  PairOutput forward(const PairInput& input, const nn::BlockContext& context) const;
  at::Tensor pool(const PairOutput& output) const;  // [B, D]
};

}  // namespace tandem::models::vilt
