#pragma once
// ALBEF fine-tuned: classes of a pair (visual entailment) and of a text with two pictures (natural
// language for visual reasoning). Answers from a decoder: answering.h.
// Source: Li et al. 2021, section 5; salesforce/ALBEF:models/{model_ve,model_nlvr,model_vqa}.py.
// Letters as in model.h; A answers, C classes.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/albef/model.h"
#include "models/reference_inputs.h"

namespace tandem::models::albef {

struct TaskParts : Encoders {
  std::shared_ptr<nn::Linear> hidden, classes;  // "cls_head.0", "cls_head.2", a ReLU between them
  std::shared_ptr<nn::BertModel> decoder;       // every layer looks at the question's rows
  std::shared_ptr<nn::PredictionHead> words;    // of the decoder; its matrix is the table of words

  TaskParts(const Config& config, const std::string& suffix);

  // Rows of the text that has seen its picture or pictures: pixels [B or 2 B, 3, H, W].
  at::Tensor read(const at::Tensor& pixels, const Texts& texts,
                  const nn::BlockContext& context = {}) const;
  at::Tensor classify(const at::Tensor& rows) const;  // [B, T, D] -> [B, C]
};

// Recorded inputs that all tasks have.
struct Asked {
  at::Tensor pixels;
  Texts texts;
  double alpha = 0;
};
Asked asked_in(const ReferenceInputs& inputs, const Config& config);
// What verify calls the copies, under every name that a tensor has.
void add_copies_state(const TaskParts& copies, std::map<std::string, at::Tensor>& outputs);

// What is fine-tuned, beside its momentum copies where their answers are a part of the targets.
class FineTuned : public Model {
 public:
  NamedTensors parameters() const override;
  NamedTensors buffers() const override;
  torch::nn::Module* module() const override { return parts_.get(); }
  void to(const at::Device& device) override;
  void train(bool on) override;

 protected:
  FineTuned(const Config& config, Key init);
  // Once a step, before its first micro-batch; nothing without copies. broken: StepContext's.
  void move_copies(const at::Tensor& broken = {});
  // The share of the copies' answers in the targets.
  double alpha_at(std::int64_t step) const;

  Config config_;
  nn::PixelStatistics statistics_;
  bool training_ = false;
  std::shared_ptr<TaskParts> parts_, copies_;  // the second is null without distillation

 private:
  nn::Momentum momentum_;
};

class TaskModel final : public FineTuned {
 public:
  TaskModel(const Config& config, Key init);

  std::vector<std::string> losses_known() const override;
  std::map<std::string, ChanceLevel> chance_levels(std::int64_t batch) const override;
  std::map<std::string, double> counts(const Batch& batch, const LossRequest&) const override;
  LossTerms losses(const Batch& batch, const LossRequest& request,
                   const StepContext& context) override;
  Abilities abilities() override;
  std::map<std::string, at::Tensor> reference_outputs(
      const std::map<std::string, at::Tensor>& inputs) override;

 private:
  using Outputs = std::map<std::string, at::Tensor>;
  at::Tensor pixels_of(const Batch& batch) const;  // the second pictures behind the first ones

  Kind kind_;
};

}  // namespace tandem::models::albef
