#pragma once
// ALBEF fine-tuned: classes of a pair (visual entailment), of a text with two pictures (natural
// language for visual reasoning), and answers from a decoder. For `tandem verify`: there is no data
// to train them on yet.
// Source: Li et al. 2021, section 5; salesforce/ALBEF:models/{model_ve,model_nlvr,model_vqa}.py.
// Letters as in model.h; A answers, C classes.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/albef/model.h"

namespace tandem::models::albef {

struct TaskParts : Encoders {
  std::shared_ptr<nn::Linear> hidden, classes;  // "cls_head.0", "cls_head.2", a ReLU between them
  std::shared_ptr<nn::BertModel> decoder;       // every layer looks at the question's rows
  std::shared_ptr<nn::PredictionHead> words;    // of the decoder; its matrix is the table of words

  TaskParts(const Config& config, const std::string& suffix);

  // Rows of the text that has seen its picture or pictures: pixels [B or 2 B, 3, H, W].
  at::Tensor read(const at::Tensor& pixels, const Texts& texts) const;
  at::Tensor classify(const at::Tensor& rows) const;  // [B, T, D] -> [B, C]
  // Each answer's tokens from those before it: [A, T'] -> [A, T', V].
  at::Tensor answer(const Texts& answers, const at::Tensor& question,
                    const nn::Mask& question_mask) const;
};

class TaskModel final : public Model {
 public:
  TaskModel(const Config& config, Key init);

  NamedTensors parameters() const override;
  NamedTensors buffers() const override;
  torch::nn::Module* module() const override { return parts_.get(); }
  void to(const at::Device& device) override;
  void train(bool on) override;
  std::vector<std::string> losses_known() const override { return {}; }
  std::map<std::string, double> counts(const Batch&, const LossRequest&) const override {
    return {};
  }
  LossTerms losses(const Batch&, const LossRequest&, const StepContext&) override { return {}; }
  Abilities abilities() override { return {}; }
  std::map<std::string, at::Tensor> reference_outputs(
      const std::map<std::string, at::Tensor>& inputs) override;

 private:
  using Outputs = std::map<std::string, at::Tensor>;
  Outputs classification(const Outputs& inputs);
  Outputs answers(const Outputs& inputs);
  void move_copies();
  void add_state(Outputs& outputs) const;

  Config config_;
  Kind kind_;
  std::shared_ptr<TaskParts> parts_, copies_;  // the second is null without distillation
  nn::Momentum momentum_;
};

}  // namespace tandem::models::albef
