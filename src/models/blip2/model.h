#pragma once
// BLIP-2: a frozen vision transformer, a querying transformer that reads 32 rows out of it, and a
// frozen language model that they are the first words of.
// Source: Li et al. 2023 (arXiv:2301.12597), figures 2 and 3;
// salesforce/LAVIS:blip2_models/{blip2_qformer,blip2_opt,blip2_t5}.py.
// Letters: B pairs, Q queries, T tokens, S rows of a picture ([CLS] and patches), D width of the
// querying transformer, W of the language model, E of the contrast, V vocabulary.

#include <memory>
#include <vector>

#include "models/blip2/config.h"
#include "tandem/base/random.h"
#include "tandem/models/contrast_columns.h"
#include "tandem/models/kept_tower.h"
#include "tandem/models/model.h"
#include "tandem/nn/bert.h"
#include "tandem/nn/normalize.h"
#include "tandem/nn/qformer.h"
#include "tandem/nn/run_block.h"
#include "tandem/nn/vit.h"

namespace tandem::models::blip2 {

using nn::LayerInputs;
using nn::QFormer;
using nn::QFormerShape;
using nn::QWords;

// All parts that have parameters of their own, under Hugging Face's names; a part that the class
// does not have is null.
struct Blip2 : torch::nn::Module {
  std::shared_ptr<nn::Vit> vision;
  at::Tensor query_tokens;  // [1, Q, D]
  std::shared_ptr<QFormer> qformer;
  // First stage and retrieval.
  std::shared_ptr<QWords> words;
  std::shared_ptr<nn::Linear> vision_proj, text_proj, itm_head;
  std::shared_ptr<nn::PredictionHead> lm_head;  // first stage: of the text that queries lead to
  at::Tensor temperature;                       // first stage
  // Second stage.
  std::shared_ptr<nn::Linear> language_projection;
  std::shared_ptr<nn::Opt> opt;  // one of them
  std::shared_ptr<nn::T5> t5;

  explicit Blip2(const Config& config);
};

// What hard negatives were drawn: for text i the picture image[i], for picture i the text text[i].
struct Negatives {
  at::Tensor image, text;  // int64 [B]
};

// Texts as they stand in a batch; mask undefined: all are tokens.
struct Texts {
  at::Tensor ids, mask;  // int64 [B, T]
};

// Text i beside picture i.
struct Paired {
  Texts texts;
  at::Tensor rows;  // [P, S, *]
};

// Pictures after the querying transformer.
struct Looked {
  at::Tensor rows;     // [B, Q, D]
  LayerInputs inputs;  // of each layer, for texts that follow
};

// As the original initialises it; every tensor from the key and its own name.
void initialize(Blip2& model, const Config& config, Key init);
// Weights of vision.pretrained and language.pretrained, where the settings name them.
void read_pretrained(Blip2& model, const Config& config);

class Blip2Model final : public Model, public KeepsTower, public ContrastsMicroBatches {
 public:
  Blip2Model(const Config& config, Key init);

  NamedTensors parameters() const override;
  torch::nn::Module* module() const override { return net_.get(); }
  void to(const at::Device& device) override;
  void train(bool on) override;
  std::vector<std::string> losses_known() const override;
  std::map<std::string, ChanceLevel> chance_levels(std::int64_t batch) const override;
  std::map<std::string, double> counts(const Batch& batch, const LossRequest&) const override;
  LossTerms losses(const Batch& batch, const LossRequest& request,
                   const StepContext& context) override;
  Abilities abilities() override;
  std::map<std::string, at::Tensor> reference_outputs(
      const std::map<std::string, at::Tensor>& inputs) override;
  TowerPart tower_part() const override;  // all in front of the last norm
  std::vector<std::string> losses_of_micro_batch() const override;

 private:
  using Outputs = std::map<std::string, at::Tensor>;

  // --- The parts (model.cpp)
  at::Tensor unnormed_rows(const at::Tensor& pixels, const nn::BlockContext& context) const;
  at::Tensor picture_rows(const at::Tensor& pixels, const nn::BlockContext& context) const;
  Looked look(const at::Tensor& rows, const nn::BlockContext& context, bool keep = false) const;
  at::Tensor read(const Texts& texts, const nn::BlockContext& context) const;  // [B, T, D]
  at::Tensor image_features(const at::Tensor& looked) const;  // [B, Q, D] -> [B, Q, E], length 1
  at::Tensor text_feature(const at::Tensor& read) const;      // [B, T, D] -> [B, E], length 1
  // Queries and words in one pass, [B, Q + T, D]. whole: the mask of both, instead of the texts'.
  at::Tensor fuse(const Texts& texts, const at::Tensor& rows, const nn::BlockContext& context,
                  const at::Tensor& whole = {}) const;
  at::Tensor matching(const at::Tensor& fused) const;  // logits of (no match, match), [B, 2]
  // Rows of words that follow queries which went through before, [B, T, D].
  at::Tensor write(const Texts& texts, const LayerInputs& queries,
                   const nn::BlockContext& context) const;
  at::Tensor match_logits(const Batch& batch) const;
  // Queries as words of the language model, [B, Q, W].
  at::Tensor as_words(const at::Tensor& pixels, const nn::BlockContext& context) const;

  // --- The first stage (pretrain.cpp): section 3.1, each loss a function of its choices
  struct Pictures {
    at::Tensor tower, rows;  // [B, S, *]: of the tower, and behind its last norm
    Looked looked;
  };
  LossTerms first_stage(const Batch& batch, const LossRequest& request,
                        const StepContext& context) const;
  LossTerm itm(const Texts& texts, const at::Tensor& rows, const Texts& wrong_texts,
               const Paired& wrong_pictures, const StepContext& context) const;
  Paired with_wrong_pictures(const Texts& own, const Texts& among, const Pictures& pictures,
                             const at::Tensor& drawn, const dist::Mesh& mesh) const;
  LossTerm itm_hard(const Batch& batch, const Pictures& pictures, const at::Tensor& image_to_text,
                    const at::Tensor& text_to_image, const StepContext& context) const;
  LossTerm itg(const Texts& texts, const at::Tensor& labels, double count, const Looked& looked,
               const StepContext& context) const;

  // --- The second stage (language.cpp): section 3.2
  LossTerms second_stage(const Batch& batch, const StepContext& context) const;
  std::vector<std::vector<std::int64_t>> generated(const Batch& prompts,
                                                   const GenerateOptions& options) const;
  std::vector<std::vector<std::int64_t>> generated_opt(const Batch& prompts,
                                                       const GenerateOptions& options) const;
  std::vector<std::vector<std::int64_t>> generated_t5(const Batch& prompts,
                                                      const GenerateOptions& options) const;

  // --- `tandem verify` (reference.cpp), by class
  Outputs pretrain_reference(const Outputs& inputs) const;
  Outputs generation_reference(const Outputs& inputs) const;
  Outputs retrieval_reference(const Outputs& inputs) const;

  Config config_;
  Kind kind_;
  nn::PixelStatistics statistics_;
  std::shared_ptr<Blip2> net_;
};

// ids with `first` in position 0. [B, T] -> [B, T]
at::Tensor with_first(const at::Tensor& ids, std::int64_t first);
// 1 for each query in front of the mask of texts [B, T] (undefined: all are tokens).
at::Tensor with_queries(const Texts& texts, std::int64_t queries);

}  // namespace tandem::models::blip2
