#pragma once
// Small models of pictures and texts, and parts of batches.

#include <ATen/ops/randn.h>
#include <c10/core/GradMode.h>

#include <cstdint>
#include <set>

#include "tandem/models/model.h"
#include "tandem/tensor/batch.h"

namespace tandem::testing {

template <class Part>
void set_size(Part& part, std::int64_t width, std::int64_t layers, std::int64_t heads = 2) {
  part.width = width;
  part.layers = layers;
  part.heads = heads;
}

// Pictures of 16 x 16 pixels, four patches.
template <class Part>
void set_picture(Part& part) {
  part.image_size = 16;
  part.patch_size = 8;
}

// A text in the manner of BERT, without dropout; 0 pads.
template <class Part>
void set_words(Part& part, std::int64_t words, std::int64_t length, std::int64_t cls) {
  part.vocab_size = words;
  part.context_length = part.positions = length;
  part.cls_id = cls;
  part.pad_id = 0;
  part.dropout = part.attention_dropout = 0;
}

inline Batch rows_of(const Batch& batch, std::int64_t first, std::int64_t count) {
  Batch part = batch;
  part.positions = {batch.positions.begin() + first, batch.positions.begin() + first + count};
  each_tensor(part, [&](at::Tensor& tensor) { tensor = tensor.narrow(0, first, count); });
  return part;
}

// Values that show: the initial ones are small.
inline void add_noise(models::Model& model, double spread = 0.2) {
  const c10::NoGradGuard no_grad;
  at::manual_seed(11);
  for (auto& [name, parameter] : model.parameters()) {
    parameter.add_(at::randn(parameter.sizes()) * spread);
  }
}

// The values that matching's loss takes over some keys.
inline std::set<float> matching_losses(models::Model& model, const Batch& batch) {
  const c10::NoGradGuard no_grad;
  std::set<float> values;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    models::StepContext context;
    context.key = Key(seed);
    const LossTerms terms = model.losses(batch, {.weights = {{"itc", 1}, {"itm", 1}}}, context);
    values.insert(terms.at("itm").sum.item<float>());
  }
  return values;
}

}  // namespace tandem::testing
