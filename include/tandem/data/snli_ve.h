#pragma once
// SNLI-VE as it is released: snli_ve_train.jsonl and its like, JSON Lines of {"Flickr30K_ID",
// "pairID", "gold_label", "sentence1" (the premise that the picture stands for), "sentence2" (the
// hypothesis)}; pictures are Flickr30k's ID.jpg. A hypothesis is a sample; label 0 contradiction, 1
// neutral, 2 entailment. Rows that people did not agree on ("-") are left out.
// Source: necla-ml/SNLI-VE, README.md.

#include <memory>
#include <string>

#include "tandem/base/fields.h"
#include "tandem/data/source.h"

namespace tandem::data {

struct SnliVeSettings final : Settings {
  std::string path{};
  std::string pictures{};

  void fields(FieldVisitor& visitor) override;
};

// Throws Error(data): no row that can be used.
std::unique_ptr<Source> open_snli_ve(const SnliVeSettings& settings);

}  // namespace tandem::data
