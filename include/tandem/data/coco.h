#pragma once
// COCO's captions, and files in the layouts that came after them. The layout is told from the
// file itself:
//   * captions_train2014.json, captions_val2017.json: {"images": [{"id", "file_name"}],
//     "annotations": [{"image_id", "caption"}]}
//   * Karpathy's dataset_coco.json, dataset_flickr30k.json, dataset_flickr8k.json: {"images":
//     [{"filepath" (COCO only), "filename", "split", "sentences": [{"raw"}]}]}
//   * lists as LAVIS, ALBEF and BLIP publish them: [{"image", "caption": a text or a list}]
// A picture is one sample with all its captions, in the file's order. `split` chooses from
// Karpathy's train, restval, val and test.
// A picture or a caption that cannot be used is left out, named, and counted in a warning; a
// picture that is missing is a bad sample. Sources: cocodataset.org, "Data format"; Karpathy and
// Fei-Fei 2015, caption_datasets.zip; LAVIS, datasets/builders (coco_karpathy_train.json).

#include <memory>
#include <string>
#include <vector>

#include "tandem/base/fields.h"
#include "tandem/data/source.h"

namespace tandem::data {

struct CocoSettings final : Settings {
  std::string path{};      // the .json
  std::string pictures{};  // the folder that its names start from
  std::vector<std::string> split{};
  std::string instances{};  // instances_*.json: Sample::boxes and box_names; empty: none

  void fields(FieldVisitor& visitor) override;
};

// Throws Error(data): no JSON, none of the three layouts, nothing that can be used.
std::unique_ptr<Source> open_coco(const CocoSettings& settings);

}  // namespace tandem::data
