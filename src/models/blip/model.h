#pragma once
// BLIP: a vision transformer and one text transformer in three roles. Without a picture it encodes
// a text; with one it encodes the pair (cross-attention in every layer); with causal self-attention
// of its own it decodes. The roles share everything but self-attention.
// Source: Li et al. 2022 (arXiv:2201.12086), figure 2 and sections 3.1 and 3.2;
// salesforce/BLIP:models/{blip_pretrain,med,vit}.py.
// Letters: B pairs, T tokens, S rows of a picture ([CLS] and patches), D width, E width of the
// contrast, Q length of the queues, V vocabulary.

#include <memory>
#include <set>
#include <vector>

#include "models/blip/config.h"
#include "models/blip/nlvr.h"
#include "models/feature_queues.h"
#include "tandem/base/random.h"
#include "tandem/models/contrast_columns.h"
#include "tandem/models/model.h"
#include "tandem/nn/bert.h"
#include "tandem/nn/momentum.h"
#include "tandem/nn/normalize.h"
#include "tandem/nn/run_block.h"
#include "tandem/nn/vit.h"
#include "tandem/objectives/momentum_itc.h"

namespace tandem::models::blip {

// All parts that have parameters of their own, under the names of the class that Config::kind
// names; a part that the class does not have is null.
struct Blip : torch::nn::Module {
  std::shared_ptr<nn::Vit> vision;
  std::shared_ptr<nn::BertModel> encoder;       // unimodal and grounded: the same weights
  std::shared_ptr<nn::BertModel> decoder;       // in pre-training it shares all but self-attention
  std::shared_ptr<nn::PredictionHead> lm_head;  // of the decoder
  std::shared_ptr<nn::Linear> vision_proj, text_proj, itm_head;
  std::shared_ptr<nn::Linear> pooler;      // BlipModel
  std::shared_ptr<TwinEncoder> twin;       // BLIP_NLVR, in the encoder's place, with ...
  std::shared_ptr<nn::Linear> cls0, cls2;  // ... cls_head: two layers, ReLU between them
  at::Tensor temperature;                  // pre-training: similarities are divided by it
  at::Tensor logit_scale;                  // BlipModel

  explicit Blip(const Config& config);

 private:
  void make_decoder(const Config& config, bool shared);
};

// Followers of the unimodal encoders and their projections, under the names of the original.
struct Copies : torch::nn::Module {
  std::shared_ptr<nn::Vit> vision;
  std::shared_ptr<nn::Linear> vision_proj, text_proj;
  std::shared_ptr<nn::BertModel> encoder;  // its cross-attention follows too and is never used

  explicit Copies(const Config& config);
};

// What hard negatives were drawn: for text i the picture image[i], for picture i the text text[i].
struct Negatives {
  at::Tensor image, text;  // int64 [B]
};

// Texts as they stand in a batch; position 0 is overwritten by each role's own mark.
struct Texts {
  at::Tensor ids, mask;  // int64 [B, T]; mask undefined: all are tokens
};

// As the original initialises it; every tensor from the key and its own name.
void initialize(Blip& blip, const Config& config, Key init);

class BlipModel final : public Model, public ContrastsMicroBatches {
 public:
  BlipModel(const Config& config, Key init);

  NamedTensors parameters() const override;
  NamedTensors buffers() const override;
  torch::nn::Module* module() const override { return blip_.get(); }
  void to(const at::Device& device) override;
  void train(bool on) override;
  std::vector<std::string> losses_known() const override;
  std::map<std::string, ChanceLevel> chance_levels(std::int64_t batch) const override;
  std::map<std::string, double> counts(const Batch& batch, const LossRequest&) const override;
  LossTerms losses(const Batch& batch, const LossRequest& request,
                   const StepContext& context) override;
  void after_step(const StepContext& context) override;
  Abilities abilities() override;
  std::map<std::string, at::Tensor> reference_outputs(
      const std::map<std::string, at::Tensor>& inputs) override;
  std::vector<std::string> losses_of_micro_batch() const override;
  bool sees_all_ranks() const override { return false; }

