// config.json as transformers writes it (LlavaConfig, defaults of 5.17), and the flat file of the
// original release (LlavaLlamaForCausalLM); preprocessor_config.json.

#include <algorithm>
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

// --- Parts that transformers' LlavaConfig does not name ----------------------------------------

// A kind of tower: what its vision_config is called, and how it is read and written.
struct TowerFile {
  const char* kind;
  const char* model_type;
  void (*read)(const ConfigNode&, TowerConfig&);
  json (*write)(const TowerConfig&);
};

// Blip2VisionConfig.
void read_eva(const ConfigNode& v, TowerConfig& c) {
  c.width = v.whole("hidden_size", 1408, 1, 65536);
  c.layers = v.whole("num_hidden_layers", 39, 1, 1024);
  c.heads = v.whole("num_attention_heads", 16, 1, 65536);
  c.mlp = v.whole("intermediate_size", 6144, 1, 1 << 20);
  c.image_size = v.side("image_size", 224);
  c.patch_size = v.side("patch_size", 14);
  c.eva.layer_norm_eps = v.number("layer_norm_eps", 1e-6, 0, 1);
  c.eva.qkv_bias = v.flag("qkv_bias", true);
  c.eva.activation = v.text("hidden_act", "gelu");
  if (nn::activation_of(c.eva.activation) == nullptr) {
    wrong_config(v.path + "hidden_act", "an activation", c.eva.activation);
  }
}

json eva_json(const TowerConfig& c) {
  return {{"hidden_size", c.width},         {"intermediate_size", c.hidden()},
          {"num_hidden_layers", c.layers},  {"num_attention_heads", c.heads},
          {"image_size", c.image_size},     {"patch_size", c.patch_size},
          {"hidden_act", c.eva.activation}, {"layer_norm_eps", c.eva.layer_norm_eps},
          {"qkv_bias", c.eva.qkv_bias},     {"model_type", "blip_2_vision_model"}};
}

void read_clip(const ConfigNode& v, TowerConfig& c) { read_vision(v, c); }
json clip_json(const TowerConfig& c) { return vision_json(c, 768); }

const std::array<TowerFile, 2>& tower_files() {
  static const std::array<TowerFile, 2> files{{{"clip", "clip_vision_model", read_clip, clip_json},
                                               {"eva", "blip_2_vision_model", read_eva, eva_json}}};
  return files;
}

void read_tower_file(const ConfigNode& v, TowerConfig& c) {
  const std::string type = v.text("model_type", "clip_vision_model");
  for (const TowerFile& file : tower_files()) {
    if (type != file.model_type) continue;
    c.kind = file.kind;
    file.read(v, c);
    return;
  }
  wrong_config(v.path + "model_type",
               "clip_vision_model or blip_2_vision_model (a fixed number of rows a picture)", type);
}

json tower_file_json(const TowerConfig& c) {
  const auto found = std::find_if(tower_files().begin(), tower_files().end(),
                                  [&](const TowerFile& file) { return c.kind == file.kind; });
  TANDEM_CHECK(found != tower_files().end(), "[models] expected a kind of tower");
  return found->write(c);
}

// A kind of connector, in `tandem.connector`.
struct ConnectorFile {
  const char* kind;
  void (*read)(const ConfigNode&, ConnectorConfig&);
  json (*write)(const ConnectorConfig&);
};

void read_resampler(const ConfigNode& node, ConnectorConfig& c) {
  c.resampler.grid = node.whole("grid", c.resampler.grid, 1, 256);
  c.resampler.heads = node.whole("heads", c.resampler.heads, 0, 65536);
}

json resampler_json(const ConnectorConfig& c) {
  return {{"grid", c.resampler.grid}, {"heads", c.resampler.heads}};
}

void read_queries(const ConfigNode& node, ConnectorConfig& c) {
  c.qformer.queries = node.whole("queries", c.qformer.queries, 1, 65536);
  c.qformer.width = node.whole("width", c.qformer.width, 1, 65536);
  c.qformer.layers = node.whole("layers", c.qformer.layers, 1, 1024);
  c.qformer.heads = node.whole("heads", c.qformer.heads, 1, 65536);
  c.qformer.mlp = node.whole("mlp", c.qformer.mlp, 0, 1 << 20);
  c.qformer.cross_every = node.whole("cross_every", c.qformer.cross_every, 1, 1024);
}

json queries_json(const ConnectorConfig& c) {
  const QFormerConfig& q = c.qformer;
  return {{"queries", q.queries}, {"width", q.width}, {"layers", q.layers},
          {"heads", q.heads},     {"mlp", q.mlp},     {"cross_every", q.cross_every}};
}

// Of those with keys of transformers' or of the original nothing stands there.
const ConnectorFile* connector_file(const std::string& kind) {
  static const std::array<ConnectorFile, 2> files{
      {{"resampler", read_resampler, resampler_json}, {"qformer", read_queries, queries_json}}};
  for (const ConnectorFile& file : files) {
    if (kind == file.kind) return &file;
  }
  return nullptr;
}

void read_own_connector(const ConfigNode& own, ConnectorConfig& c) {
  if (own.find("connector") == nullptr) return;
  const ConfigNode node = own.part("connector");
  const std::string kind = node.text("kind", "");
  const ConnectorFile* file = connector_file(kind);
  if (file == nullptr) wrong_config(node.path + "kind", "resampler or qformer", kind);
  c.kind = kind;
  file->read(node, c);
}

// What only our own files say.
void read_own(const ConfigNode& top, Config& c) {
  const ConfigNode own = top.part("tandem");
  read_own_connector(own, c.connector);
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
    read_tower_file(v, config->vision);
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
               {"vision_config", tower_file_json(c.vision)}};
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
  if (const ConnectorFile* file = connector_file(c.connector.kind)) {
    json& own = root["tandem"]["connector"];
    own = file->write(c.connector);
    own["kind"] = c.connector.kind;
  }
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
