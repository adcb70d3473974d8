#pragma once
// Making layouts (transformer.h).

#include <vector>

#include "models/vilt/transformer.h"

namespace tandem::models::vilt {

at::Tensor index_tensor(const std::vector<std::int64_t>& values, const at::Device& device);
// [B, 1 + N] bool on the CPU: the class token and the patches that are seen.
at::Tensor picture_mask_of(const PatchRows& rows);
Layout padded_layout(const PairInput& input, const at::Tensor& picture_mask,
                     const at::Device& device);
Layout packed_layout(const PairInput& input, const PatchRows& rows, const at::Device& device);

}  // namespace tandem::models::vilt
