#pragma once
// A folder of pictures without captions, with all folders below it, in the order of their names:
// what a gallery is made of, and what models of pictures alone learn from (`format: pictures`).

#include <memory>
#include <string>

#include "tandem/base/fields.h"
#include "tandem/data/source.h"

namespace tandem::data {

struct PicturesSettings final : Settings {
  std::string path{};

  void fields(FieldVisitor& visitor) override;
};

// Sample.id is the path from the folder. Throws Error(data) where there is none.
std::unique_ptr<Source> open_pictures(const std::string& folder);
std::unique_ptr<Source> open_picture_folder(const PicturesSettings& settings);

}  // namespace tandem::data
