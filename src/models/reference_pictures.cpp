#include "models/reference_pictures.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

namespace tandem::models {

at::Tensor vision_rows(const nn::Vit& vit, const ReferenceInputs& inputs) {
  const at::Tensor pixels = inputs.pixels();
  const std::int64_t patch = vit.patch->patch;
  const std::int64_t h = pixels.size(2) / patch, w = pixels.size(3) / patch;
  if (h < 1 || w < 1) refuse_reference("expected input.pixel_values of at least a patch");
  at::Tensor table = vit.positions.squeeze(0);
  const bool as_it_is = pixels.size(2) == pixels.size(3) && 1 + h * w == table.size(0);
  if (inputs.flag("interpolate_pos_encoding", false) && !as_it_is) {
    table = nn::interpolate_positions(table, 1, h, w);
  } else if (1 + h * w > table.size(0)) {
    refuse_reference(
        "expected input.pixel_values of the config's size, or of another with "
        "input.interpolate_pos_encoding");
  } else {
    table = table.narrow(0, 0, 1 + h * w);
  }
  const at::Tensor first = vit.class_token.expand({pixels.size(0), 1, -1});
  at::Tensor x = at::cat({first, vit.patch->forward(pixels)}, 1) + table;
  if (vit.first_norm) x = vit.first_norm->forward(x);
  for (const auto& block : vit.blocks) x = block->forward(x, nn::no_mask());
  return vit.norm->forward(x);
}

}  // namespace tandem::models
