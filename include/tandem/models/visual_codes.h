#pragma once
// Visual codes: what masked image modelling guesses of hidden patches (Bao et al. 2021, BEiT, 2.1).
// The papers' come from a discrete VAE; k-means codes of patches stand behind the same interface.
//
// Letters: B pictures, N patches of each, F numbers of a patch, K codes.

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <filesystem>

#include "tandem/models/model.h"

namespace tandem::models {

class VisualCodes {
 public:
  virtual ~VisualCodes() = default;
  // pixels: uint8 [B, 3, H, W] -> int64 [B, N], row by row. Without gradient.
  virtual at::Tensor codes(const at::Tensor& pixels) const = 0;
};

// A patch's code is the nearest of K places among the patches.
class LearnedCodes : public VisualCodes {
 public:
  virtual std::array<std::int64_t, 2> shape() const = 0;  // K, F
  // uint8 [B, 3, H, W] -> fp32 [B, N, F]: what the places lie among.
  virtual at::Tensor patches(const at::Tensor& pixels) const = 0;
  // centers: fp32 [K, F], copied.
  virtual void take(const at::Tensor& centers) = 0;
};

// The model's, a part of its module; null: it has none.
LearnedCodes* learned_codes(const Model& model);

// A file of them: safetensors with `centers` [K, F]. Throws Error(data) for one that is broken or
// holds none, or others than `shape` of the model (null: any).
at::Tensor read_codes(const std::filesystem::path& path, const LearnedCodes* model = nullptr);

}  // namespace tandem::models
