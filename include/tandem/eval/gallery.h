#pragma once
// Pictures and texts of a source as rows of two tables, in the source's order: what retrieval, the
// zero-shot classes, `tandem embed` and `tandem search` rank.
//
// The same rows on any number of ranks: batches are fixed runs of the source, dealt to the ranks in
// turn, and put back in order on all of them.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tandem/eval/task.h"

namespace tandem::eval {

struct Entry {
  std::int64_t index = 0;  // in the source
  std::string id{};
  std::int64_t picture_id = 0, group = -1, label = -1;
  std::vector<std::string> texts{};  // those that have a row
};

struct Gallery {
  std::vector<Entry> entries{};  // one a picture
  at::Tensor image;              // [N, D] fp32, L2-normalised, on the CPU: the row of each entry
  at::Tensor text;               // [M, D]: the texts of the entries, in order
  at::Tensor owner;              // [M] int64: the entry of each text
};

struct GalleryOptions {
  bool images = true, texts = true;
  std::int64_t captions = 0;  // of a picture, the first ones; 0: all
  // Samples that show the same picture (Sample::picture_id) are one entry: the first, with the
  // texts of all.
  bool merge = true;
  bool embed = true;  // false: the entries and `owner` alone, of samples that can be read
};

bool can_embed(const Input& input);

// The first input.size samples; those that cannot be read or lack what is wanted are left out with
// a warning. Throws Error(config) for a model that cannot embed, Error(data) when none is left.
Gallery embed_gallery(const Input& input, const GalleryOptions& options);

// Rows of texts in their order: [texts, D]. The ranks share the work.
at::Tensor embed_texts(const Input& input, const std::vector<std::string>& texts);

// A gallery in a folder: gallery.safetensors, entries.jsonl and manifest.json, which is written
// last and holds their checksums.
struct GalleryOrigin {
  std::string model{}, model_hash{};  // where it was, and what it was (jobs/open_model.h)
  std::string source{};               // its fingerprint
};
struct StoredGallery {
  Gallery gallery{};
  GalleryOrigin origin{};
};
void save_gallery(const std::filesystem::path& folder, const Gallery& gallery,
                  const GalleryOrigin& origin);
// Throws Error(config) where there is no gallery, Error(data) for one that is broken.
StoredGallery load_gallery(const std::filesystem::path& folder);

}  // namespace tandem::eval
