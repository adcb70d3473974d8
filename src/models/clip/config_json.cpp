// config.json and preprocessor_config.json as transformers writes and reads them. Absent keys have
// the defaults of transformers 5.17's CLIPTextConfig, CLIPVisionConfig and CLIPConfig.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "models/clip/config.h"
#include "tandem/base/error.h"
#include "tandem/base/json.h"
#include "tandem/base/log.h"

namespace tandem::models::clip {
namespace {

using nlohmann::json;

[[noreturn]] void wrong(const std::string& path, const std::string& expected, const json& got) {
  std::string text = got.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 60) + "...";
  throw Error(ErrorKind::config,
              "config.json: " + path + ": expected " + expected + "; got " + text);
}

// One object of the file, with its path for messages.
struct Node {
  const json* value;
  std::string path;

  const json* find(const std::string& name) const {
    const auto found = value->find(name);
    return found == value->end() || found->is_null() ? nullptr : &*found;
  }
  std::int64_t whole(const std::string& name, std::int64_t fallback, std::int64_t low,
                     std::int64_t high) const {
    const json* found = find(name);
    if (found == nullptr) return fallback;
    const std::string range =
        "a whole number from " + std::to_string(low) + " to " + std::to_string(high);
    if (!found->is_number_integer()) wrong(path + name, range, *found);
    const auto number = found->get<double>();  // unsigned ones may not fit in 64 bits
    if (number < static_cast<double>(low) || number > static_cast<double>(high)) {
      wrong(path + name, range, *found);
    }
    return found->get<std::int64_t>();
  }
  double number(const std::string& name, double fallback) const {
    const json* found = find(name);
    if (found == nullptr) return fallback;
    if (!found->is_number()) wrong(path + name, "a number", *found);
    return found->get<double>();
  }
  std::string text(const std::string& name, const std::string& fallback) const {
    const json* found = find(name);
    if (found == nullptr) return fallback;
    if (!found->is_string()) wrong(path + name, "a string", *found);
    return found->get<std::string>();
  }
  // A number, or a pair of equal ones.
  std::int64_t side(const std::string& name, std::int64_t fallback) const {
    const json* found = find(name);
    if (found == nullptr || !found->is_array()) return whole(name, fallback, 1, 4096);
    if (found->size() != 2 || (*found)[0] != (*found)[1]) {
      wrong(path + name, "a square", *found);
    }
    const json inner = {{name, (*found)[0]}};
    return Node{&inner, path}.whole(name, fallback, 1, 4096);
  }
};

// Files of 2022 say it twice; the second one wins, as in transformers.
Node part(const json& root, const std::string& name) {
  static const json empty = json::object();
  for (const std::string& key : {name + "_dict", name}) {
    const auto found = root.find(key);
    if (found == root.end() || found->is_null()) continue;
    if (!found->is_object()) wrong(key, "a map", *found);
    return {&*found, key + "."};
  }
  return {&empty, name + "."};
}

void read_tower(const Node& node, Tower& t, std::int64_t width, std::int64_t heads) {
  t.width = node.whole("hidden_size", width, 1, 65536);
  t.layers = node.whole("num_hidden_layers", 12, 1, 1024);
  t.heads = node.whole("num_attention_heads", heads, 1, 65536);
  t.mlp = node.whole("intermediate_size", 4 * width, 1, 1 << 20);
  t.layer_norm_eps = node.number("layer_norm_eps", 1e-5);
  if (!(t.layer_norm_eps > 0 && t.layer_norm_eps <= 1)) {
    wrong(node.path + "layer_norm_eps", "a number above 0", *node.find("layer_norm_eps"));
  }
  t.activation = node.text("hidden_act", "quick_gelu");
  if (t.activation != "quick_gelu" && t.activation != "gelu") {
    wrong(node.path + "hidden_act", "quick_gelu or gelu", *node.find("hidden_act"));
  }
  if (node.number("attention_dropout", 0) != 0) {
    log_warning("config.json: " + node.path + "attention_dropout is not supported and taken as 0");
  }
}

json tower_json(const Tower& t, std::int64_t embed_dim) {
  return {{"hidden_size", t.width},        {"intermediate_size", t.hidden()},
          {"num_hidden_layers", t.layers}, {"num_attention_heads", t.heads},
          {"hidden_act", t.activation},    {"layer_norm_eps", t.layer_norm_eps},
          {"attention_dropout", 0.0},      {"projection_dim", embed_dim}};
}

json parse(const std::string& text, const std::string& name) {
  json root;
  try {
    root = parse_json(text, name);
  } catch (const Error& error) {
    throw Error(ErrorKind::config, error.message(), error.where());
  }
  if (!root.is_object()) throw Error(ErrorKind::config, "expected a JSON map", name);
  return root;
}

std::vector<double> three(const Node& node, const std::string& name,
                          const std::vector<double>& fallback) {
  const json* found = node.find(name);
  if (found == nullptr) return fallback;
  std::vector<double> values;
  for (const json& value : *found) {
    if (value.is_number()) values.push_back(value.get<double>());
  }
  if (!found->is_array() || found->size() != 3 || values.size() != 3) {
    wrong(name, "3 numbers", *found);
  }
  return values;
}

}  // namespace

