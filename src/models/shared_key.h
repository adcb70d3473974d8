#pragma once
// Draws among all ranks' samples: every rank has to draw under one key, while each micro-batch's
// key is its own.

#include <ATen/ops/full.h>

#include <cstdint>

#include "tandem/base/random.h"
#include "tandem/dist/mesh.h"

namespace tandem::models {

// The same on all ranks, from rank 0's. One rank alone draws from its key's bits as well: a Key
// made of them is another one.
inline Key shared_key(Key key, const dist::Mesh& mesh) {
  std::uint64_t seed = key.bits();
  if (mesh.size() > 1) {
    const at::Tensor bits = at::full({1}, static_cast<std::int64_t>(seed), at::kLong);
    seed = static_cast<std::uint64_t>(dist::all_gather(mesh, bits)[0].item<std::int64_t>());
  }
  return Key(seed);
}

}  // namespace tandem::models
