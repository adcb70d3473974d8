#pragma once
// LLaVA: a vision tower, a connector, a language model.
// Source: Liu et al. 2023 (arXiv:2304.08485), 4.1 and figure 1; haotian-liu/LLaVA:llava_arch.py;
// transformers:modeling_llava.py.
// Letters: B dialogues, T tokens, N pictures, P rows of a picture, C width of the tower, D of the
// language model, V vocabulary.

#include <memory>
#include <vector>

#include "models/llava/config.h"
#include "tandem/base/random.h"
#include "tandem/models/keeps_files.h"
#include "tandem/models/kept_tower.h"
#include "tandem/models/model.h"
#include "tandem/nn/decoder.h"
#include "tandem/nn/normalize.h"
#include "tandem/nn/run_block.h"
#include "tandem/nn/vision_tower.h"

namespace tandem::models::llava {

// W of LLaVA, the MLP of LLaVA-1.5: "linear_1", "linear_2", ...
struct Connector : torch::nn::Module {
  std::vector<std::shared_ptr<nn::Linear>> layers;
  nn::Activation activation;  // nullptr: none

  Connector(const ConnectorConfig& config, std::int64_t in, std::int64_t out);
  at::Tensor forward(at::Tensor x) const;  // [N, P, C] -> [N, P, D]
};

struct Llava : torch::nn::Module {
  std::shared_ptr<nn::VisionTower> vision_tower;  // "vision_tower.vision_model"
  std::shared_ptr<Connector> connector;           // "multi_modal_projector"
  std::shared_ptr<nn::Decoder> decoder;           // "language_model.model"
  std::shared_ptr<nn::Linear> head;               // "language_model.lm_head"; null: tied

  explicit Llava(const Config& config);
  at::Tensor head_weight() const;  // [V, D], with what an adapter adds
};

void initialize(Llava& llava, const Config& config, Key init);
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
  // [N, P, C] -> [N, P, D]
  at::Tensor connected(const at::Tensor& seen, const nn::BlockContext& context) const;
  // Words, with the pictures' rows in their places. pictures: [N, P, D], or undefined.
  at::Tensor embed(const nn::Decoder& decoder, const at::Tensor& ids,
                   const at::Tensor& pictures) const;
  at::Tensor read_pictures(const Batch& batch, const StepContext* context) const;
  // Hidden states of whole texts whose padding, if any, stands on the right: [B, T, D].
  at::Tensor read(const nn::Decoder& decoder, const Tokens& text, const at::Tensor& pictures,
                  const nn::BlockContext& context) const;
  std::vector<std::vector<std::int64_t>> write(const Batch& prompts,
                                               const GenerateOptions& options) const;

  AnswerReader reader_of();  // of preferences

  Config config_;
  nn::PixelStatistics statistics_;
  nn::RopeShape rope_;
  std::shared_ptr<Llava> llava_;
  std::shared_ptr<LanguageCopy> reference_;  // null unless preferences want a copy
  KeptReference kept_{config_.preference.keep};
};

}  // namespace tandem::models::llava