std::unique_ptr<Settings> from_config_json(const std::string& text) {
  const json root = parse(text, "config.json");
  auto config = std::make_unique<Config>();
  const Node top{&root, ""};
  config->embed_dim = top.whole("projection_dim", 512, 1, 65536);
  config->logit_scale_init = top.number("logit_scale_init_value", 2.6592);

  const Node v = part(root, "vision_config");
  read_tower(v, config->vision, 768, 12);
  config->vision.image_size = v.side("image_size", 224);
  config->vision.patch_size = v.side("patch_size", 32);
  if (v.whole("num_channels", 3, 1, 4096) != 3) {
    wrong("vision_config.num_channels", "3", *v.find("num_channels"));
  }

  const Node t = part(root, "text_config");
  read_tower(t, config->text, 512, 8);
  config->text.vocab_size = t.whole("vocab_size", 49408, 1, 10'000'000);
  config->text.context_length = t.whole("max_position_embeddings", 77, 1, 65536);
  config->text.bos_id = t.whole("bos_token_id", 49406, -1, 10'000'000);
  config->text.eos_id = t.whole("eos_token_id", 49407, -1, 10'000'000);
  config->text.pad_id = t.whole("pad_token_id", 1, -1, 10'000'000);
  if (config->text.eos_id == 2) {
    // What files before 2023 say, whatever the tokenizer's end mark is: transformers then pools at
    // the largest id. The ids are the tokenizer's to fill in.
    config->text.pooling = "argmax";
    config->text.bos_id = config->text.eos_id = config->text.pad_id = -1;
  }
  for (const auto& [field, what] : problems(*config)) {
    throw Error(ErrorKind::config, "config.json: " + field + ": " + what);
  }
  return config;
}

std::string to_config_json(const Settings& settings) {
  const Config& c = config_of(settings);
  json text = tower_json(c.text, c.embed_dim);
  text["model_type"] = "clip_text_model";
  text["vocab_size"] = c.text.vocab_size;
  text["max_position_embeddings"] = c.text.context_length;
  const bool argmax = c.text.pooling == "argmax";
  text["eos_token_id"] = argmax ? 2 : c.text.eos_id;
  text["bos_token_id"] = argmax && c.text.bos_id < 0 ? 0 : c.text.bos_id;
  text["pad_token_id"] = argmax && c.text.pad_id < 0 ? 1 : c.text.pad_id;
  json vision = tower_json(c.vision, c.embed_dim);
  vision["model_type"] = "clip_vision_model";
  vision["image_size"] = c.vision.image_size;
  vision["patch_size"] = c.vision.patch_size;
  vision["num_channels"] = 3;
  const json root = {{"architectures", {"CLIPModel"}},
                     {"model_type", "clip"},
                     {"projection_dim", c.embed_dim},
                     {"logit_scale_init_value", c.logit_scale_init},
                     {"dtype", "float32"},
                     {"text_config", text},
                     {"vision_config", vision}};
  return root.dump(2) + "\n";
}

std::vector<std::pair<std::string, std::string>> processor_files(const Settings& settings) {
  const vision::ImageSettings image = config_of(settings).image_settings();
  const json root = {{"image_processor_type", "CLIPImageProcessor"},
                     {"processor_class", "CLIPProcessor"},
                     {"do_convert_rgb", true},
                     {"do_resize", true},
                     {"size", {{"shortest_edge", image.size}}},
                     {"resample", image.interpolation == "bilinear" ? 2 : 3},
                     {"do_center_crop", true},
                     {"crop_size", {{"height", image.size}, {"width", image.size}}},
                     {"do_rescale", true},
                     {"rescale_factor", 1.0 / 255},
                     {"do_normalize", true},
                     {"image_mean", image.mean},
                     {"image_std", image.std}};
  return {{"preprocessor_config.json", root.dump(2) + "\n"}};
}

void read_processor_file(Settings& settings, const std::string& text) {
  auto& config = dynamic_cast<Config&>(settings);
  const json root = parse(text, "preprocessor_config.json");
  const Node top{&root, "preprocessor_config.json: "};
  config.image.mean = three(top, "image_mean", config.image.mean);
  const std::vector<double> std = three(top, "image_std", config.image.std);
  if (*std::min_element(std.begin(), std.end()) <= 0) {
    wrong("image_std", "numbers above 0", *top.find("image_std"));
  }
  config.image.std = std;
  const std::int64_t resample = top.whole("resample", 3, 0, 5);
  if (resample != 2 && resample != 3) {
    wrong("resample", "2 (bilinear) or 3 (bicubic)", *top.find("resample"));
  }
  config.image.interpolation = resample == 2 ? "bilinear" : "bicubic";
}

}  // namespace tandem::models::clip
