#pragma once
// Visual codes: what masked image modelling guesses. The paper takes the codes of a discrete VAE;
// these are k-means codes of the patches' pixels, behind the same interface: codes(picture).
// Source of the idea that such targets serve: Bao et al. 2022 (BEiT), 2.2; Lloyd 1982.

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include "tandem/base/random.h"
#include "tandem/dist/mesh.h"

namespace tandem::models::vlmo {

struct PatchCodes : torch::nn::Module {
  at::Tensor centers;  // [K, 3 S S] buffer: patches of normalised pixels
  at::Tensor trained;  // [] uint8 buffer, 1 = the centers are those of a training

  PatchCodes(std::int64_t codes, std::int64_t patch_size);
  // pixels: [B, 3, H, W] normalised -> [B, P] int64, row by row. Without gradient.
  at::Tensor codes(const at::Tensor& pixels) const;
  // The centers of these pictures' patches, and of the other ranks' (all give as many): started at
  // patches drawn by key, each new one far from those before (k-means++), then moved `rounds`
  // times. A center that no patch is nearest to stays. The same on every rank.
  void train_centers(const at::Tensor& pixels, const dist::Mesh& mesh, Key key, int rounds = 20);

 private:
  at::Tensor patches_of(const at::Tensor& pixels) const;  // [B, P, 3 S S]
  at::Tensor nearest(const at::Tensor& rows) const;       // [R, 3 S S] -> [R]
  std::int64_t patch_;
};

}  // namespace tandem::models::vlmo
