#include "tandem/tensor/batch.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>

#include <algorithm>
#include <string>

#include "tandem/base/error.h"
#include "tandem/tensor/shape.h"

namespace tandem {

void each_tensor(Batch& batch, const std::function<void(at::Tensor&)>& visit) {
  const auto defined = [&](at::Tensor& tensor) {
    if (tensor.defined()) visit(tensor);
  };
  for (auto* t : {&batch.picture_ids, &batch.labels, &batch.scores}) defined(*t);
  for (auto* images : {&batch.images, &batch.second}) {
    if (!*images) continue;
    Images& own = **images;
    for (auto* t : {&own.pixels, &own.mask, &own.hidden, &own.rows}) defined(*t);
  }
  if (batch.patches) {
    for (auto* t : {&batch.patches->patches, &batch.patches->grid_thw, &batch.patches->cu_seqlens})
      defined(*t);
  }
  defined(batch.answer_rows);
  defined(batch.answer_weights);
  for (auto* text : {&batch.text, &batch.masked, &batch.rejected, &batch.answers, &batch.others}) {
    if (!*text) continue;
    Tokens& tokens = **text;
    for (auto* t : {&tokens.ids, &tokens.mask, &tokens.labels, &tokens.positions, &tokens.segments})
      defined(*t);
  }
}

namespace {

using Tensors = std::vector<at::Tensor>;

std::string shape_of(const at::Tensor& tensor) {
  return shape_text(tensor) + " " + std::string(tensor.dtype().name());
}

[[noreturn]] void fail(const std::string& part, const std::string& expected,
                       const std::string& got) {
  throw Error(ErrorKind::data, "[collate] " + part + ": expected " + expected + "; got " + got);
}

// Equal in type and in every dimension but `free`.
at::Tensor cat_along(const Tensors& parts, std::int64_t free, const std::string& name) {
  for (const at::Tensor& part : parts) {
    bool equal = part.dim() == parts[0].dim() && part.scalar_type() == parts[0].scalar_type();
    for (std::int64_t d = 0; equal && d < part.dim(); ++d) {
      equal = d == free || part.size(d) == parts[0].size(d);
    }
    if (!equal) fail(name, "equal shapes and types", shape_of(parts[0]) + " and " + shape_of(part));
  }
  return at::cat(parts, free);
}

// Tensors of one member over all examples; all defined, or none (then an undefined tensor).
template <class Get>
Tensors gather(const std::vector<Batch>& examples, const std::string& name, Get get) {
  Tensors found;
  for (const Batch& example : examples) {
    const at::Tensor tensor = get(example);
    if (tensor.defined()) found.push_back(tensor);
  }
  if (!found.empty() && found.size() != examples.size()) {
    fail(name, "it in all examples or in none",
         std::to_string(found.size()) + " of " + std::to_string(examples.size()));
  }
  return found;
}

// Host values of one member over all examples; none where an example has none.
template <class Value, class Get>
std::vector<Value> chain(const std::vector<Batch>& examples, Get get) {
  std::vector<Value> all;
  for (const Batch& example : examples) {
    const std::vector<Value>* own = get(example);
    if (own == nullptr || own->empty()) return {};
    all.insert(all.end(), own->begin(), own->end());
  }
  return all;
}

using Part = std::optional<Tokens> Batch::*;

at::Tensor collate_text(const std::vector<Batch>& examples, Part which, const std::string& name,
                        at::Tensor Tokens::*member, std::int64_t fill, std::int64_t longest,
                        Padding padding) {
  Tensors parts = gather(examples, name, [&](const Batch& example) {
    return example.*which ? (*(example.*which)).*member : at::Tensor();
  });
  if (parts.empty()) return {};
  for (at::Tensor& part : parts) {
    if (part.dim() < 2) fail(name, "[B, T]", shape_of(part));
    const std::int64_t missing = longest - part.size(-1);
    if (missing < 0) fail(name, "as many tokens as ids", shape_of(part));
    const std::int64_t left = padding == Padding::left ? missing : 0;
    if (missing > 0) part = at::constant_pad_nd(part, {left, missing - left}, fill);
  }
  return cat_along(parts, parts[0].dim() - 2, name);
}

std::optional<Tokens> collate_tokens(const std::vector<Batch>& examples, Part which,
                                     const std::string& name, std::int64_t pad_id,
                                     Padding padding = Padding::right) {
  std::int64_t longest = 0;
  bool any = false;
  for (const Batch& example : examples) {
    if (!(example.*which)) continue;
    any = true;
    const at::Tensor& ids = (example.*which)->ids;
    if (ids.dim() != 2) fail(name + ".ids", "[B, T]", "another number of dimensions");
    longest = std::max(longest, ids.size(1));
  }
  if (!any) return {};
  const auto part = [&](const char* member_name, at::Tensor Tokens::*member, std::int64_t fill) {
    return collate_text(examples, which, name + "." + member_name, member, fill, longest, padding);
  };
  Tokens tokens;
  tokens.ids = part("ids", &Tokens::ids, pad_id);
  tokens.mask = part("mask", &Tokens::mask, 0);
  tokens.labels = part("labels", &Tokens::labels, -100);
  tokens.positions = part("positions", &Tokens::positions, 0);
  tokens.segments = part("segments", &Tokens::segments, -1);
  tokens.lengths = chain<std::int64_t>(examples, [which](const Batch& example) {
    return example.*which ? &(example.*which)->lengths : nullptr;
  });
  return tokens;
}

using Pictures = std::optional<Images> Batch::*;

// Where pictures know their rows, examples without any are left out: what is left, and the rows in
// the batch.
std::vector<Batch> with_pictures(const std::vector<Batch>& examples, Pictures which,
                                 at::Tensor& rows) {
  std::vector<Batch> left;
  Tensors parts;
  std::int64_t before = 0;
  for (const Batch& example : examples) {
    const auto& images = example.*which;
    if (images && images->rows.defined()) parts.push_back(images->rows.add(before));
    if (images) left.push_back(example);
    before += example.size();
  }
  if (parts.empty()) return examples;
  if (parts.size() != left.size()) {
    fail("images.rows", "them in all examples with pictures or in none",
         std::to_string(parts.size()) + " of " + std::to_string(left.size()));
  }
  rows = cat_along(parts, 0, "images.rows");
  return left;
}

// Pictures that have a mask may differ in size: zeros, with mask 0, fill the largest.
std::optional<Images> collate_images(const std::vector<Batch>& all, Pictures which,
                                     const std::string& name) {
  at::Tensor rows;
  const std::vector<Batch> examples = with_pictures(all, which, rows);
  const auto part = [&](const char* member_name, at::Tensor Images::*member) {
    return gather(examples, name + "." + member_name, [&](const Batch& example) {
      return example.*which ? (*(example.*which)).*member : at::Tensor();
    });
  };
  Tensors pixels = part("pixels", &Images::pixels), masks = part("mask", &Images::mask);
  if (pixels.empty()) return {};
  if (!masks.empty()) {
    std::int64_t height = 0, width = 0;
    for (const at::Tensor& one : pixels) {
      height = std::max(height, one.size(2));
      width = std::max(width, one.size(3));
    }
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      const std::int64_t right = width - pixels[i].size(3), below = height - pixels[i].size(2);
      if (right == 0 && below == 0) continue;
      pixels[i] = at::constant_pad_nd(pixels[i], {0, right, 0, below}, 0);
      masks[i] = at::constant_pad_nd(masks[i], {0, right, 0, below}, 0);
    }
  }
  const Tensors hidden = part("hidden", &Images::hidden);
  return Images{cat_along(pixels, 0, name + ".pixels"),
                masks.empty() ? at::Tensor() : cat_along(masks, 0, name + ".mask"),
                hidden.empty() ? at::Tensor() : cat_along(hidden, 0, name + ".hidden"),
                chain<std::array<std::int64_t, 2>>(examples,
                                                   [which](const Batch& example) {
                                                     return example.*which
                                                                ? &(example.*which)->sizes
                                                                : nullptr;
                                                   }),
                rows};
}

// Of examples of several rows or none, too: rows count on from one to the next.
at::Tensor collate_rows(const std::vector<Batch>& examples, const std::string& name,
                        at::Tensor Batch::*member) {
  Tensors parts =
      gather(examples, name, [member](const Batch& example) { return example.*member; });
  if (parts.empty()) return {};
  std::int64_t before = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (before > 0) parts[i] = parts[i].add(before);
    before += examples[i].size();
  }
  return cat_along(parts, 0, name);
}

