// config.json as transformers writes it (LlavaConfig, defaults of 5.17), and the flat file of the
// original release (LlavaLlamaForCausalLM); preprocessor_config.json.

#include <array>
#include <nlohmann/json.hpp>

#include "models/config_node.h"
#include "models/llava/config.h"
#include "models/processor_file.h"
#include "tandem/base/error.h"
#include "tandem/nn/mlp.h"

namespace tandem::models::llava {
namespace {

using nlohmann::json;

void read_feature_layers(const ConfigNode& top, Config& c) {
  const json* found = top.find("vision_feature_layer");
  if (found == nullptr || !found->is_array()) {
    c.feature_layers = {top.whole("vision_feature_layer", -2, -1024, 1024)};
    return;
  }
  c.feature_layers.clear();
  for (const json& layer : *found) {
    if (!layer.is_number_integer()) wrong_config("vision_feature_layer", "numbers", *found);
    c.feature_layers.push_back(layer.get<std::int64_t>());
  }
}

void read_connector(const ConfigNode& top, Config& c) {
  c.connector.activation = top.text("projector_hidden_act", "gelu");
  if (c.connector.activation != "linear" && nn::activation_of(c.connector.activation) == nullptr) {
    wrong_config("projector_hidden_act", "an activation", c.connector.activation);
  }
  c.connector.bias = top.flag("multimodal_projector_bias", true);
}

// "linear", "identity" is refused, "mlpNx_gelu": of the original, and ours beside transformers'
// keys.
void read_projector_type(const ConfigNode& top, Config& c) {
  const std::string type = top.text("mm_projector_type", "");
  if (type.empty()) return;
  if (type == "linear") {
    c.connector.kind = "linear";
    return;
  }
  const std::string end = "x_gelu";
  if (!type.starts_with("mlp") || !type.ends_with(end) || type.size() != 4 + end.size() ||
      type[3] < '1' || type[3] > '9') {
    wrong_config("mm_projector_type", "linear or mlpNx_gelu", type);
  }
  c.connector.layers = type[3] - '0';
}

// What only our own files say.
void read_own(const ConfigNode& top, Config& c) {
  const ConfigNode own = top.part("tandem");
  c.chat = own.text("chat", c.chat);
  c.system = own.text("system", "");
  c.max_tokens = own.whole("max_tokens", c.max_tokens, 1, 100'000'000);
  c.aspect = own.text("aspect", c.aspect);
  if (c.aspect != "pad" && c.aspect != "crop")
    wrong_config("tandem.aspect", "pad or crop", c.aspect);
  c.picture_marks = own.flag("picture_marks", false);
  c.start_id = own.whole("start_id", -1, -1, 10'000'000);
  c.end_id = own.whole("end_id", -1, -1, 10'000'000);
}

// The towers that the original names and does not describe.
void read_named_tower(const ConfigNode& top, VisionConfig& v) {
  struct Known {
    const char* name;
    std::int64_t width, layers, heads, image, patch;
  };
  static const std::array<Known, 4> known{{{"clip-vit-large-patch14-336", 1024, 24, 16, 336, 14},
                                           {"clip-vit-large-patch14", 1024, 24, 16, 224, 14},
                                           {"clip-vit-base-patch16", 768, 12, 12, 224, 16},
                                           {"clip-vit-base-patch32", 768, 12, 12, 224, 32}}};
  const std::string name = top.text("mm_vision_tower", top.text("vision_tower", ""));
  for (const Known& tower : known) {
    if (!name.ends_with(tower.name)) continue;
    v.width = tower.width;
    v.layers = tower.layers;
    v.heads = tower.heads;
    v.image_size = tower.image;
    v.patch_size = tower.patch;
    return;
  }
  wrong_config("mm_vision_tower", "one of OpenAI's (clip-vit-large-patch14-336, ...)", name);
}

void read_original(const ConfigNode& top, Config& c) {
  if (top.find("vision_config") != nullptr) {
    read_vision(top.part("vision_config"), c.vision);
  } else {
    read_named_tower(top, c.vision);
  }
  read_language(top, c.language);
  c.feature_layers = {top.whole("mm_vision_select_layer", -1, -1024, 1024)};
  const std::string select = top.text("mm_vision_select_feature", "patch");
  if (select != "patch" && select != "cls_patch") {
    wrong_config("mm_vision_select_feature", "patch or cls_patch", select);
  }
  c.class_token = select == "cls_patch";
  const std::string aspect = top.text("image_aspect_ratio", "square");
  if (aspect != "pad" && aspect != "square") {
    wrong_config("image_aspect_ratio", "pad or square", aspect);
  }
  c.aspect = aspect == "pad" ? "pad" : "crop";
  c.max_tokens = top.whole("tokenizer_model_max_length", 2048, 1, 100'000'000);
  c.picture_marks = top.flag("mm_use_im_start_end", false);
  c.connector.kind = "linear";
  read_projector_type(top, c);
  if (top.find("mm_projector_type") != nullptr) {
    c.connector.kind = top.text("mm_projector_type", "") == "linear" ? "linear" : "mlp";
  }
  // The original's placeholder is no row of the table: -200 there, the row behind the last one
  // here.
  c.image_id = top.whole("image_token_index", c.language.vocab_size, 0, 10'000'000);
}

}  // namespace

std::unique_ptr<Settings> from_config_json(const std::string& text) {
  const json root = parse_config(text, "config.json");
  auto config = std::make_unique<Config>();
  const ConfigNode top{&root, ""};
  if (architecture_of(root) == "LlavaLlamaForCausalLM") {
    read_original(top, *config);
  } else {
    json vision = root.value("vision_config", json());
    if (vision.is_null()) {  // LlavaConfig's own
      vision = {{"hidden_size", 1024},       {"intermediate_size", 4096}, {"num_hidden_layers", 24},
                {"num_attention_heads", 16}, {"image_size", 336},         {"patch_size", 14}};
    }
    const json holder = {{"vision_config", vision}};
    const ConfigNode v = ConfigNode{&holder, ""}.part("vision_config");
    const std::string tower = v.text("model_type", "clip_vision_model");
    if (tower != "clip_vision_model") {
      wrong_config("vision_config.model_type", "clip_vision_model", tower);
    }
    read_vision(v, config->vision);
    read_language(top.part("text_config"), config->language);
    config->language.tied = config->language.tied || top.flag("tie_word_embeddings", false);
    read_feature_layers(top, *config);
    const std::string select = top.text("vision_feature_select_strategy", "default");
    if (select != "default" && select != "full") {
      wrong_config("vision_feature_select_strategy", "default or full", select);
    }
    config->class_token = select == "full";
    read_connector(top, *config);
    read_projector_type(top, *config);
    const json* id = top.find("image_token_index");
    config->image_id = id != nullptr ? top.whole("image_token_index", 32000, 0, 10'000'000)
                                     : top.whole("image_token_id", 32000, 0, 10'000'000);
  }
  read_own(top, *config);
  for (const auto& [field, what] : problems(*config)) {
    throw Error(ErrorKind::config, "config.json: " + field + ": " + what);
  }
  return config;
}

std::string to_config_json(const Settings& settings) {
  const Config& c = config_of(settings);
  json root = {{"architectures", {"LlavaForConditionalGeneration"}},
               {"model_type", "llava"},
               {"dtype", "float32"},
               {"image_token_index", c.image_id},
               {"image_seq_length", c.picture_tokens()},
               {"multimodal_projector_bias", c.connector.bias},
               {"vision_feature_select_strategy", c.class_token ? "full" : "default"},
               {"tie_word_embeddings", c.language.tied},
               {"text_config", language_json(c.language)},
               {"vision_config", vision_json(c.vision, 768)}};
  root["vision_feature_layer"] =
      c.feature_layers.size() == 1 ? json(c.feature_layers[0]) : json(c.feature_layers);
  const bool linear = c.connector.kind == "linear";
  root["projector_hidden_act"] = linear ? "linear" : c.connector.activation;
  if (linear || c.connector.layers != 2) {
    root["mm_projector_type"] =
        linear ? "linear" : "mlp" + std::to_string(c.connector.layers) + "x_gelu";
  }
  root["tandem"] = {{"chat", c.chat},
                    {"system", c.system},
                    {"max_tokens", c.max_tokens},
                    {"aspect", c.aspect},
                    {"picture_marks", c.picture_marks},
                    {"start_id", c.start_id},
                    {"end_id", c.end_id}};
  return root.dump(2) + "\n";
}

std::vector<std::pair<std::string, std::string>> processor_files(const Settings& settings) {
  const Config& c = config_of(settings);
  json root = cropping_json(c.image_settings());
  root["image_processor_type"] = "CLIPImageProcessor";
  root["processor_class"] = "LlavaProcessor";
  json processor = {{"processor_class", "LlavaProcessor"},
                    {"image_token", "<image>"},
                    {"num_additional_image_tokens", 1},
                    {"patch_size", c.vision.patch_size},
                    {"vision_feature_select_strategy", c.class_token ? "full" : "default"}};
  return {{"preprocessor_config.json", root.dump(2) + "\n"},
          {"processor_config.json", processor.dump(2) + "\n"}};
}

void read_processor_file(Settings& settings, const std::string& text) {
  read_processor(dynamic_cast<Config&>(settings).image, text);
}

}  // namespace tandem::models::llava
