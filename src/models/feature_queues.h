#pragma once
// Queues of what momentum copies gave for the last pairs, as ALBEF and BLIP have them. They are
// constant within a step; what its micro-batches give is written after it, in the global order of
// the samples, so that they are the same on every rank and for every number of ranks.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "tandem/base/random.h"
#include "tandem/dist/mesh.h"

namespace tandem::models {

struct FeatureQueues {
  at::Tensor image, text;  // [E, Q], columns L2-normalised
  at::Tensor pictures;     // int64 [1, Q], the columns' pictures; undefined: not kept
  at::Tensor next;         // int64 [1]: the column that is written next

  FeatureQueues() = default;
  // Random unit columns, of no picture (-100).
  FeatureQueues(std::int64_t width, std::int64_t size, bool keep_pictures, Key init);

  void to(const at::Device& device);

  // At the beginning of a step: what a step that broke off gave is forgotten.
  void begin();
  // Of one micro-batch: rows [B, E] of the copies; positions: of its samples, or empty;
  // picture_ids: int64 [B], where they are kept.
  void add(const at::Tensor& image_rows, const at::Tensor& text_rows, const at::Tensor& picture_ids,
           const std::vector<std::int64_t>& positions);
  // After the step; every rank calls it (null: alone). Rows without positions keep their order.
  // broken: [] on the queues' device, or undefined; where it is not 0 the step gave nothing: what
  // it would have written may be NaN, and would be in every loss after it. The host does not wait.
  void advance(const dist::Mesh* mesh, const at::Tensor& broken = {});
  // At once, around the end; of more rows than fit the last ones.
  void write(const at::Tensor& image_rows, const at::Tensor& text_rows,
             const at::Tensor& picture_ids = {}, const at::Tensor& broken = {});

 private:
  std::vector<at::Tensor> new_image_, new_text_, new_pictures_;
  std::vector<std::int64_t> positions_;
};

}  // namespace tandem::models