 private:
  using Outputs = std::map<std::string, at::Tensor>;

  // --- The roles (model.cpp)
  at::Tensor picture_rows(const at::Tensor& pixels, const nn::BlockContext& context) const;
  at::Tensor image_feature(const at::Tensor& rows) const;  // [B, S, D] -> [B, E], L2-normalised
  at::Tensor text_feature(const Texts& texts, const nn::BlockContext& context) const;  // [B, E]
  // Logits of (no match, match), [B, 2].
  at::Tensor matching(const Texts& texts, const at::Tensor& rows,
                      const nn::BlockContext& context) const;
  // Rows of the decoder whose input begins with [DEC], [B, T, D].
  at::Tensor decode(const Texts& texts, const at::Tensor& rows,
                    const nn::BlockContext& context) const;

  at::Tensor match_logits(const Batch& batch) const;  // [B, 2]
  // Logits of (false, true), [B, 2]; rows of the first and the second picture [B, S, D].
  at::Tensor reason_logits(const Texts& texts, const at::Tensor& first, const at::Tensor& second,
                           const nn::BlockContext& context) const;
  at::Tensor reason_logits(const Batch& batch, const StepContext& context) const;
  std::vector<std::vector<std::int64_t>> captions(const Batch& prompts,
                                                  const GenerateOptions& options) const;

  // --- Questions (answering.cpp)
  struct Question {
    at::Tensor rows, mask;  // [B, T, D]; int64 [B, T] or undefined
  };
  Question read_question(const Batch& batch, const StepContext& context) const;
  // Of the answers [A, T'] to the questions `rows`, int64 [A]; hide: the question's padding.
  at::Tensor answer_logits(const Texts& answers, const Question& question, const at::Tensor& rows,
                           bool hide, const nn::BlockContext& context) const;
  LossTerms answer_losses(const Batch& batch, const StepContext& context) const;
  Ranked rank(const Batch& prompts, const Tokens& candidates, std::int64_t k) const;
  std::vector<std::vector<std::int64_t>> write_answers(const Batch& prompts,
                                                       const GenerateOptions& options) const;

  // --- Pre-training (pretrain.cpp): section 3.2, each loss a function of its choices
  struct Contrast {
    objectives::MomentumItc itc;
    at::Tensor image, text;            // [B, E], of the model itself
    at::Tensor image_copy, text_copy;  // [B, E]: what the queues will get
  };
  Contrast contrast(const at::Tensor& pixels, const Texts& texts, const at::Tensor& rows,
                    const at::Tensor& picture_ids, double alpha, const StepContext& context) const;
  Negatives draw_negatives(const Contrast& contrast, const at::Tensor& picture_ids, Key key) const;
  LossTerm itm(const Texts& texts, const at::Tensor& rows, const Negatives& negatives,
               const StepContext& context) const;
  LossTerm lm(const Texts& texts, const at::Tensor& labels, double count, const at::Tensor& rows,
              const StepContext& context) const;
  void clamp_temperature() const;
  double alpha_at(std::int64_t step) const;

  // --- `tandem verify` (reference.cpp), by class
  Outputs pretrain_reference(const Outputs& inputs);  // and matching's step
  Outputs captioning_reference(const Outputs& inputs) const;
  Outputs answering_reference(const Outputs& inputs) const;
  Outputs weighed_reference(const Outputs& inputs) const;  // of the original's class
  Outputs retrieval_reference(const Outputs& inputs) const;
  Outputs contrast_reference(const Outputs& inputs) const;
  Outputs reasoning_reference(const Outputs& inputs) const;

  Config config_;
  Kind kind_;
  nn::PixelStatistics statistics_;
  std::shared_ptr<Blip> blip_;
  std::shared_ptr<Copies> copies_;  // of pre-training and matching only, as are the queues
  nn::Momentum momentum_;
  FeatureQueues queues_;
};

// ids with `first` in position 0. [B, T] -> [B, T]
at::Tensor with_first(const at::Tensor& ids, std::int64_t first);

}  // namespace tandem::models::blip