// Examples without pictures add nothing: which rows own the patches is in their tokens.
std::optional<PackedPatches> collate_patches(const std::vector<Batch>& examples) {
  Tensors patches, grids, lengths;
  std::int64_t offset = 0;
  for (const Batch& example : examples) {
    if (!example.patches) continue;
    const PackedPatches& one = *example.patches;
    patches.push_back(one.patches);
    grids.push_back(one.grid_thw);
    const at::Tensor& ends = one.cu_seqlens;
    if (ends.dim() != 1 || ends.size(0) < 1) fail("patches.cu_seqlens", "[N + 1]", shape_of(ends));
    lengths.push_back(lengths.empty() ? ends : ends.slice(0, 1).add(offset).to(ends.dtype()));
    offset += one.patches.size(0);
  }
  if (patches.empty()) return {};
  return PackedPatches{cat_along(patches, 0, "patches.patches"),
                       cat_along(grids, 0, "patches.grid_thw"),
                       cat_along(lengths, 0, "patches.cu_seqlens")};
}

}  // namespace

Batch to(const Batch& batch, const at::Device& device) {
  Batch moved = batch;
  each_tensor(moved, [&](at::Tensor& tensor) {
    tensor = tensor.to(device, tensor.scalar_type(), /*non_blocking=*/tensor.is_pinned());
  });
  if (batch.patches) {
    moved.patches->grid_thw = batch.patches->grid_thw;
    moved.patches->cu_seqlens = batch.patches->cu_seqlens;
  }
  return moved;
}

