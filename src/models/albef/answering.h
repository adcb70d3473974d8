#pragma once
// ALBEF fine-tuned to answer questions: a decoder of its own reads the question that has seen the
// picture, and writes the answer or weighs given ones.
// Source: Li et al. 2021, section 5 (visual question answering); salesforce/ALBEF:models/
// model_vqa.py. Letters as in tasks.h.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/albef/tasks.h"

namespace tandem::models::albef {

class AnswerModel final : public FineTuned {
 public:
  AnswerModel(const Config& config, Key init) : FineTuned(config, init) {}

  std::vector<std::string> losses_known() const override { return {"vqa"}; }
  std::map<std::string, double> counts(const Batch& batch, const LossRequest&) const override;
  LossTerms losses(const Batch& batch, const LossRequest& request,
                   const StepContext& context) override;
  Abilities abilities() override;
  std::map<std::string, at::Tensor> reference_outputs(
      const std::map<std::string, at::Tensor>& inputs) override;

 private:
  using Outputs = std::map<std::string, at::Tensor>;

  // A question's rows [B, T, D] and who may be looked at.
  struct Question {
    at::Tensor rows;
    nn::Mask mask;
  };
  Question read(const TaskParts& parts, const at::Tensor& pixels, const Texts& texts,
                const nn::BlockContext& context) const;
  // Logits [A, T', V] of the answers to the questions `rows`, int64 [A].
  at::Tensor decode(const TaskParts& parts, const Texts& answers, const Question& question,
                    const at::Tensor& rows, const nn::BlockContext& context) const;
  // Each answer's loss, [A]: partly against the copies' words.
  at::Tensor weigh(const at::Tensor& pixels, const Texts& questions, const Tokens& answers,
                   const at::Tensor& rows, double alpha, const StepContext& context,
                   at::Tensor* logits = nullptr) const;
  Ranked rank(const Batch& prompts, const Tokens& candidates, std::int64_t k) const;
  std::vector<std::vector<std::int64_t>> write(const Batch& prompts,
                                               const GenerateOptions& options) const;
};

}  // namespace tandem::models::albef
