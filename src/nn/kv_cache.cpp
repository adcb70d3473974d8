#include "tandem/nn/kv_cache.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "tandem/base/error.h"

namespace tandem::nn {
namespace {

// `old` [B, K, S, d] (S = length of its filled part) in a tensor with room for `capacity`.
at::Tensor grown(const at::Tensor& old, std::int64_t length, const at::Tensor& like,
                 std::int64_t capacity) {
  at::Tensor wide = at::empty({like.size(0), like.size(1), capacity, like.size(3)}, like.options());
  if (length > 0) wide.narrow(2, 0, length).copy_(old.narrow(2, 0, length));
  return wide;
}

}  // namespace

std::pair<at::Tensor, at::Tensor> KvCache::append(std::size_t layer, const at::Tensor& k,
                                                  const at::Tensor& v) {
  TANDEM_CHECK(layer < layers_.size(), "[kv_cache] expected a layer of the decoder");
  Layer& own = layers_[layer];
  const std::int64_t total = own.length + k.size(2);
  if (!own.k.defined() || total > own.k.size(2)) {
    const std::int64_t capacity = std::max<std::int64_t>(total + 64, own.length * 2);
    own.k = grown(own.k, own.length, k, capacity);
    own.v = grown(own.v, own.length, v, capacity);
  }
  own.k.narrow(2, own.length, k.size(2)).copy_(k);
  own.v.narrow(2, own.length, v.size(2)).copy_(v);
  own.length = total;
  return {own.k.narrow(2, 0, total), own.v.narrow(2, 0, total)};
}

void KvCache::reorder(const at::Tensor& rows) {
  for (Layer& layer : layers_) {
    if (!layer.k.defined()) continue;
    layer.k = layer.k.index_select(0, rows);
    layer.v = layer.v.index_select(0, rows);
  }
}

std::int64_t KvCache::length() const { return layers_.empty() ? 0 : layers_[0].length; }

}  // namespace tandem::nn
