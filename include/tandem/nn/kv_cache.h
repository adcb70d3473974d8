#pragma once
// Keys and values of the tokens that a decoder has seen, so that the next token costs one row.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace tandem::nn {

// One text a row. Used without gradient only: the tensors are written in place.
class KvCache {
 public:
  explicit KvCache(std::int64_t layers) : layers_(static_cast<std::size_t>(layers)) {}

  // Adds k and v [B, K, T, d] behind those of the layer; gives all of them: [B, K, S + T, d].
  std::pair<at::Tensor, at::Tensor> append(std::size_t layer, const at::Tensor& k,
                                           const at::Tensor& v);
  // Row i goes on from what row rows[i] was (beams, rows that have ended): int64 [N].
  void reorder(const at::Tensor& rows);
  // Tokens seen by the first layer.
  std::int64_t length() const;

 private:
  struct Layer {
    at::Tensor k, v;  // [B, K, capacity, d]
    std::int64_t length = 0;
  };
  std::vector<Layer> layers_;
};

}  // namespace tandem::nn
