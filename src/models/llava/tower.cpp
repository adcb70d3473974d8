#include "models/llava/tower.h"

#include <map>

#include "models/pass.h"
#include "models/tower_text.h"
#include "tandem/base/error.h"
#include "tandem/nn/init.h"
#include "tandem/nn/vision_tower.h"
#include "tandem/nn/vit.h"

namespace tandem::models::llava {
namespace {

class ClipTower final : public PictureTower {
 public:
  explicit ClipTower(const TowerConfig& config)
      : config_(config), tower_(std::make_shared<nn::VisionTower>(shape_of(config))) {}

  std::shared_ptr<torch::nn::Module> module() const override { return tower_; }

  std::vector<at::Tensor> states(const at::Tensor& pixels, const std::vector<std::int64_t>& blocks,
                                 const nn::BlockContext& context) const override {
    return tower_->states(pixels, blocks, context);
  }

  void initialize(const std::string& prefix, Key init) const override {
    initialize_vision(*tower_, config_, prefix, init);
  }

  std::string text(const vision::ImageSettings& image) const override {
    return tower_text(config_, config_.patch_size, image);
  }

 private:
  TowerConfig config_;
  std::shared_ptr<nn::VisionTower> tower_;
};

// Of BLIP-2: timm's transformer, its patches with a bias, no norm in front. The norm behind it is
// there, as in its release, and nobody's rows go through it.
class EvaTower final : public PictureTower {
 public:
  explicit EvaTower(const TowerConfig& config) : patch_size_(config.patch_size), blocks_(config) {
    blocks_.activation = config.eva.activation;
    blocks_.layer_norm_eps = config.eva.layer_norm_eps;
    qkv_bias_ = config.eva.qkv_bias;
    nn::VitShape shape;
    shape.block = block_of(blocks_);
    shape.layers = config.layers;
    shape.image_size = config.image_size;
    shape.patch_size = config.patch_size;
    shape.qkv_bias = qkv_bias_;
    tower_ = std::make_shared<nn::Vit>(shape, nn::hugging_face_vit_names());
  }

  std::shared_ptr<torch::nn::Module> module() const override { return tower_; }

  std::vector<at::Tensor> states(const at::Tensor& pixels, const std::vector<std::int64_t>& blocks,
                                 const nn::BlockContext& context) const override {
    return tower_->states(pixels, blocks, context);
  }

  void initialize(const std::string& prefix, Key init) const override {
    nn::initialize_normal(parameters_of(*tower_, prefix), 0.02, init);
  }

  std::string text(const vision::ImageSettings& image) const override {
    return tower_text(blocks_, patch_size_, image) + (qkv_bias_ ? " eva" : " eva without biases");
  }

 private:
  std::int64_t patch_size_;
  Tower blocks_;
  bool qkv_bias_ = true;
  std::shared_ptr<nn::Vit> tower_;
};

template <class T>
std::unique_ptr<PictureTower> made_tower(const TowerConfig& config) {
  return std::make_unique<T>(config);
}

}  // namespace

std::unique_ptr<PictureTower> make_tower(const TowerConfig& config) {
  static const std::map<std::string, std::unique_ptr<PictureTower> (*)(const TowerConfig&)> kinds{
      {"clip", made_tower<ClipTower>}, {"eva", made_tower<EvaTower>}};
  const auto found = kinds.find(config.kind);
  TANDEM_CHECK(found != kinds.end(), "[models] expected a kind of tower");
  return found->second(config);
}

}  // namespace tandem::models::llava
