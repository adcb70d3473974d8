#pragma once
// What the programs of this folder share.

#include <malloc.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tandem/base/error.h"
#include "tandem/tensor/batch.h"
#include "tandem/tensor/safetensors.h"

namespace bench {

// As the binary itself does (src/cli/main.cpp).
inline void keep_freed_memory() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 2'000'000'000);
  mallopt(M_TOP_PAD, 64 << 20);
}

// Tensors of a file by their names, each taken once.
class Recorded {
 public:
  explicit Recorded(const std::string& path) : left_(tandem::load_safetensors(path).tensors) {}

  // Undefined where it is not there.
  at::Tensor take(const std::string& name) {
    const auto found = left_.find(name);
    if (found == left_.end()) return {};
    at::Tensor tensor = std::move(found->second);
    left_.erase(found);
    return tensor;
  }
  bool has(const std::string& prefix) const {
    const auto found = left_.lower_bound(prefix);
    return found != left_.end() && found->first.starts_with(prefix);
  }
  std::string any() const { return left_.empty() ? "" : left_.begin()->first; }

 private:
  std::map<std::string, at::Tensor> left_;
};

inline std::vector<std::int64_t> numbers_of(const at::Tensor& tensor) {
  if (!tensor.defined()) return {};
  const at::Tensor flat = tensor.contiguous().view({-1});
  const auto* first = flat.const_data_ptr<std::int64_t>();
  return {first, first + flat.numel()};
}

inline std::optional<tandem::Tokens> tokens_of(Recorded& file, const std::string& prefix) {
  if (!file.has(prefix)) return {};
  tandem::Tokens tokens;
  tokens.ids = file.take(prefix + "ids");
  tokens.mask = file.take(prefix + "mask");
  tokens.labels = file.take(prefix + "labels");
  tokens.positions = file.take(prefix + "positions");
  tokens.segments = file.take(prefix + "segments");
  tokens.lengths = numbers_of(file.take(prefix + "lengths"));
  return tokens;
}

inline std::optional<tandem::Images> images_of(Recorded& file, const std::string& prefix) {
  if (!file.has(prefix)) return {};
  tandem::Images images;
  images.pixels = file.take(prefix + "pixels");
  images.mask = file.take(prefix + "mask");
  const auto sides = numbers_of(file.take(prefix + "sizes"));  // [N, 2]
  for (std::size_t i = 0; i + 1 < sides.size(); i += 2) {
    images.sizes.push_back({sides[i], sides[i + 1]});
  }
  return images;
}

inline tandem::Batch batch_of(Recorded& file, const std::string& prefix) {
  tandem::Batch batch;
  batch.text = tokens_of(file, prefix + "text.");
  batch.masked = tokens_of(file, prefix + "masked.");
  batch.images = images_of(file, prefix + "images.");
  if (file.has(prefix + "patches.")) {
    batch.patches = tandem::PackedPatches{file.take(prefix + "patches.patches"),
                                          file.take(prefix + "patches.grid_thw"),
                                          file.take(prefix + "patches.cu_seqlens")};
  }
  batch.picture_ids = file.take(prefix + "picture_ids");
  batch.labels = file.take(prefix + "labels");
  batch.scores = file.take(prefix + "scores");
  const std::int64_t size =
      batch.images ? batch.images->pixels.size(0) : batch.text.value().ids.size(0);
  for (std::int64_t i = 0; i < size; ++i) batch.positions.push_back(i);
  return batch;
}

inline std::vector<tandem::Batch> recorded_batches(const std::string& path) {
  Recorded file(path);
  std::vector<tandem::Batch> batches;
  while (file.has(std::to_string(batches.size()) + ".")) {
    batches.push_back(batch_of(file, std::to_string(batches.size()) + "."));
  }
  if (batches.empty() || !file.any().empty()) {
    throw tandem::Error(tandem::ErrorKind::data, "[bench] a tensor that no batch takes",
                        path + ": " + file.any());
  }
  return batches;
}

}  // namespace bench
