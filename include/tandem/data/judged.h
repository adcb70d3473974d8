#pragma once
// Pictures of other sources with captions that a job wrote or judged (jobs/capfilt.h): a folder of
// JSON Lines, a caption each,
//   {"source": "web", "index": 12, "id": ..., "from": "web", "text": ..., "kept": true, "why": ...}
// A sample is a picture that has at least one kept caption, with all of them as texts, in the order
// of the sources and their indices; an epoch draws one of them.

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tandem/data/source.h"

namespace tandem::data {

class JudgedSource : public Source {
 public:
  // Where the picture stands.
  struct Origin {
    std::string source{};
    std::int64_t index = -1;
  };
  virtual Origin origin(std::int64_t index) const = 0;
};

using NamedSource = std::pair<std::string, std::shared_ptr<const Source>>;

// bases: those that lines may name. Throws Error(data) naming FILE:LINE for what is no such line, a
// source that is not known, or nothing kept.
std::unique_ptr<JudgedSource> open_judged(const std::filesystem::path& folder,
                                          const std::vector<NamedSource>& bases);

}  // namespace tandem::data
