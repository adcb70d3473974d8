#pragma once
// RefCOCO, RefCOCO+ and RefCOCOg as JSON. Two layouts, told from the file:
//   * the export of refer's pickles, a list or {"refs": [...]} of {"ref_id", "file_name" (also
//     "image", "image_file"), "sentences": [a text, or {"sent" or "raw"}], "bbox": [x, y, w, h],
//     "split", "image_id"}. The pickles' COCO_train2014_000000581857_16.jpg is
//     COCO_train2014_000000581857.jpg.
//   * ALBEF's lists [{"image", "text", "ref_id"}], whose boxes stand in `boxes`, a file of the
//   first
//     layout.
// An expression is a sample: texts[0], boxes[0] in pixels. `proposals` is ALBEF's dets.json,
// {IMAGE_ID: [[x, y, w, h], ...]}. Sources: lichengunc/refer, README.md; salesforce/ALBEF,
// dataset/utils.py (grounding_eval).

#include <memory>
#include <string>
#include <vector>

#include "tandem/base/fields.h"
#include "tandem/data/source.h"

namespace tandem::data {

struct RefcocoSettings final : Settings {
  std::string path{};
  std::string pictures{};
  std::vector<std::string> split{};
  std::string boxes{};
  std::string proposals{};

  void fields(FieldVisitor& visitor) override;
};

// Throws Error(data): no JSON, neither layout, nothing that can be used.
std::unique_ptr<Source> open_refcoco(const RefcocoSettings& settings);

}  // namespace tandem::data
