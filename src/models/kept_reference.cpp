#include "models/kept_reference.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include "models/pass.h"
#include "models/tensor_hash.h"
#include "tandem/base/log.h"
#include "tandem/models/keeps_files.h"

namespace tandem::models {

void keep_in(Model& model, const std::filesystem::path& folder) {
  if (auto* keeps = dynamic_cast<KeepsFiles*>(&model)) keeps->keep_in(folder);
}

namespace {

// Of all that a model reads of the sample. Positions follow from the ids where there is one a
// token.
std::string hash_of_pair(const Batch& sample) {
  Hash128 hash;
  for (const auto* text : {&sample.text, &sample.rejected}) {
    const Tokens& own = text->value();
    add_tensor(hash, own.ids);
    add_tensor(hash, own.labels);
    add_tensor(hash,
               own.positions.defined() && own.positions.dim() == 3 ? own.positions : at::Tensor());
  }
  if (sample.images) add_tensor(hash, sample.images->pixels);
  if (sample.patches) {
    add_tensor(hash, sample.patches->patches);
    add_tensor(hash, sample.patches->grid_thw);
  }
  return hash.hex();
}

Tokens text_of_sample(const Tokens& all, std::int64_t i) {
  std::int64_t row = i, first = 0, length = all.ids.size(1);
  if (all.segments.defined()) {
    const std::vector<std::int64_t> ends = ends_of_pack(all);
    row = 0;
    first = ends.at(static_cast<std::size_t>(i));
    length = ends.at(static_cast<std::size_t>(i) + 1) - first;
  } else if (all.mask.defined()) {
    length = all.mask[i].ne(0).sum().item<std::int64_t>();
  }
  const auto part = [&](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.narrow(-2, row, 1).narrow(-1, first, length).contiguous()
                            : tensor;
  };
  Tokens own;
  own.ids = part(all.ids);
  own.mask = part(all.mask);
  own.labels = part(all.labels);
  own.positions = part(all.positions);
  own.lengths = {length};
  return own;
}

std::optional<Images> images_of_sample(const Images& all, std::int64_t i) {
  const at::Tensor index = all.rows.defined()
                               ? all.rows.eq(i).nonzero().squeeze(1)
                               : at::arange(i, i + 1, all.pixels.options().dtype(at::kLong));
  if (index.size(0) == 0) return {};
  Images own;
  own.pixels = all.pixels.index_select(0, index);
  own.rows = at::zeros({index.size(0)}, index.options());
  return own;
}

std::optional<PackedPatches> patches_of_sample(const PackedPatches& all, std::int64_t first,
                                               std::int64_t end) {
  if (first == end) return {};
  const at::Tensor ends = all.cu_seqlens.narrow(0, first, end - first + 1);
  const auto from = ends[0].item<std::int64_t>(), to = ends[-1].item<std::int64_t>();
  return PackedPatches{all.patches.narrow(0, from, to - from),
                       all.grid_thw.narrow(0, first, end - first).contiguous(), ends.sub(from)};
}

}  // namespace

Batch sample_of(const Batch& batch, std::int64_t i, const std::vector<std::int64_t>& picture_ends) {
  Batch one;
  const auto at = static_cast<std::size_t>(i);
  one.positions = {at < batch.positions.size() ? batch.positions[at] : i};
  one.text = text_of_sample(batch.text.value(), i);
  if (batch.rejected) one.rejected = text_of_sample(*batch.rejected, i);
  if (batch.images) one.images = images_of_sample(*batch.images, i);
  if (batch.patches) {
    one.patches = patches_of_sample(*batch.patches, picture_ends.at(at), picture_ends.at(at + 1));
  }
  return one;
}

void KeptReference::keep_in(const std::filesystem::path& folder) {
  folder_ = folder;
  kept_.reset();
  full_ = false;
}

void KeptReference::open(const ReferenceFacts& facts) {
  const std::string key = hash_of({facts.config}, facts.weights);
  // Twice the room: a place near the one that a hash names is then always free.
  const data::KeptShape shape{.places = 2 * pairs_, .rows = 1, .width = 2, .half = false};
  const std::filesystem::path file = folder_ / (key + ".reference");
  log_info("reference: what it says of each pair is kept in " + file.string());
  kept_ = std::make_shared<data::KeptRows>(file, key, shape);
}

at::Tensor KeptReference::values(const std::vector<Batch>& samples,
                                 const std::function<ReferenceFacts()>& facts,
                                 const std::function<at::Tensor(const Batch&)>& compute) {
  if (!kept_) open(facts());
  std::vector<at::Tensor> rows;
  for (const Batch& sample : samples) {
    const std::string name = hash_of_pair(sample);
    at::Tensor own = kept_->get(name);  // [1, 2]
    if (!own.defined()) {
      own = compute(sample).detach().to(at::kCPU, at::kFloat).view({1, 2});
      if (!kept_->put(name, own) && !full_) {
        full_ = true;
        log_warning(
            "reference: no room for more pairs (model.preference.keep); it is run for those "
            "each time");
      }
    }
    rows.push_back(own[0]);
  }
  return at::stack(rows);
}

}  // namespace tandem::models
