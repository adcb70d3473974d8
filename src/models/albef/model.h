#pragma once
// ALBEF: align before fuse. A vision transformer and the first layers of a BERT encode picture and
// text apart; their features are contrasted; the last layers of the BERT fuse them by
// cross-attention. Slowly moving copies of all of it give soft targets.
// Source: Li et al. 2021 (arXiv:2107.07651), figure 1 and section 3;
// salesforce/ALBEF:models/{model_pretrain,xbert,vit}.py.
// Letters: B pairs, T tokens, S rows of a picture ([CLS] and patches), D width, E width of the
// contrast, Q length of the queues, V vocabulary.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/albef/config.h"
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

namespace tandem::models::albef {

// Texts as the encoders see them. The mask is additive, 0 and -10000 as in the original.
struct Texts {
  at::Tensor ids;  // int64 [B, T]
  nn::Mask mask;   // [B, 1, 1 or T, T]

  // mask: int64 [B, T] or undefined (all are tokens).
  Texts(at::Tensor ids, const at::Tensor& mask, bool causal = false);
};

// What has a momentum copy: the encoders, their projections and the head that names tokens. The
// copies stand in files under the same names with `suffix` "_m" behind the first part.
struct Encoders : torch::nn::Module {
  std::shared_ptr<nn::Vit> vision;
  std::shared_ptr<nn::BertModel> bert;
  std::shared_ptr<nn::PredictionHead> head;  // its matrix is the table of words
  std::shared_ptr<nn::Linear> vision_proj, text_proj;
  std::int64_t fusion_layer;

  // Projections and the head of tokens are null in the kinds that have none.
  Encoders(const Config& config, const std::string& suffix);

  at::Tensor encode_image(const at::Tensor& pixels, const nn::BlockContext& context) const;
  // Unimodal layers: [B, T] -> [B, T, D].
  at::Tensor encode_text(const Texts& texts, const nn::BlockContext& context) const;
  // Multimodal layers on the unimodal ones' rows: [B, T, D] and [B, S, Dv] -> [B, T, D].
  at::Tensor fuse(const at::Tensor& text, const nn::Mask& mask, const at::Tensor& image,
                  const nn::BlockContext& context) const;
  // The same where each text has several pictures: a layer looks at one of them, in turn.
  at::Tensor fuse(const at::Tensor& text, const nn::Mask& mask,
                  const std::vector<at::Tensor>& images, const nn::BlockContext& context) const;
  // Of [CLS], L2-normalised: [B, S or T, .] -> [B, E].
  at::Tensor image_feature(const at::Tensor& rows) const;
  at::Tensor text_feature(const at::Tensor& rows) const;

 private:
  void make_head(const std::string& text, const nn::BertShape& shape);
};

// Of two layers behind each other, from `first` on, the one sees one picture and the other the
// other, with the same keys and values.
void share_pictures(const nn::BertEncoder& encoder, std::int64_t first);

struct Albef : Encoders {
  at::Tensor temperature;  // similarities are divided by it
  std::shared_ptr<nn::Linear> itm_head;

  explicit Albef(const Config& config);
};

// For text i the picture image[i], for picture i the text text[i]: neither belongs to it.
struct Negatives {
  at::Tensor image, text;  // int64 [B]
};

// As the original initialises it; every tensor from the key and its own name.
void initialize(Albef& model, const Config& config, Key init);

// Pre-training and retrieval.
class AlbefModel final : public Model, public ContrastsMicroBatches {
 public:
  AlbefModel(const Config& config, Key init);

  NamedTensors parameters() const override;
  NamedTensors buffers() const override;
  torch::nn::Module* module() const override { return albef_.get(); }
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
  // What the three losses have in common; a part is computed once and only where it is needed.
  struct Pass {
    at::Tensor image;       // [B, S, Dv]
    at::Tensor image_copy;  // the same of the momentum copy, without gradient
    at::Tensor text;        // [B, T, D], of the unimodal layers
  };

  at::Tensor match_logits(const Batch& batch) const;  // [B, 2]: no match, match
  at::Tensor locate(const Batch& batch) const;        // grounding.cpp: [B, h, w]

  // pretrain.cpp: sections 3.2 and 3.3, each loss a function of its choices.
  struct Contrast {
    objectives::MomentumItc itc;
    at::Tensor image_copy, text_copy;  // [B, E]: what the queues will get
  };
  Contrast contrast(const Pass& pass, const Texts& texts, const at::Tensor& temperature,
                    const at::Tensor& picture_ids, double alpha, const StepContext& context) const;
  Negatives draw_negatives(const objectives::MomentumItc& itc, const at::Tensor& picture_ids,
                           Key key) const;
  LossTerm itm(const Pass& pass, const Texts& texts, const Negatives& negatives,
               const StepContext& context) const;
  // labels int64 [B, T], -100 where nothing is hidden; count: of the others.
  LossTerm mlm(const Pass& pass, const Texts& hidden, const at::Tensor& labels, double count,
               double alpha, const StepContext& context) const;
  at::Tensor copy_of_image(const at::Tensor& pixels, const StepContext& context) const;
  at::Tensor bounded_temperature() const;
  // The temperature within its bounds, then the copies moved; broken: StepContext's.
  void begin_step(const at::Tensor& broken = {});
  double alpha_at(std::int64_t step) const;

  Config config_;
  Kind kind_;
  nn::PixelStatistics statistics_;
  std::shared_ptr<Albef> albef_;
  std::shared_ptr<Encoders> copies_;
  nn::Momentum momentum_;
  FeatureQueues queues_;
  bool training_ = false;
};

}  // namespace tandem::models::albef
