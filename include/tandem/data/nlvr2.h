#pragma once
// NLVR2 as it is released: train.json, dev.json, test1.json are JSON Lines of {"identifier":
// "dev-850-0-1", "sentence", "label": "True" or "False", "directory" (train)}; the two pictures are
// dev-850-0-img0.png and -img1.png, in the folder or in DIRECTORY below it. A sentence is a sample;
// label 1 is true. Source: lil-lab/nlvr, nlvr2/README.md.

#include <memory>
#include <string>

#include "tandem/base/fields.h"
#include "tandem/data/source.h"

namespace tandem::data {

struct Nlvr2Settings final : Settings {
  std::string path{};
  std::string pictures{};

  void fields(FieldVisitor& visitor) override;
};

// Throws Error(data): no row that can be used.
std::unique_ptr<Source> open_nlvr2(const Nlvr2Settings& settings);

}  // namespace tandem::data
