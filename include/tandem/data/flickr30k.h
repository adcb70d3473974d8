#pragma once
// Flickr30k's captions as they are released, five a picture. The layout is told from the file:
//   * results_20130124.token (and Flickr8k.token.txt): PICTURE#NUMBER <tab> CAPTION
//   * results.csv: a head line, then PICTURE| NUMBER| CAPTION
// A picture is one sample with all its captions. A line that does not parse (the released
// results.csv has one) is left out and named with its line. Karpathy's split: the format `coco`
// with dataset_flickr30k.json. Source: Young et al. 2014, flickr30k.tar.gz; the same data as
// flickr-image-dataset.

#include <memory>
#include <string>

#include "tandem/base/fields.h"
#include "tandem/data/source.h"

namespace tandem::data {

struct Flickr30kSettings final : Settings {
  std::string path{};      // the file of captions
  std::string pictures{};  // the folder with NUMBER.jpg

  void fields(FieldVisitor& visitor) override;
};

// Throws Error(data): a file that cannot be read, no line that can be used.
std::unique_ptr<Source> open_flickr30k(const Flickr30kSettings& settings);

}  // namespace tandem::data
