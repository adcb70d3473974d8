#pragma once
// Text assignment: what ALBEF trains on pairs before NLVR2, so that the layers which fuse a text
// with two pictures know what the two are for: does the text belong to the first picture, to the
// second, or to neither?
// Source: Li et al. 2021, section 5 (NLVR2); salesforce/ALBEF:models/model_pretrain_nlvr.py,
// Pretrain_nlvr.py, configs/NLVR_pretrain.yaml. Letters as in model.h.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/albef/model.h"

namespace tandem::models::albef {

struct AssignmentParts : Encoders {
  std::shared_ptr<nn::Linear> ta_head;  // D -> 3

  explicit AssignmentParts(const Config& config);
};

// What the original holds and never trains: the projection that pictures are compared by, and two
// tensors of pre-training that nothing reads. They come with the weights.
struct FrozenContrast : torch::nn::Module {
  std::shared_ptr<nn::Linear> vision_proj, text_proj;
  at::Tensor temperature;

  explicit FrozenContrast(const Config& config);
};

// For each text the pictures that it is shown with, rows of the micro-batch, and which is its own:
// 0 the first, 1 the second, 2 neither.
struct Assigned {
  at::Tensor first, second, labels;  // int64 [B]
};

// A text is shown without its own picture with probability 1/3, else with it on either side. The
// others are drawn by `alike` [B, B], how like two pictures are (>= 0, 0 where they may not be
// drawn), without one twice. On the device of `alike`; a function of the key.
Assigned draw_assigned(const at::Tensor& alike, Key key);

class AssignmentModel final : public Model {
 public:
  AssignmentModel(const Config& config, Key init);

  NamedTensors parameters() const override;
  NamedTensors buffers() const override;
  torch::nn::Module* module() const override { return parts_.get(); }
  void to(const at::Device& device) override;
  void train(bool on) override;
  std::vector<std::string> losses_known() const override { return {"ta"}; }
  std::map<std::string, ChanceLevel> chance_levels(std::int64_t batch) const override;
  std::map<std::string, double> counts(const Batch& batch, const LossRequest&) const override;
  LossTerms losses(const Batch& batch, const LossRequest& request,
                   const StepContext& context) override;
  Abilities abilities() override { return {}; }
  // One step with recorded choices: `first`, `second`, `labels`.
  std::map<std::string, at::Tensor> reference_outputs(
      const std::map<std::string, at::Tensor>& inputs) override;

 private:
  // [B, B]: softmax of the similarities over a fixed 0.07; 0 between equal pictures.
  at::Tensor likeness(const at::Tensor& image, const at::Tensor& picture_ids) const;
  at::Tensor logits(const at::Tensor& image, const Texts& texts, const Assigned& shown,
                    const nn::BlockContext& context) const;  // [B, 3]

  Config config_;
  nn::PixelStatistics statistics_;
  std::shared_ptr<AssignmentParts> parts_;
  std::shared_ptr<FrozenContrast> frozen_;
};

}  // namespace tandem::models::albef
