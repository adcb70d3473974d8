#pragma once
// A model that may keep on disk what costs much and can be made again (what a frozen reference says
// of a sample). Most keep nothing.

#include <filesystem>

namespace tandem::models {

class Model;

class KeepsFiles {
 public:
  virtual ~KeepsFiles() = default;
  // Before a stage: files of its own go to `folder`, which is made when there is something to keep.
  // What was kept for other weights is found no more.
  virtual void keep_in(const std::filesystem::path& folder) = 0;
};

// The same of any model; nothing where it keeps nothing.
void keep_in(Model& model, const std::filesystem::path& folder);

}  // namespace tandem::models
