#pragma once
// Qwen2-VL and Qwen2.5-VL: a vision tower for pictures and videos of any resolution, whose tokens
// stand among the words of a Qwen2 language model, each with a position in time, height and width.
// Source: Wang et al. 2024 (arXiv:2409.12191), figure 2; Bai et al. 2025 (arXiv:2502.13923),
// figure 1; transformers:models/{qwen2_vl,qwen2_5_vl}.
// Letters: B samples, T tokens, D width, C tokens of all pictures, V vocabulary.

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "models/language_config.h"
#include "models/qwen2_vl/config.h"
#include "models/qwen2_vl/vision.h"
#include "tandem/base/random.h"
#include "tandem/models/keeps_files.h"
#include "tandem/models/model.h"
#include "tandem/nn/decoder.h"
#include "tandem/nn/normalize.h"

namespace tandem::models::qwen2_vl {

// All parameters, under the hub's names: visual, model, lm_head.
struct Qwen2Vl : torch::nn::Module {
  std::shared_ptr<Tower> visual;
  std::shared_ptr<nn::Decoder> model;
  std::shared_ptr<nn::Linear> lm_head;  // null where the table of words serves

  explicit Qwen2Vl(const Config& config);
  at::Tensor head() const;  // [V, D], with what an adapter adds
};

// As the original initialises it; every tensor from the key and its own name.
void initialize(Qwen2Vl& model, Key init);
// Weights of vision.pretrained and text.pretrained, where the settings name them. The tower's
// merger is taken where it ends in the language model's width. Throws Error(config).
void read_pretrained(Qwen2Vl& model, const Config& config);

std::vector<Grid> grids_of(const at::Tensor& grid_thw);  // int64 [N, 3] on the host
at::Tensor tensor_of(const Positions& positions);        // int64 [3, 1, T]

class Qwen2VlModel final : public Model, public KeepsFiles {
 public:
  Qwen2VlModel(const Config& config, Key init);

  NamedTensors parameters() const override;
  NamedTensors buffers() const override;
  torch::nn::Module* module() const override { return model_.get(); }
  void to(const at::Device& device) override;
  void keep_in(const std::filesystem::path& folder) override { kept_.keep_in(folder); }
  void train(bool on) override { model_->train(on); }
  std::vector<std::string> losses_known() const override { return {"lm", "dpo"}; }
  std::map<std::string, ChanceLevel> chance_levels(std::int64_t batch) const override;
  std::map<std::string, double> counts(const Batch& batch, const LossRequest&) const override;
  LossTerms losses(const Batch& batch, const LossRequest& request,
                   const StepContext& context) override;
  Abilities abilities() override;
  std::map<std::string, at::Tensor> reference_outputs(
      const std::map<std::string, at::Tensor>& inputs) override;

 private:
  // Tokens of all pictures and videos, [C, D]; undefined where there are none.
  at::Tensor look(const std::optional<PackedPatches>& patches,
                  const nn::BlockContext& context) const;
  // Words, with the pictures' tokens in their places: [B, T, D].
  at::Tensor embed(const nn::Decoder& decoder, const at::Tensor& ids,
                   const at::Tensor& looks) const;
  // Last hidden states of whole texts whose padding, if any, stands on the right: [B, T, D].
  at::Tensor read(const nn::Decoder& decoder, const Tokens& tokens, const at::Tensor& looks,
                  const nn::BlockContext& context) const;
  std::vector<std::vector<std::int64_t>> write(const Batch& prompts,
                                               const GenerateOptions& options) const;
  // Of each sample, the first of its pictures among the batch's, and the end.
  std::vector<std::int64_t> picture_ends(const Batch& batch) const;
  AnswerReader reader_of();  // of preferences

  Config config_;
  nn::PixelStatistics statistics_;
  std::shared_ptr<Qwen2Vl> model_;
  std::shared_ptr<DecoderAndHead> reference_;  // null unless preferences want a copy
  KeptReference kept_{config_.preference.keep};
};

}  // namespace tandem::models::qwen2_vl
