#pragma once
// preprocessor_config.json, which transformers' image processors read and write: what they share.

#include <nlohmann/json.hpp>
#include <string>

#include "tandem/vision/transform.h"

namespace tandem::models {

// Conversion, resizing, scaling, statistics and (where it is not `exif`) orientation of `image`;
// the size and whatever else a family's processor does is the family's to add.
nlohmann::json processor_json(const vision::ImageSettings& image);
// The same for pictures that are squeezed into a square of image.size, and for those that are cut
// to one in the middle.
nlohmann::json squeezing_json(const vision::ImageSettings& image);
nlohmann::json cropping_json(const vision::ImageSettings& image);

// Statistics and interpolation from the file's text into `image`; another scale of the pixels
// (do_rescale, rescale_factor) and pixels that are left as they are (do_normalize) become
// statistics. Throws Error(config) naming the key, also for do_resize: false.
void read_processor(vision::ImageSettings& image, const std::string& text);
// Of a family that squeezes pictures into a square of `side`. Throws Error(config) where the file
// keeps their sides' ratio or cuts; warns of another size.
void expect_squeezing(const std::string& text, std::int64_t side);

}  // namespace tandem::models
