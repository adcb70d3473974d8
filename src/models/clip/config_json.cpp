// config.json and preprocessor_config.json as transformers writes and reads them. Absent keys have
// the defaults of transformers 5.17's CLIPTextConfig, CLIPVisionConfig and CLIPConfig.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "models/clip/config.h"
#include "models/config_node.h"
#include "models/processor_file.h"
#include "tandem/base/error.h"

namespace tandem::models::clip {
namespace {

using nlohmann::json;

// Files of 2022 say it twice; the second one wins, as in transformers.
ConfigNode part(const json& root, const std::string& name) {
  static const json empty = json::object();
  for (const std::string& key : {name + "_dict", name}) {
    const auto found = root.find(key);
    if (found == root.end() || found->is_null()) continue;
    if (!found->is_object()) wrong_config(key, "a map", *found);
    return {&*found, key + "."};
  }
  return {&empty, name + "."};
}

}  // namespace

std::unique_ptr<Settings> from_config_json(const std::string& text) {
  const json root = parse_config(text, "config.json");
  auto config = std::make_unique<Config>();
  const ConfigNode top{&root, ""};
  config->embed_dim = top.whole("projection_dim", 512, 1, 65536);
  config->logit_scale_init = top.number("logit_scale_init_value", 2.6592);

  read_vision(part(root, "vision_config"), config->vision);

  const ConfigNode t = part(root, "text_config");
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
  const json vision = vision_json(c.vision, c.embed_dim);
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
  json root = cropping_json(config_of(settings).image_settings());
  root["image_processor_type"] = "CLIPImageProcessor";
  root["processor_class"] = "CLIPProcessor";
  return {{"preprocessor_config.json", root.dump(2) + "\n"}};
}

void read_processor_file(Settings& settings, const std::string& text) {
  read_processor(dynamic_cast<Config&>(settings).image, text);
}

}  // namespace tandem::models::clip
