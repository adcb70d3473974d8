#pragma once
// Pictures of sources as files that a list can name (`{"image": NAME}`): those that are files
// already stay where they are, others are written to a folder, once.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "tandem/data/source.h"

namespace tandem::data {

struct StoredSize {
  double width = 0, height = 0;
};
// Of a sample's first picture, from its header; nullopt: it shows none. `peeked`: what
// source.peek(index) gave. Throws Error(data) for one that cannot be read.
std::optional<StoredSize> stored_size(const Source& source, std::int64_t index,
                                      const Sample& peeked);

class PictureFiles {
 public:
  // folder: for what is written, made when it is needed. copy: files are written there too.
  PictureFiles(std::filesystem::path folder, bool copy);

  // The name of a sample's first picture; empty: it shows none. `peeked`: what source.peek(index)
  // gave. `stem`: its name without an ending where it is written, at once: what is there already is
  // not written again. Throws Error(data) as source.read does; Error(config) when some pictures are
  // files of their source and others are not, without `copy`.
  std::string name_of(const Source& source, std::int64_t index, const Sample& peeked,
                      const std::string& stem);

  // Names are below `folder`; else below the sources' own. False also when there is none yet.
  bool writes() const { return written_; }

 private:
  std::filesystem::path folder_;
  bool copy_;
  bool named_ = false, written_ = false;
};

}  // namespace tandem::data
