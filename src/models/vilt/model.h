#pragma once
// ViLT: the single stream and what stands on top of it. Source: Kim et al. 2021 (arXiv:2102.03334),
// sections 3 and 4; dandelin/ViLT:vilt/modules/objectives.py. Letters as in transformer.h.

#include <memory>
#include <string>
#include <vector>

#include "models/vilt/config.h"
#include "models/vilt/transformer.h"
#include "tandem/models/contrast_columns.h"
#include "tandem/models/model.h"
#include "tandem/nn/classifier.h"

namespace tandem::models::vilt {

// The stream and its heads; those that the config does not name are null.
struct Heads : torch::nn::Module {
  std::shared_ptr<Vilt> vilt;
  std::shared_ptr<nn::PredictionHead> mlm_score;
  std::shared_ptr<nn::Linear> itm_score;       // [2, D]; row 1 says that the pair matches
  std::shared_ptr<nn::Linear> rank_output;     // [1, D]
  std::shared_ptr<nn::Classifier> classifier;  // vqa, nlvr2
  std::shared_ptr<nn::Linear> token_classifier;

  explicit Heads(const Config& config);
};

// BERT's rule with spread 0.02 for everything, as the original without its ImageNet weights.
void initialize(Heads& heads, const Config& config, Key init);

// The pairs that matching sees: rows with label 0 hold another picture than their text's.
struct MatchingPairs {
  at::Tensor labels;  // [B] int64
  Images images;
};
// Half of the labels are 1, in an order drawn under the key; the pictures of the other rows are
// those of other samples of the batch.
MatchingPairs draw_pairs(const Images& images, Key key);

// The texts of a micro-batch that retrieval compares: for each of B pictures its own, then
// different ones of other pictures, drawn evenly.
struct DrawnTexts {
  at::Tensor rows;  // int64 [B, 1 + others]
  // bool, the same shape: no text of another picture was left, this one does not count.
  at::Tensor surplus;
};
// picture_ids: int64 [B]; others < B.
DrawnTexts draw_texts(const at::Tensor& picture_ids, std::int64_t others, Key key);

class ViltModel final : public Model, public ContrastsMicroBatches {
 public:
  ViltModel(const Config& config, Key init);

  NamedTensors parameters() const override;
  torch::nn::Module* module() const override;
  void to(const at::Device& device) override { heads_->to(device); }
  void train(bool on) override { heads_->train(on); }
  std::vector<std::string> losses_known() const override;
  std::map<std::string, ChanceLevel> chance_levels(std::int64_t batch) const override;
  std::map<std::string, double> counts(const Batch& batch, const LossRequest&) const override;
  LossTerms losses(const Batch& batch, const LossRequest& request,
                   const StepContext& context) override;
  Abilities abilities() override;
  std::map<std::string, at::Tensor> reference_outputs(
      const std::map<std::string, at::Tensor>& inputs) override;
  at::Tensor reference_aligned(const std::string& name,
                               const std::map<std::string, at::Tensor>& outputs,
                               const at::Tensor& recorded) override;
  std::vector<std::string> losses_of_micro_batch() const override;
  bool sees_all_ranks() const override { return false; }

 private:
  // The objectives, their random choices made.
  LossTerm masked_words(const Tokens& masked, const Images& images, bool pack,
                        const nn::BlockContext& context) const;
  // "itm", and "wpa" where asked for, from one pass.
  LossTerms matching(const Tokens& text, const MatchingPairs& pairs, bool with_wpa, bool pack,
                     const nn::BlockContext& context) const;
  at::Tensor pooled(const Tokens& text, const Images& images, std::int64_t modality,
                    const nn::BlockContext& context) const;  // [B, D]
  at::Tensor pooled(const Batch& batch) const;
  // tasks.cpp: what the model is fine-tuned for, section 4.3.
  at::Tensor answer_logits(const Batch& batch, const nn::BlockContext& context) const;  // [B, C]
  LossTerm ranking(const Batch& batch, const StepContext& context) const;
  LossTerms task_losses(const Batch& batch, const LossRequest& request,
                        const StepContext& context) const;
  std::map<std::string, at::Tensor> reference_step(const std::map<std::string, at::Tensor>&) const;
  std::map<std::string, at::Tensor> reference_head(const PairOutput& output,
                                                   const at::Tensor& labels) const;

  Config config_;
  std::shared_ptr<Heads> heads_;
};

}  // namespace tandem::models::vilt
