#include "models/processor_file.h"

#include <algorithm>
#include <vector>

#include "models/config_node.h"

namespace tandem::models {

using nlohmann::json;

json processor_json(const vision::ImageSettings& image) {
  return {{"do_convert_rgb", true},
          {"do_resize", true},
          {"resample", image.interpolation == "bilinear" ? 2 : 3},
          {"do_rescale", true},
          {"rescale_factor", 1.0 / 255},
          {"do_normalize", true},
          {"image_mean", image.mean},
          {"image_std", image.std}};
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

void read_processor(vision::ImageSettings& image, const std::string& text) {
  const json root = parse_config(text, "preprocessor_config.json");
  const ConfigNode top{&root, "preprocessor_config.json: "};
  image.mean = top.three("image_mean", image.mean);
  const std::vector<double> std = top.three("image_std", image.std);
  if (*std::min_element(std.begin(), std.end()) <= 0) {
    wrong_config("image_std", "numbers above 0", *top.find("image_std"));
  }
  image.std = std;
  const std::int64_t resample = top.whole("resample", 3, 0, 5);
  if (resample != 2 && resample != 3) {
    wrong_config("resample", "2 (bilinear) or 3 (bicubic)", *top.find("resample"));
  }
  image.interpolation = resample == 2 ? "bilinear" : "bicubic";
}

}  // namespace tandem::models
