#pragma once
// LLaVA: a vision tower, a connector, a language model.
// Source: Liu et al. 2023 (arXiv:2304.08485), 4.1 and figure 1; haotian-liu/LLaVA:llava_arch.py;
// transformers:modeling_llava.py.
// Letters: B dialogues, T tokens, N pictures, P rows of a picture as the tower gives them, R as the
// language model reads them, C width of the tower, D of the language model's words.

#include <memory>
#include <vector>

#include "models/llava/config.h"
#include "models/llava/connector.h"
#include "models/llava/language.h"
#include "models/llava/tower.h"
#include "tandem/base/random.h"
#include "tandem/models/keeps_files.h"
#include "tandem/models/kept_tower.h"
#include "tandem/models/model.h"
#include "tandem/nn/normalize.h"
#include "tandem/nn/run_block.h"

namespace tandem::models::llava {

// Figure 1, of any parts.
struct Llava : torch::nn::Module {
  std::unique_ptr<PictureTower> tower;      // "vision_tower.vision_model"
  std::unique_ptr<Connector> connector;     // "multi_modal_projector"
  std::unique_ptr<LanguageModel> language;  // "language_model"

  explicit Llava(const Config& config);
};

void initialize(const Llava& llava, Key init);
// Weights of vision.pretrained and language.pretrained, where the settings name them.
void read_pretrained(Llava& llava, const Config& config);

class LlavaModel final : public Model, public KeepsTower, public KeepsFiles {
 public:
  LlavaModel(const Config& config, Key init);

  NamedTensors parameters() const override;
  NamedTensors buffers() const override { return buffers_of(reference_.get()); }
  torch::nn::Module* module() const override { return llava_.get(); }
  void to(const at::Device& device) override;
  void keep_in(const std::filesystem::path& folder) override { kept_.keep_in(folder); }
  void train(bool on) override;
  std::vector<std::string> losses_known() const override { return {"lm", "dpo"}; }
  std::map<std::string, ChanceLevel> chance_levels(std::int64_t batch) const override;
  std::map<std::string, double> counts(const Batch& batch, const LossRequest&) const override;
  LossTerms losses(const Batch& batch, const LossRequest& request,
                   const StepContext& context) override;
  Abilities abilities() override;
  std::map<std::string, at::Tensor> reference_outputs(
      const std::map<std::string, at::Tensor>& inputs) override;
  TowerPart tower_part() const override;  // all in front of the connector

 private:
  // normalised [N, 3, H, W] -> [N, P, C], of several blocks side by side; blocks: after which the
  // tower's rows are seen.
  at::Tensor seen_rows(const at::Tensor& pixels, const std::vector<std::int64_t>& blocks,
                       bool class_token, const nn::BlockContext& context) const;
  // Words, with the pictures' rows in their places. pictures: [N, R, D], or undefined.
  at::Tensor embed(const LanguageModel& language, const at::Tensor& ids,
                   const at::Tensor& pictures) const;
  at::Tensor read_pictures(const Batch& batch, const StepContext* context) const;
  // Hidden states of whole texts whose padding, if any, stands on the right: [B, T, D].
  at::Tensor read(const LanguageModel& language, const Tokens& text, const at::Tensor& pictures,
                  const nn::BlockContext& context) const;
  std::vector<std::vector<std::int64_t>> write(const Batch& prompts,
                                               const GenerateOptions& options) const;

  AnswerReader reader_of();  // of preferences

  Config config_;
  nn::PixelStatistics statistics_;
  std::shared_ptr<Llava> llava_;
  // The language model as the stage found it, under its own names; null unless preferences want a
  // copy.
  std::unique_ptr<LanguageModel> copied_;
  std::shared_ptr<torch::nn::Module> reference_;
  KeptReference kept_{config_.preference.keep};
};

}  // namespace tandem::models::llava
