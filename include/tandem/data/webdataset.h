#pragma once
// Tar files in webdataset's layout: the members of a sample stand together and share their name up
// to the first dot of its last part (000017.jpg, 000017.txt). Samples are in the order of the
// shards as the pattern names them, then as they stand; those without a picture or a caption are
// left out and counted in a warning.
//
// Each tar is read once to make an index of offsets, kept beside it as NAME.tar.index (or in
// `index`, or in the user's cache where the folder cannot be written) and used while the tar's size
// and time stay the same. Samples are then read by pread in O(1).
// ustar, GNU and pax names. Error(data) with the shard and the byte: a truncated tar (no end mark,
// a size past the end), a wrong header checksum, a sample whose members do not stand together, a
// member twice, links, sparse members, names with `..`. A tar that changes while it is in use is
// Error(data) for each of its samples.

#include <memory>
#include <string>
#include <vector>

#include "tandem/base/fields.h"
#include "tandem/data/source.h"

namespace tandem::data {

struct WebdatasetSettings final : Settings {
  std::string path{};   // shards: a{00..17}.tar, b/{x,y}.tar
  std::string index{};  // folder for the indices; empty: beside the shards
  std::vector<std::string> pictures{"jpg", "jpeg", "png", "webp"};  // the first that a sample has
  std::vector<std::string> texts{"txt", "caption", "text"};
  std::string json_caption = "caption";  // used when no text is there but a .json is

  void fields(FieldVisitor& visitor) override;
};

std::unique_ptr<Source> open_webdataset(const WebdatasetSettings& settings);

// Makes the indices that are missing (all of them with `rebuild`), shard after shard.
struct IndexedShard {
  std::string path{}, index{};  // index: its file; empty when nowhere could be written
  std::int64_t samples = 0, members = 0;
  bool built = false;  // just now; else it was there
};
std::vector<IndexedShard> index_webdataset(const WebdatasetSettings& settings,
                                           bool rebuild = false);

// a{0..2}b{x,y} -> a0bx a0by a1bx ...; {08..11} keeps the zeros. Throws Error(config) for braces
// that do not close and for more than a million names.
std::vector<std::string> expand_braces(const std::string& pattern);

}  // namespace tandem::data
