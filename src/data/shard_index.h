#pragma once
// What stands where in one tar of webdataset's layout, and the file that keeps it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tandem::data {

struct ShardMember {
  std::string extension{};  // lower case, what follows the first dot of the name: "jpg", "seg.png"
  std::int64_t offset = 0, size = 0;
};

struct ShardSample {
  std::string key{};  // the name up to the first dot of its last part
  std::vector<ShardMember> members{};

  const ShardMember* find(const std::vector<std::string>& extensions) const;  // the first there is
};

struct ShardIndex {
  std::int64_t tar_size = 0, tar_modified_ns = 0;
  std::vector<ShardSample> samples{};
};

// Reads the headers of the whole tar. Members without an extension, hidden ones (.name) and those
// in a `__name__` (webdataset's remarks) belong to no sample. Error(data): tar.h's; a sample whose
// members do not stand together; a member twice.
ShardIndex build_shard_index(const std::string& tar);

// The file's bytes: numbers little-endian, a hash of all at the end. parse gives nullopt for
// anything but a whole index of this version.
std::string serialise(const ShardIndex& index);
std::optional<ShardIndex> parse_shard_index(std::string_view bytes);

struct KeptIndex {
  ShardIndex index{};
  std::string path{};  // where it is kept; empty when nowhere could be written
  bool built = false;  // just now
};

// The kept index when it fits the tar's size and time, else a new one, kept by an atomic rename.
// `folder`: where indices are kept; empty: beside the tar, else in the user's cache. Error(io) when
// a folder is given and cannot be written.
KeptIndex keep_shard_index(const std::string& tar, const std::string& folder, bool rebuild);

}  // namespace tandem::data
