#pragma once
// CLIP: two towers and one matrix of similarities.
// Source: Radford et al. 2021 (arXiv:2103.00020), section 2 and figure 3;
// openai/CLIP:clip/model.py. Letters: B pairs, T tokens, P patches, D width of a tower, E width of
// the common space.

#include <memory>
#include <vector>

#include "models/clip/config.h"
#include "tandem/base/random.h"
#include "tandem/models/model.h"
#include "tandem/nn/normalize.h"
#include "tandem/nn/run_block.h"
#include "tandem/nn/vision_tower.h"

namespace tandem::models::clip {

struct TextEmbeddings : torch::nn::Module {
  std::shared_ptr<nn::Embedding> token_embedding, position_embedding;

  explicit TextEmbeddings(const TextConfig& config);
  // positions: undefined (0, 1, 2, ...) or int64 [1 or B, T].
  at::Tensor forward(const at::Tensor& ids, const at::Tensor& positions) const;
};

struct TextModel : torch::nn::Module {
  std::shared_ptr<TextEmbeddings> embeddings;
  std::shared_ptr<nn::EncoderStack> encoder;
  std::shared_ptr<nn::LayerNorm> final_layer_norm;
  std::int64_t eos_id;
  bool argmax;

  explicit TextModel(const TextConfig& config);
  // The row whose feature is the text's: the first end mark, or the largest id. [B, T] -> [B]
  at::Tensor end_of(const at::Tensor& ids) const;
  at::Tensor pooled(const Tokens& tokens, const nn::Mask& mask,
                    const nn::BlockContext& context) const;
  at::Tensor hidden(const Tokens& tokens, const nn::Mask& mask) const;
};

struct Clip : torch::nn::Module {
  at::Tensor logit_scale;  // log of the inverse temperature
  std::shared_ptr<TextModel> text_model;
  std::shared_ptr<nn::VisionTower> vision_model;
  std::shared_ptr<nn::Linear> visual_projection, text_projection;

  explicit Clip(const Config& config);
};

// As openai/CLIP initialises it; every tensor from the key and its own name.
void initialize(Clip& clip, const Config& config, Key init);

class ClipModel final : public Model {
 public:
  ClipModel(const Config& config, Key init);

  NamedTensors parameters() const override;
  torch::nn::Module* module() const override { return clip_.get(); }
  void to(const at::Device& device) override;
  void train(bool on) override;
  std::vector<std::string> losses_known() const override { return {"itc"}; }
  std::map<std::string, ChanceLevel> chance_levels(std::int64_t batch) const override {
    return {{"itc", chance_among(batch)}};
  }
  std::map<std::string, double> counts(const Batch& batch, const LossRequest&) const override;
  LossTerms losses(const Batch& batch, const LossRequest& request,
                   const StepContext& context) override;
  Features features(const Batch& batch, const LossRequest&, const StepContext& context) override;
  std::shared_ptr<const objectives::ItcSolution> solve(const Features& features,
                                                       const LossRequest& request,
                                                       const StepContext& context) override;
  void after_step(const StepContext&) override;
  Abilities abilities() override;
  std::map<std::string, at::Tensor> reference_outputs(
      const std::map<std::string, at::Tensor>& inputs) override;

 private:
  at::Tensor image_features(const Images& images, const nn::BlockContext& context) const;  // [B, E]
  at::Tensor text_features(const Tokens& tokens, const nn::BlockContext& context) const;   // [B, E]

  Config config_;
  nn::PixelStatistics statistics_;
  std::shared_ptr<Clip> clip_;
};

}  // namespace tandem::models::clip
