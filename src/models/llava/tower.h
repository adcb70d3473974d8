#pragma once
// The towers that pictures go through, as parts of one interface: rows of a fixed number, the class
// token's first.
// Letters: N pictures, P patches, C width of the tower.

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <memory>
#include <string>
#include <vector>

#include "models/llava/config.h"
#include "tandem/base/random.h"
#include "tandem/nn/run_block.h"

namespace tandem::models::llava {

class PictureTower {
 public:
  virtual ~PictureTower() = default;

  // All its parameters, under the names of its release.
  virtual std::shared_ptr<torch::nn::Module> module() const = 0;
  // Normalised pixels [N, 3, H, W] -> rows [N, 1 + P, C] after so many blocks, for each of
  // `blocks`, without a norm behind them; no block behind the last of them runs.
  virtual std::vector<at::Tensor> states(const at::Tensor& pixels,
                                         const std::vector<std::int64_t>& blocks,
                                         const nn::BlockContext& context) const = 0;
  // As its release is initialised; prefix: in front of its names.
  virtual void initialize(const std::string& prefix, Key init) const = 0;
  // What rows follow from beside weights and pixels (tower_text.h).
  virtual std::string text(const vision::ImageSettings& image) const = 0;
};

std::unique_ptr<PictureTower> make_tower(const TowerConfig& config);

}  // namespace tandem::models::llava
