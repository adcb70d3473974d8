#pragma once
// A tar of captioned pictures in webdataset's layout (data/webdataset.h reads it): KEY.jpg, .png or
// .webp with the picture's bytes as they are (pixels as PNG), KEY.txt, KEY.json. No times, owners
// or other accidents: the same samples give the same bytes. Source: POSIX.1-2017 pax, "ustar
// Interchange Format".

#include <string>
#include <string_view>

#include "tandem/base/files.h"
#include "tandem/data/sample.h"

namespace tandem::data {

class ShardWriter {
 public:
  explicit ShardWriter(FileWriter& file) : file_(file) {}

  // key: without dots, at most 90 bytes. Throws Error(data) for a picture of no known encoding, and
  // for a member of 8 GiB.
  void add(const std::string& key, const Picture& picture, std::string_view text,
           std::string_view json);
  void finish();  // the end mark

 private:
  void member(const std::string& name, std::string_view bytes);

  FileWriter& file_;
};

}  // namespace tandem::data