Batch pin(Batch batch) {
  each_tensor(batch, [](at::Tensor& tensor) {
    if (tensor.device().is_cpu() && !tensor.is_pinned()) tensor = tensor.pin_memory();
  });
  return batch;
}

std::int64_t bytes_of(const Batch& batch) {
  Batch view = batch;
  std::int64_t bytes = 0;
  each_tensor(view,
              [&](at::Tensor& tensor) { bytes += static_cast<std::int64_t>(tensor.nbytes()); });
  return bytes;
}

Batch collate(const std::vector<Batch>& examples, std::int64_t pad_id, Padding padding) {
  if (examples.empty()) return {};
  Batch batch;
  for (const Batch& example : examples) {
    batch.positions.insert(batch.positions.end(), example.positions.begin(),
                           example.positions.end());
  }
  const auto plain = [&](const char* name, at::Tensor Batch::*member) {
    const Tensors parts =
        gather(examples, name, [member](const Batch& example) { return example.*member; });
    return parts.empty() ? at::Tensor() : cat_along(parts, 0, name);
  };
  batch.picture_ids = plain("picture_ids", &Batch::picture_ids);
  batch.labels = plain("labels", &Batch::labels);
  batch.scores = plain("scores", &Batch::scores);
  batch.images = collate_images(examples, &Batch::images, "images");
  batch.second = collate_images(examples, &Batch::second, "second");
  batch.patches = collate_patches(examples);
  batch.text = collate_tokens(examples, &Batch::text, "text", pad_id, padding);
  batch.masked = collate_tokens(examples, &Batch::masked, "masked", pad_id);
  batch.rejected = collate_tokens(examples, &Batch::rejected, "rejected", pad_id);
  batch.answers = collate_tokens(examples, &Batch::answers, "answers", pad_id);
  batch.others = collate_tokens(examples, &Batch::others, "others", pad_id);
  batch.answer_rows = collate_rows(examples, "answer_rows", &Batch::answer_rows);
  const Tensors weights = gather(examples, "answer_weights",
                                 [](const Batch& example) { return example.answer_weights; });
  if (!weights.empty()) batch.answer_weights = cat_along(weights, 0, "answer_weights");
  return batch;
}

}  // namespace tandem
