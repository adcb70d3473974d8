#pragma once
// Conceptual Captions as it is released: a .tsv of CAPTION <tab> URL without a head line (CC12M:
// URL <tab> CAPTION; which one it is, the first line says), and the pictures that somebody fetched
// from there. How those are called is a setting. Rows whose picture is not in the folder are left
// out and counted: links die. Shards made by img2dataset are read by the format `webdataset`, its
// folders of files by `folder`.
// Sources: Sharma et al. 2018, Train_GCC-training.tsv; Changpinyo et al. 2021, cc12m.tsv.

#include <memory>
#include <string>

#include "tandem/base/fields.h"
#include "tandem/data/source.h"

namespace tandem::data {

struct ConceptualCaptionsSettings final : Settings {
  std::string path{};
  std::string pictures{};
  std::string name = "{row}.jpg";

  void fields(FieldVisitor& visitor) override;
};

// Throws Error(data): no table of two columns, no row with a picture.
std::unique_ptr<Source> open_conceptual_captions(const ConceptualCaptionsSettings& settings);

}  // namespace tandem::data
