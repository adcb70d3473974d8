#include "tandem/tensor/batch.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>

#include <algorithm>
#include <string>

#include "tandem/base/error.h"

namespace tandem {

void each_tensor(Batch& batch, const std::function<void(at::Tensor&)>& visit) {
  const auto defined = [&](at::Tensor& tensor) {
    if (tensor.defined()) visit(tensor);
  };
  defined(batch.picture_ids);
  if (batch.images) {
    defined(batch.images->pixels);
    defined(batch.images->mask);
    defined(batch.images->hidden);
  }
  if (batch.patches) {
    for (auto* t : {&batch.patches->patches, &batch.patches->grid_thw, &batch.patches->cu_seqlens})
      defined(*t);
  }
  for (auto* text : {&batch.text, &batch.masked}) {
    if (!*text) continue;
    Tokens& tokens = **text;
    for (auto* t : {&tokens.ids, &tokens.mask, &tokens.labels, &tokens.positions, &tokens.segments})
      defined(*t);
  }
}

namespace {

using Tensors = std::vector<at::Tensor>;

std::string shape_of(const at::Tensor& tensor) {
  std::string text = "[";
  for (const std::int64_t size : tensor.sizes()) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  }
  return text + "] " + std::string(tensor.dtype().name());
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
                        at::Tensor Tokens::*member, std::int64_t fill, std::int64_t longest) {
  Tensors parts = gather(examples, name, [&](const Batch& example) {
    return example.*which ? (*(example.*which)).*member : at::Tensor();
  });
  if (parts.empty()) return {};
  for (at::Tensor& part : parts) {
    if (part.dim() < 2) fail(name, "[B, T]", shape_of(part));
    const std::int64_t missing = longest - part.size(-1);
    if (missing < 0) fail(name, "as many tokens as ids", shape_of(part));
    if (missing > 0) part = at::constant_pad_nd(part, {0, missing}, fill);
  }
  return cat_along(parts, parts[0].dim() - 2, name);
}

std::optional<Tokens> collate_tokens(const std::vector<Batch>& examples, Part which,
                                     const std::string& name, std::int64_t pad_id) {
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
    return collate_text(examples, which, name + "." + member_name, member, fill, longest);
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

// Pictures that have a mask may differ in size: zeros, with mask 0, fill the largest.
std::optional<Images> collate_images(const std::vector<Batch>& examples) {
  Tensors pixels = gather(examples, "images.pixels", [](const Batch& example) {
    return example.images ? example.images->pixels : at::Tensor();
  });
  Tensors masks = gather(examples, "images.mask", [](const Batch& example) {
    return example.images ? example.images->mask : at::Tensor();
  });
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
  const Tensors hidden = gather(examples, "images.hidden", [](const Batch& example) {
    return example.images ? example.images->hidden : at::Tensor();
  });
  return Images{cat_along(pixels, 0, "images.pixels"),
                masks.empty() ? at::Tensor() : cat_along(masks, 0, "images.mask"),
                hidden.empty() ? at::Tensor() : cat_along(hidden, 0, "images.hidden"),
                chain<std::array<std::int64_t, 2>>(examples, [](const Batch& example) {
                  return example.images ? &example.images->sizes : nullptr;
                })};
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

Batch collate(const std::vector<Batch>& examples, std::int64_t pad_id) {
  if (examples.empty()) return {};
  Batch batch;
  for (const Batch& example : examples) {
    batch.positions.insert(batch.positions.end(), example.positions.begin(),
                           example.positions.end());
  }
  const Tensors ids =
      gather(examples, "picture_ids", [](const Batch& example) { return example.picture_ids; });
  if (!ids.empty()) batch.picture_ids = cat_along(ids, 0, "picture_ids");
  batch.images = collate_images(examples);
  batch.patches = collate_patches(examples);
  batch.text = collate_tokens(examples, &Batch::text, "text", pad_id);
  batch.masked = collate_tokens(examples, &Batch::masked, "masked", pad_id);
  return batch;
}

}  // namespace tandem
