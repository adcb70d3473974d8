#pragma once
// Copies of parts that follow them slowly, and queues of what the copies gave. Source: He et al.
// 2020 (MoCo); salesforce/ALBEF:models/model_pretrain.py. Both are buffers: no gradient, no state
// of an optimiser, no sync; every rank makes the same ones.

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <utility>
#include <vector>

namespace tandem::nn {

// Pairs (part, its copy) of equal structure; shared tensors are moved once.
class Momentum {
 public:
  void pair(torch::nn::Module& part, torch::nn::Module& copy);
  void copy() const;  // copies = parts
  // copy = m copy + (1 - m) part. skips: [] on the parts' device, or undefined; where it is not 0
  // the copies stay, and the host does not wait to know.
  void update(double momentum, const at::Tensor& skips = {}) const;

 private:
  std::vector<std::pair<at::Tensor, at::Tensor>> pairs_;
};

// Writes rows [N, E] into `columns`, int64 [N], each another one, of queue [E, Q]. skips: as above.
void enqueue(at::Tensor queue, const at::Tensor& rows, const at::Tensor& columns,
             const at::Tensor& skips = {});

}  // namespace tandem::nn
