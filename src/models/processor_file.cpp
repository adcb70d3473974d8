#include "models/processor_file.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "models/config_node.h"
#include "tandem/base/log.h"

namespace tandem::models {

using nlohmann::json;

json processor_json(const vision::ImageSettings& image) {
  json root = {{"do_convert_rgb", true},
               {"do_resize", true},
               {"resample", image.interpolation == "bilinear" ? 2 : 3},
               {"do_rescale", true},
               {"rescale_factor", 1.0 / 255},
               {"do_normalize", true},
               {"image_mean", image.mean},
               {"image_std", image.std}};
  if (image.orientation != "exif") root["orientation"] = image.orientation;  // ours
  return root;
}

json squeezing_json(const vision::ImageSettings& image) {
  json root = processor_json(image);
  root["size"] = {{"height", image.size}, {"width", image.size}};
  return root;
}

json cropping_json(const vision::ImageSettings& image) {
  json root = processor_json(image);
  root["size"] = {{"shortest_edge", image.size}};
  root["do_center_crop"] = true;
  root["crop_size"] = {{"height", image.size}, {"width", image.size}};
  return root;
}

namespace {

// A processor gives (x * factor - mean) / std of an x from 0 to 255, and leaves out what it is told
// to; ours gives (x / 255 - mean) / std.
void read_statistics(vision::ImageSettings& image, const ConfigNode& top) {
  std::vector<double> mean = top.three("image_mean", image.mean);
  std::vector<double> spread = top.three("image_std", image.std);
  if (*std::min_element(spread.begin(), spread.end()) <= 0) {
    wrong_config("image_std", "numbers above 0", *top.find("image_std"));
  }
  if (!top.flag("do_normalize", true)) {
    mean = {0, 0, 0};
    spread = {1, 1, 1};
  }
  const double factor = top.number("rescale_factor", 1.0 / 255, 1e-6, 1e6);
  const double times = 255 * (top.flag("do_rescale", true) ? factor : 1);
  if (std::abs(times - 1) > 1e-9) {
    for (double& number : mean) number /= times;
    for (double& number : spread) number /= times;
  }
  image.mean = std::move(mean);
  image.std = std::move(spread);
}

}  // namespace

void read_processor(vision::ImageSettings& image, const std::string& text) {
  const json root = parse_config(text, "preprocessor_config.json");
  const ConfigNode top{&root, "preprocessor_config.json: "};
  read_statistics(image, top);
  if (!top.flag("do_resize", true)) {
    wrong_config(top.path + "do_resize", "true: every picture is made to fit the model",
                 *top.find("do_resize"));
  }
  const std::int64_t resample = top.whole("resample", 3, 0, 5);
  if (resample != 2 && resample != 3) {
    wrong_config("resample", "2 (bilinear) or 3 (bicubic)", *top.find("resample"));
  }
  image.interpolation = resample == 2 ? "bilinear" : "bicubic";
  image.orientation = top.text("orientation", image.orientation);
  if (image.orientation != "exif" && image.orientation != "stored") {
    wrong_config(top.path + "orientation", "exif or stored", json(image.orientation));
  }
}

void expect_squeezing(const std::string& text, std::int64_t side) {
  const json root = parse_config(text, "preprocessor_config.json");
  const ConfigNode top{&root, "preprocessor_config.json: "};
  const auto sides = [&](const char* name) -> std::vector<std::int64_t> {
    const json* found = top.find(name);
    if (found == nullptr) return {side, side};
    if (!found->is_object()) {
      const std::int64_t both = top.whole(name, side, 1, 65536);
      return {both, both};
    }
    const ConfigNode node = top.part(name);
    if (node.find("height") == nullptr || node.find("width") == nullptr) {
      wrong_config(top.path + name, "a height and a width: pictures are squeezed", *found);
    }
    return {node.whole("height", side, 1, 65536), node.whole("width", side, 1, 65536)};
  };
  const std::vector<std::int64_t> size = sides("size");
  if (top.flag("do_center_crop", false) && top.find("crop_size") != nullptr &&
      sides("crop_size") != size) {
    wrong_config(top.path + "crop_size", "the same as size: nothing is cut off a picture",
                 *top.find("crop_size"));
  }
  // transformers would give the model pictures that its table of positions is not made for.
  if (size != std::vector<std::int64_t>{side, side}) {
    log_warning("preprocessor_config.json: size is " + std::to_string(size[0]) + " x " +
                std::to_string(size[1]) + "; pictures are made " + std::to_string(side) + " x " +
                std::to_string(side) + ", as image_size of config.json says");
  }
}

}  // namespace tandem::models
