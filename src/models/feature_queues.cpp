#include "models/feature_queues.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "tandem/nn/init.h"
#include "tandem/nn/momentum.h"
#include "tandem/nn/outline.h"

namespace tandem::models {

FeatureQueues::FeatureQueues(std::int64_t width, std::int64_t size, bool keep_pictures, Key init) {
  const auto queue = [&](const char* name) {
    if (nn::Outline::drawn()) return at::zeros({width, size}, at::kMeta);
    const at::Tensor random = at::zeros({width, size});
    nn::fill_normal(random, 1, init, name);
    return random / at::linalg_vector_norm(random, 2, {0}, /*keepdim=*/true);
  };
  image = queue("image_queue");
  text = queue("text_queue");
  if (keep_pictures) pictures = at::full({1, size}, -100, at::kLong);
  next = at::zeros({1}, at::kLong);
}

void FeatureQueues::to(const at::Device& device) {
  image = image.to(device);
  text = text.to(device);
  if (pictures.defined()) pictures = pictures.to(device);
  next = next.to(device);
}

void FeatureQueues::begin() {
  new_image_.clear();
  new_text_.clear();
  new_pictures_.clear();
  positions_.clear();
}

void FeatureQueues::add(const at::Tensor& image_rows, const at::Tensor& text_rows,
                        const at::Tensor& picture_ids, const std::vector<std::int64_t>& positions) {
  new_image_.push_back(image_rows.detach());
  new_text_.push_back(text_rows.detach());
  if (pictures.defined()) new_pictures_.push_back(picture_ids);
  positions_.insert(positions_.end(), positions.begin(), positions.end());
}

void FeatureQueues::advance(const dist::Mesh* mesh, const at::Tensor& broken) {
  if (new_image_.empty()) return;
  const at::NoGradGuard no_grad;
  at::Tensor image_rows = at::cat(new_image_), text_rows = at::cat(new_text_), ids;
  if (pictures.defined()) ids = at::cat(new_pictures_);
  if (static_cast<std::int64_t>(positions_.size()) == image_rows.size(0)) {
    const dist::Mesh alone;
    const auto gathered = [&](const at::Tensor& rows) {
      return at::cat(dist::all_gather_uneven(mesh != nullptr ? *mesh : alone, rows));
    };
    // The order is the host's: it is known without waiting for the device.
    const at::Tensor order = gathered(at::tensor(positions_, at::kLong)).argsort(/*stable=*/true);
    const at::Tensor index = order.to(image_rows.device());
    image_rows = gathered(image_rows).index_select(0, index);
    text_rows = gathered(text_rows).index_select(0, index);
    if (ids.defined()) ids = gathered(ids).index_select(0, index);
  }
  begin();
  write(image_rows, text_rows, ids, broken);
}

void FeatureQueues::write(const at::Tensor& image_rows, const at::Tensor& text_rows,
                          const at::Tensor& picture_ids, const at::Tensor& broken) {
  const at::NoGradGuard no_grad;
  const std::int64_t size = image.size(1), count = image_rows.size(0);
  const std::int64_t kept = std::min(count, size);
  const at::Tensor columns = (next + at::arange(kept, next.options())).remainder(size);
  const auto last = [&](const at::Tensor& rows) { return rows.narrow(0, count - kept, kept); };
  nn::enqueue(image, last(image_rows), columns, broken);
  nn::enqueue(text, last(text_rows), columns, broken);
  if (pictures.defined()) nn::enqueue(pictures, last(picture_ids).view({kept, 1}), columns, broken);
  const at::Tensor after = (next + kept).remainder(size);
  next.copy_(broken.defined() ? at::where(broken.ne(0), next, after) : after);
}

}  // namespace tandem::models
