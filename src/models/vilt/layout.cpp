// Where rows stand, padded or end to end.

#include "models/vilt/layout.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <numeric>

#include "tandem/base/error.h"

namespace tandem::models::vilt {
namespace {

at::Tensor visible_text(const PairInput& input, std::int64_t batch, std::int64_t length,
                        const at::Device& device) {
  if (input.text.mask.defined()) return input.text.mask.ne(0);
  return at::ones({batch, length}, at::TensorOptions(at::kBool).device(device));
}

}  // namespace

at::Tensor index_tensor(const std::vector<std::int64_t>& values, const at::Device& device) {
  at::Tensor host = at::empty({static_cast<std::int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), host.mutable_data_ptr<std::int64_t>());
  return host.to(device, /*non_blocking=*/true);
}

at::Tensor picture_mask_of(const PatchRows& rows) {
  at::Tensor mask = at::zeros({rows.batch, 1 + rows.longest}, at::kBool);
  for (std::int64_t i = 0; i < rows.batch; ++i) {
    mask[i].narrow(0, 0, 1 + rows.counts[static_cast<std::size_t>(i)]).fill_(true);
  }
  return mask;
}

Layout padded_layout(const PairInput& input, const at::Tensor& picture_mask,
                     const at::Device& device) {
  Layout layout;
  layout.batch = picture_mask.size(0);
  layout.text = input.words.defined() ? input.words.size(1) : input.text.ids.size(1);
  layout.picture = picture_mask.size(1);
  layout.picture_mask = picture_mask.to(device, /*non_blocking=*/true);
  const at::Tensor text = visible_text(input, layout.batch, layout.text, device);
  layout.mask = nn::padding_mask(at::cat({text, layout.picture_mask}, 1));
  return layout;
}

Layout packed_layout(const PairInput& input, const PatchRows& rows, const at::Device& device) {
  Layout layout;
  layout.batch = rows.batch;
  layout.text = input.text.ids.size(1);
  layout.picture = 1 + rows.longest;
  layout.picture_mask = picture_mask_of(rows).to(device, /*non_blocking=*/true);
  TANDEM_CHECK(static_cast<std::int64_t>(input.text.lengths.size()) == rows.batch,
               "[pack] expected the length of each text");
  const std::int64_t classes = layout.batch * layout.text, patches = classes + layout.batch;
  std::vector<std::int64_t> order, first, text, picture;
  std::int64_t patch = patches;
  for (std::int64_t i = 0; i < layout.batch; ++i) {
    const std::int64_t words = input.text.lengths[static_cast<std::size_t>(i)];
    const std::int64_t seen = rows.counts[static_cast<std::size_t>(i)];
    const auto start = static_cast<std::int64_t>(order.size());
    first.push_back(start);
    for (std::int64_t t = 0; t < layout.text; ++t) text.push_back(t < words ? start + t : start);
    for (std::int64_t n = 0; n < layout.picture; ++n) {
      picture.push_back(n <= seen ? start + words + n : start);
    }
    for (std::int64_t t = 0; t < words; ++t) order.push_back(i * layout.text + t);
    order.push_back(classes + i);
    for (std::int64_t n = 0; n < seen; ++n) order.push_back(patch++);
    layout.lengths.push_back(words + 1 + seen);
  }
  layout.order = index_tensor(order, device);
  layout.first_rows = index_tensor(first, device);
  layout.text_rows = index_tensor(text, device);
  layout.picture_rows = index_tensor(picture, device);
  return layout;
}

at::Tensor PairOutput::first() const {
  return layout.packed() ? rows.index_select(0, layout.first_rows) : rows.select(1, 0);
}

at::Tensor PairOutput::text() const {
  if (!layout.packed()) return rows.narrow(1, 0, layout.text);
  return rows.index_select(0, layout.text_rows).view({layout.batch, layout.text, -1});
}

at::Tensor PairOutput::picture() const {
  if (!layout.packed()) return rows.narrow(1, layout.text, layout.picture);
  return rows.index_select(0, layout.picture_rows).view({layout.batch, layout.picture, -1});
}

}  // namespace tandem::models::vilt
