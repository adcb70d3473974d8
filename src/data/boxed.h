#pragma once
// A source of captioned pictures with what is known to be where in them, from COCO's
// instances_*.json {"images": [{"id", "file_name"}], "annotations": [{"image_id", "category_id",
// "bbox": [x, y, width, height]}], "categories": [{"id", "name"}]}. Boxes of crowds are left out.
// A picture is found by its file's name without folders; one that is not there has no boxes.

#include <memory>
#include <string>

#include "tandem/data/source.h"

namespace tandem::data {

// Throws Error(data): no JSON of that layout, no box.
std::unique_ptr<Source> with_boxes(std::unique_ptr<Source> source, const std::string& instances);

}  // namespace tandem::data
