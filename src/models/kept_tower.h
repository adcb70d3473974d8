#pragma once
// A frozen tower that is run once a picture: what it gave is kept on disk and read again in the
// epochs, stages and runs that follow.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "tandem/data/kept_rows.h"
#include "tandem/tensor/safetensors.h"

namespace tandem::models {

struct KeptSettings {
  std::string folder{};  // of the files, one a tower; empty: nothing is kept
  std::int64_t pictures = 100000;
  bool half = false;  // bf16, else fp32
};

class KeptTower {
 public:
  // pixels uint8 [B, 3, H, W] -> fp32 [B, S, D], of `tower` where it is not kept yet (for those
  // pictures alone). In bf16 the first epoch sees the rounded rows, too, so that all are the same.
  // `weights`: everything that the rows follow from beside the pixels, whose hash names the file.
  at::Tensor rows(const at::Tensor& pixels, const KeptSettings& settings,
                  const std::function<NamedTensors()>& weights,
                  const std::function<at::Tensor(const at::Tensor& pixels)>& tower);

  std::int64_t runs() const { return runs_; }  // pictures that went through the tower

 private:
  void open(const KeptSettings& settings, const NamedTensors& weights, const at::Tensor& first);
  at::Tensor computed(const at::Tensor& pixels,
                      const std::function<at::Tensor(const at::Tensor& pixels)>& tower);

  std::shared_ptr<data::KeptRows> kept_;
  std::string key_{};
  bool full_ = false;
  std::int64_t runs_ = 0;
};

}  // namespace tandem::models
