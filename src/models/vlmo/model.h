#pragma once
// VLMo: one transformer that is a dual encoder for retrieval and a fusion encoder for pairs.
// Source: Bao et al. 2022 (arXiv:2111.02358), sections 2.2 to 2.4; microsoft/unilm:vlmo,
// vlmo_module.py and objectives.py. Letters as in transformer.h; V tokens, K visual codes.

#include <memory>
#include <vector>

#include "models/vlmo/codes.h"
#include "models/vlmo/config.h"
#include "models/vlmo/transformer.h"
#include "tandem/models/model.h"
#include "tandem/nn/classifier.h"
#include "tandem/nn/normalize.h"

namespace tandem::models::vlmo {

// The backbone and the heads that the config names.
struct Vlmo : Backbone {
  std::shared_ptr<nn::Linear> pooler;               // pooler.dense
  std::shared_ptr<nn::PredictionHead> mlm_score;    // its decoder is not the word embeddings
  std::shared_ptr<nn::Linear> itm_score;            // itm_score.fc: [no match, match]
  std::shared_ptr<nn::Linear> itc_text, itc_image;  // itc_{text,image}_proj.fc
  std::shared_ptr<nn::Linear> itc_vl_text, itc_vl_image;
  at::Tensor logit_scale, logit_vl_scale;      // logs of the inverse temperatures
  std::shared_ptr<nn::Linear> lm_head;         // transformer.lm_head: [K, D]
  std::shared_ptr<nn::Classifier> classifier;  // vqa_classifier or nlvr2_classifier
  std::shared_ptr<PatchCodes> codes;

  explicit Vlmo(const Config& config);
};

// As the original code initialises it; every tensor from the key and its own name.
void initialize(Vlmo& net, const Config& config, Key init);

// Features of the contrast, L2-normalised, fp32; the paths stand side by side: [B, D] or [B, 2 D].
struct Contrast {
  at::Tensor image, text;
};
// Among whom hard negatives are drawn: this rank's samples (rows [first, first + B)) and others'.
struct Candidates {
  Contrast features;  // without gradient
  at::Tensor pixels;  // [N, 3, S, S], as in the batch
  Tokens text;        // ids and mask [N, T]
  std::int64_t first = 0;
};
// Which negatives stand in: sample image[b]'s picture for text b, text[b]'s text for picture b.
struct Negatives {
  at::Tensor image, text;  // int64 [B], rows of the candidates
};

// --- Section 2.3, as functions of a batch (losses.cpp) ----------------------------------------
// `split` is Backbone::pair's. The contexts' keys are folded for every pass.

Contrast contrast(const Vlmo& net, const at::Tensor& pixels, const Tokens& text,
                  const nn::BlockContext& context);
at::Tensor scales(const Vlmo& net);  // [1] or [2]
// One negative picture and one negative text for each of the rank's `size` pairs, in proportion to
// the softmax of path 1's similarities over the others.
Negatives draw_negatives(const Vlmo& net, const Candidates& among, std::int64_t size, Key key);
// Matching over 3 B pairs: true ones, (text, hard picture), (hard text, picture).
LossTerm matching(const Vlmo& net, const at::Tensor& pixels, const Tokens& text,
                  const at::Tensor& hard_pixels, const Tokens& hard_text, std::int64_t split,
                  const nn::BlockContext& context);
// Hidden tokens: text.labels is -100 where a token is not hidden. Without the code's factor 0.25.
LossTerm masked_language(const Vlmo& net, const at::Tensor& pixels, const Tokens& text,
                         std::int64_t split, double count, const nn::BlockContext& context);
// The same on text alone, by the text experts.
LossTerm masked_text(const Vlmo& net, const Tokens& text, double count,
                     const nn::BlockContext& context);
// What is to be guessed of pictures.
struct HiddenPatches {
  at::Tensor hidden;      // uint8 [B, P], 1 = hidden
  at::Tensor codes;       // int64 [B, P], of all patches
  std::int64_t most = 0;  // no picture hides more
};
LossTerm masked_image(const Vlmo& net, const at::Tensor& pixels, const HiddenPatches& patches,
                      double count, const nn::BlockContext& context);
// Probability that text and picture belong together, [B].
at::Tensor match_probability(const Vlmo& net, const at::Tensor& pixels, const Tokens& text);

// --- Section 3.1: the fusion encoder on tasks (tasks.cpp). Letter C: answers or classes --------

// Of the pair's pooled rows: [B, C].
at::Tensor answer_logits(const Vlmo& net, const at::Tensor& pixels, const Tokens& text,
                         const nn::BlockContext& context);
// Of the pooled rows of both pairs, side by side: [B, C].
at::Tensor reason_logits(const Vlmo& net, const at::Tensor& left, const at::Tensor& right,
                         const Tokens& text, const nn::BlockContext& context);

class VlmoModel final : public Model {
 public:
  VlmoModel(const Config& config, Key init);

  NamedTensors parameters() const override;
  NamedTensors buffers() const override;
  torch::nn::Module* module() const override { return net_.get(); }
  void to(const at::Device& device) override;
  void train(bool on) override;
  std::vector<std::string> losses_known() const override;
  std::map<std::string, ChanceLevel> chance_levels(std::int64_t batch) const override;
  std::map<std::string, double> counts(const Batch& batch, const LossRequest&) const override;
  LossTerms losses(const Batch& batch, const LossRequest& request,
                   const StepContext& context) override;
  Features features(const Batch& batch, const LossRequest&, const StepContext& context) override;
  std::shared_ptr<const objectives::ItcSolution> solve(const Features& features,
                                                       const LossRequest& request,
                                                       const StepContext& context) override;
  Abilities abilities() override;
  std::map<std::string, at::Tensor> reference_outputs(
      const std::map<std::string, at::Tensor>& inputs) override;

 private:
  at::Tensor pixels_of(const Images& images) const;
  void contrastive(const Batch& batch, const LossRequest& request, const StepContext& context,
                   LossTerms& terms) const;
  LossTerm match_loss(const Batch& batch, const Contrast& features,
                      const StepContext& context) const;
  at::Tensor task_logits(const Batch& batch, const nn::BlockContext& context) const;  // [B, C]
  void add_task(const Batch& batch, const LossRequest& request, const nn::BlockContext& context,
                LossTerms& terms) const;
  void prepare_codes(const at::Tensor& pixels, const StepContext& context);

  Config config_;
  nn::PixelStatistics statistics_;
  std::shared_ptr<Vlmo> net_;
  bool training_ = true;
};

}  // namespace tandem::models::vlmo
