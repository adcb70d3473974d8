#pragma once
// Qwen-VL: a tower, a resampler and a language model that reads its tokens between <img> and
// </img>. Source: Bai et al. 2023 (arXiv:2308.12966), section 2; the hub's modeling_qwen.py.
// Letters: B rows, T tokens, N pictures of all rows, Q tokens of a picture, D width, V vocabulary.

#include <memory>
#include <vector>

#include "models/qwen_vl/config.h"
#include "models/qwen_vl/vision.h"
#include "tandem/base/random.h"
#include "tandem/models/kept_tower.h"
#include "tandem/models/model.h"
#include "tandem/nn/decoder.h"
#include "tandem/nn/normalize.h"

namespace tandem::models::qwen_vl {

struct QwenVl : torch::nn::Module {
  std::shared_ptr<nn::Decoder> transformer;
  std::shared_ptr<VisionTower> visual;  // below `transformer` in files
  std::shared_ptr<nn::Linear> lm_head;  // null where it is the table of words

  explicit QwenVl(const Config& config);
  at::Tensor head() const;  // [V, D], with what an adapter adds
};

// As the released code initialises it; every tensor from the key and its own name.
void initialize(QwenVl& model, const Config& config, Key init);

// How much the rotary base grows for a text of `length` tokens in evaluation; 1 up to seq_length.
double ntk_alpha(std::int64_t length, std::int64_t seq_length);
// Angles for the tokens [first, first + tokens). alpha: ntk_alpha, 1 in training. logn: queries
// beyond seq_length grow with the logarithm of their position.
nn::Rotary rotary_of(const LanguageConfig& config, std::int64_t first, std::int64_t tokens,
                     double alpha, bool logn, const at::Device& device);

// Causal and padding, each the lowest number, added: what is hidden by both is -inf. mask [B, S],
// 1 = a token; the last `tokens` rows. -> [B, 1, tokens, S]
nn::Mask released_mask(const at::Tensor& mask, std::int64_t tokens);

// Which tokens are a picture's, the marks not among them: bool [B, T].
at::Tensor inside_pictures(const at::Tensor& ids, std::int64_t start, std::int64_t end);

class QwenVlModel final : public Model, public KeepsTower {
 public:
  QwenVlModel(const Config& config, Key init);

  NamedTensors parameters() const override;
  NamedTensors buffers() const override;
  torch::nn::Module* module() const override { return net_.get(); }
  void to(const at::Device& device) override;
  void train(bool on) override;
  std::vector<std::string> losses_known() const override { return {"lm"}; }
  std::map<std::string, ChanceLevel> chance_levels(std::int64_t) const override {
    return {{"lm", chance_among(config_.language.vocab_size)}};
  }
  std::map<std::string, double> counts(const Batch& batch, const LossRequest&) const override;
  LossTerms losses(const Batch& batch, const LossRequest& request,
                   const StepContext& context) override;
  Abilities abilities() override;
  std::map<std::string, at::Tensor> reference_outputs(
      const std::map<std::string, at::Tensor>& inputs) override;
  TowerPart tower_part() const override;  // all in front of the resampler

 private:
  at::Tensor image_features(const at::Tensor& pixels, const nn::BlockContext& context) const;
  // Words, the pictures' tokens in their places. features: [N, Q, D], undefined without pictures.
  at::Tensor embeds(const at::Tensor& ids, const at::Tensor& features) const;  // [B, T, D]
  // What is written behind each prompt.
  std::vector<std::vector<std::int64_t>> write(const Batch& prompts,
                                               const GenerateOptions& options) const;
  // The angles of a whole text of `length` tokens, as the mode (training or not) has them.
  nn::Rotary rotary(std::int64_t length, const at::Device& device) const;

  Config config_;
  nn::PixelStatistics statistics_;
  std::shared_ptr<QwenVl> net_;
};

}  // namespace tandem::models::qwen_vl
