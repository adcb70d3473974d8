#pragma once
// A folder of pictures with captions. Three layouts:
//   * cat.jpg with cat.txt beside it: its first line is the caption. Further lines such as
//     `de.utf8=Eine Katze` (Tux Paint's stamps) hold the caption in other languages.
//   * `captions: FILE.tsv`: lines of PICTURE <tab> CAPTION, one sample a line
//   * `captions: FILE.jsonl`: one object a line; the caption may be a list of several
// Samples are in the byte order of their relative paths, or of the lines of the captions file.
// Pictures without a caption are left out when the source is opened; a picture that cannot be read
// is a bad sample.

#include <memory>
#include <string>

#include "tandem/base/fields.h"
#include "tandem/data/source.h"

namespace tandem::data {

struct FolderSettings final : Settings {
  std::string path{};
  std::string captions{};                                      // a file; empty: sidecars
  std::string language{};                                      // of sidecars; empty: the first line
  std::string picture_key = "image", caption_key = "caption";  // of JSONL

  void fields(FieldVisitor& visitor) override;
};

// Throws Error(data): no such folder, no pictures with captions, a line that does not parse.
std::unique_ptr<Source> open_folder(const FolderSettings& settings);

}  // namespace tandem::data
