#pragma once
// manifest.json: what a checkpoint holds. Its first key is the XXH3-128 of all the text behind that
// key's line, so that a flipped bit anywhere in the manifest is found as well.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tandem/base/files.h"
#include "tandem/tensor/safetensors.h"

namespace tandem::checkpoint {

inline constexpr const char* manifest_name = "manifest.json";
inline constexpr int manifest_version = 1;

struct FileFacts {
  std::string name{};
  std::int64_t bytes = 0;
  std::string xxh3_128{};
};

struct Manifest {
  std::int64_t step = 0;
  std::vector<FileFacts> files{};  // in the order in which they were written
};

// `index` are the files that hold tensors, with them: their types and shapes stand in the manifest
// for people and scripts.
std::string manifest_text(const Manifest& manifest,
                          const std::vector<std::pair<std::string, const NamedTensors*>>& index);
// Throws Error(data) at `where`: a wrong checksum, another version, a missing field, a bad name.
Manifest parse_manifest(const std::string& text, const std::string& where);

// That of a checkpoint's folder; nothing where none stands there, or another program's file of that
// name. Throws as parse_manifest.
std::optional<Manifest> manifest_in(const std::filesystem::path& directory);
// Throws Error(data) naming the file when what was read of it, to its end, is not what is said.
void check_hash(const FileReader& file, const FileFacts& facts);
// The same with what the manifest beside the file says of it; nothing where there is none.
void check_beside(const FileReader& file);

// A plain file name: not empty, no slash, no NUL, not "." or "..", at most 255 bytes.
bool is_plain_name(const std::string& name);

}  // namespace tandem::checkpoint
