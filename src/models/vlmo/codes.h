#pragma once
// Visual codes: what masked image modelling guesses. The paper takes the codes of a discrete VAE;
// these are k-means codes of the patches' pixels, behind the same interface: codes(picture). A job
// trains them (jobs/train_codes.h), or, without one, the first step that asks for them.
// Source of the idea that such targets serve: Bao et al. 2022 (BEiT), 2.2; Lloyd 1982.

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include "tandem/base/random.h"
#include "tandem/dist/mesh.h"
#include "tandem/models/visual_codes.h"
#include "tandem/nn/normalize.h"

namespace tandem::models::vlmo {

struct PatchCodes final : torch::nn::Module, LearnedCodes {
  at::Tensor centers;  // [K, 3 S S] buffer: patches of normalised pixels
  at::Tensor trained;  // [] uint8 buffer, 1 = the centers are those of a training

  PatchCodes(std::int64_t codes, std::int64_t patch_size, const nn::PixelStatistics& statistics);
  at::Tensor codes(const at::Tensor& pixels) const override;
  std::array<std::int64_t, 2> shape() const override;
  at::Tensor patches(const at::Tensor& pixels) const override;
  void take(const at::Tensor& places) override;
  // The centers of these pictures' patches, and of the other ranks' (all give as many): spread by
  // the key, then moved `rounds` times (tensor/kmeans.h). The same on every rank.
  void train_centers(const at::Tensor& pixels, const dist::Mesh& mesh, Key key, int rounds = 20);

 private:
  std::int64_t patch_;
  nn::PixelStatistics statistics_;
};

}  // namespace tandem::models::vlmo
