// config.json and preprocessor_config.json as transformers writes and reads them: flat as on the
// hub (the language model's keys at the root), or with text_config as transformers 5 saves it.
// Absent keys have the defaults of transformers 5.17. Ours: rope_after_video, tandem.

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "models/config_node.h"
#include "models/processor_file.h"
#include "models/qwen2_vl/config.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/nn/mlp.h"

namespace tandem::models::qwen2_vl {
namespace {

using nlohmann::json;

constexpr std::int64_t most_ids = 10'000'000;

std::string activation_in(const ConfigNode& node, const std::string& fallback) {
  const std::string name = node.text("hidden_act", fallback);
  if (nn::activation_of(name) == nullptr) {
    wrong_config(node.path + "hidden_act", "gelu, quick_gelu, gelu_new, relu or silu",
                 *node.find("hidden_act"));
  }
  return name;
}

std::vector<std::int64_t> whole_list(const ConfigNode& node, const std::string& name,
                                     const std::vector<std::int64_t>& fallback) {
  const json* found = node.find(name);
  if (found == nullptr) return fallback;
  std::vector<std::int64_t> values;
  const bool whole = found->is_array() && std::all_of(found->begin(), found->end(), [](auto& v) {
                       return v.is_number_integer();
                     });
  if (!whole) wrong_config(node.path + name, "whole numbers", *found);
  for (const json& number : *found) values.push_back(number.get<std::int64_t>());
  return values;
}

// --- The language model --------------------------------------------------------------------------

// rope_scaling (the hub) is taken before rope_parameters (transformers 5), which holds the base
// too.
void read_rope(const ConfigNode& node, TextConfig& text) {
  const bool old = node.find("rope_scaling") != nullptr;
  const ConfigNode rope = node.part(old ? "rope_scaling" : "rope_parameters");
  const double theta = node.number("rope_theta", 1e6, 1e-6, 1e12);
  text.theta = rope.number("rope_theta", theta, 1e-6, 1e12);
  text.sections = whole_list(rope, "mrope_section", {16, 24, 24});
  nn::RopeScaling& scaling = text.scaling;
  scaling.type = rope.text("rope_type", rope.text("type", "default"));
  if (scaling.type == "mrope") scaling.type = "default";
  if (scaling.type != "default" && scaling.type != "linear" && scaling.type != "yarn") {
    wrong_config(rope.path + "rope_type", "default, mrope, linear or yarn", json(scaling.type));
  }
  scaling.factor = rope.number("factor", 1, 1e-6, 1e6);
  scaling.trained = rope.whole("original_max_position_embeddings", text.context_length, 1, 1 << 30);
  scaling.beta_fast = rope.number("beta_fast", 32);
  scaling.beta_slow = rope.number("beta_slow", 1);
  scaling.attention = rope.number("attention_factor", 0);
  scaling.mscale = rope.number("mscale", 0);
  scaling.mscale_all = rope.number("mscale_all_dim", 0);
  scaling.truncate = rope.flag("truncate", true);
}

void read_text(const ConfigNode& node, TextConfig& text) {
  text.vocab_size = node.whole("vocab_size", 152064, 1, most_ids);
  text.width = node.whole("hidden_size", 8192, 1, 65536);
  text.mlp = node.whole("intermediate_size", 29568, 1, 1 << 20);
  text.layers = node.whole("num_hidden_layers", 80, 1, 1024);
  text.heads = node.whole("num_attention_heads", 64, 1, 65536);
  const json* kv = node.find("num_key_value_heads");
  const bool null_kv = kv == nullptr && node.value->contains("num_key_value_heads");
  text.kv_heads = node.whole("num_key_value_heads", null_kv ? text.heads : 8, 1, 65536);
  text.activation = activation_in(node, "silu");
  text.rms_norm_eps = node.number("rms_norm_eps", 1e-5, 0, 1);
  text.context_length = node.whole("max_position_embeddings", 32768, 1, 1 << 24);
  text.sliding = read_sliding(node, text.layers, 80);
  read_rope(node, text);
}

// --- The tower -----------------------------------------------------------------------------------

void read_vision(const ConfigNode& node, Config& c) {
  VisionConfig& v = c.vision;
  const bool two = c.version == Version::two;
  v.layers = node.whole("depth", 32, 1, 1024);
  v.width =
      two ? node.whole("embed_dim", 1280, 1, 65536) : node.whole("hidden_size", 3584, 1, 65536);
  v.heads = node.whole("num_heads", 16, 1, 65536);
  v.activation = activation_in(node, two ? "quick_gelu" : "silu");
  v.mlp = two ? static_cast<std::int64_t>(static_cast<double>(v.width) *
                                          node.number("mlp_ratio", 4, 1e-3, 1024))
              : node.whole("intermediate_size", 3420, 1, 1 << 20);
  v.channels = node.whole("in_channels", 3, 1, 64);
  v.patch.patch = node.side("patch_size", 14);
  v.patch.merge = node.whole("spatial_merge_size", 2, 1, 64);
  v.patch.frames = node.side("temporal_patch_size", 2);
  v.theta = node.part("rope_parameters").number("rope_theta", 10000, 1e-6, 1e12);
  const char* out_name = two ? "hidden_size" : "out_hidden_size";
  const std::int64_t out = node.whole(out_name, 3584, 1, 65536);
  if (out != c.text.width) {
    throw Error(ErrorKind::config, "config.json: " + node.path + out_name +
                                       ": expected the language model's hidden_size, " +
                                       std::to_string(c.text.width) + "; got " +
                                       std::to_string(out));
  }
  if (two) return;
  v.window = node.whole("window_size", 112, 1, 1 << 20);
  v.full_attention = whole_list(node, "fullatt_block_indexes", {7, 15, 23, 31});
  c.tokens_per_second = node.whole("tokens_per_second", 4, 0, 1000);
}

// An id that may be a list of ids, of which the first counts; -1 where there is none.
std::int64_t id_of(const ConfigNode& node, const std::string& name) {
  const json* found = node.find(name);
  if (found == nullptr) return -1;
  if (found->is_array()) {
    return found->empty() || !found->front().is_number_integer()
               ? -1
               : found->front().get<std::int64_t>();
  }
  return node.whole(name, -1, -1, most_ids);
}

}  // namespace

std::unique_ptr<Settings> from_config_json(Version version, const std::string& text) {
  const json root = parse_config(text, "config.json");
  auto config = std::make_unique<Config>(version);
  const ConfigNode top{&root, ""};
  const bool nested = top.find("text_config") != nullptr;
  const ConfigNode language = nested ? top.part("text_config") : top;
  read_text(language, config->text);
  // Older saves have it inside text_config; either is enough.
  config->text.tied =
      top.flag("tie_word_embeddings", false) || language.flag("tie_word_embeddings", false);
  read_vision(top.part("vision_config"), *config);
  Marks& marks = config->marks;
  marks.image = top.whole("image_token_id", 151655, 0, most_ids);
  marks.video = top.whole("video_token_id", 151656, 0, most_ids);
  marks.vision_start = top.whole("vision_start_token_id", 151652, 0, most_ids);
  marks.vision_end = top.whole("vision_end_token_id", 151653, 0, most_ids);
  marks.end = id_of(language, "eos_token_id");
  marks.pad = id_of(language, "pad_token_id");
  config->dialogue.chat = top.part("tandem").text("chat", config->dialogue.chat);
  config->rope_after_video = top.text("rope_after_video", "qwen");
  if (config->rope_after_video != "qwen" && config->rope_after_video != "transformers5") {
    wrong_config("rope_after_video", "qwen or transformers5", *top.find("rope_after_video"));
  }
  Config checked = *config;  // marks that a small vocabulary does not have matter to no one yet
  checked.marks = {};
  for (const auto& [field, what] : problems(checked)) {
    throw Error(ErrorKind::config, "config.json: " + field + ": " + what);
  }
  return config;
}

void read_text_sizes(Config& config, const std::string& folder) {
  const std::filesystem::path file = std::filesystem::path(folder) / "config.json";
  std::error_code error;
  if (folder.empty() || !std::filesystem::is_regular_file(file, error)) return;
  const json root = parse_config(read_file(file, std::int64_t{1} << 24), file.string());
  const ConfigNode node{&root, ""};
  if (const std::string kind = node.text("model_type", "qwen2"); kind != "qwen2") {
    wrong_config("model_type", "qwen2", json(kind));
  }
  const TextConfig before = config.text;
  config.text = {};
  read_text(node, config.text);
  config.text.theta = node.part("rope_parameters")
                          .number("rope_theta", node.number("rope_theta", 10000), 1e-6, 1e12);
  config.text.rms_norm_eps = node.number("rms_norm_eps", 1e-6, 0, 1);
  config.text.sliding = read_sliding(node, config.text.layers, 28);
  config.text.sections = before.sections;
  config.text.context_length = before.context_length;
  config.text.tied = node.flag("tie_word_embeddings", false);
}

namespace {

json rope_json(const TextConfig& t) {
  json rope = {{"type", t.scaling.type == "default" ? "mrope" : t.scaling.type},
               {"mrope_section", t.sections}};
  if (t.scaling.type == "default") return rope;
  rope["factor"] = t.scaling.factor;
  rope["original_max_position_embeddings"] = t.scaling.trained;
  if (t.scaling.type == "linear") return rope;
  rope["beta_fast"] = t.scaling.beta_fast;
  rope["beta_slow"] = t.scaling.beta_slow;
  if (t.scaling.attention > 0) rope["attention_factor"] = t.scaling.attention;
  if (t.scaling.mscale > 0) rope["mscale"] = t.scaling.mscale;
  if (t.scaling.mscale_all > 0) rope["mscale_all_dim"] = t.scaling.mscale_all;
  rope["truncate"] = t.scaling.truncate;
  return rope;
}

json vision_json(const Config& c) {
  const VisionConfig& v = c.vision;
  json vision = {{"model_type", family_of(c.version)},
                 {"depth", v.layers},
                 {"num_heads", v.heads},
                 {"hidden_act", v.activation},
                 {"in_channels", v.channels},
                 {"in_chans", v.channels},
                 {"patch_size", v.patch.patch},
                 {"spatial_patch_size", v.patch.patch},
                 {"spatial_merge_size", v.patch.merge},
                 {"temporal_patch_size", v.patch.frames}};
  if (v.theta != 10000)
    vision["rope_parameters"] = {{"rope_type", "axial"}, {"rope_theta", v.theta}};
  if (c.version == Version::two) {
    vision["embed_dim"] = v.width;
    vision["hidden_size"] = c.text.width;
    if (v.hidden() % v.width == 0) {
      vision["mlp_ratio"] = v.hidden() / v.width;
    } else {  // half an entry more, as the reader cuts the product
      vision["mlp_ratio"] = (static_cast<double>(v.hidden()) + 0.5) / static_cast<double>(v.width);
    }
    return vision;
  }
  vision["model_type"] = "qwen2_5_vl";
  vision["hidden_size"] = v.width;
  vision["out_hidden_size"] = c.text.width;
  vision["intermediate_size"] = v.hidden();
  vision["window_size"] = v.window;
  vision["fullatt_block_indexes"] = v.full_attention;
  vision["tokens_per_second"] = c.tokens_per_second;
  return vision;
}

}  // namespace

// Flat, as on the hub: transformers reads it and so do those who read the hub's files.
std::string to_config_json(const Settings& settings) {
  const Config& c = config_of(settings);
  const TextConfig& t = c.text;
  json root = {{"architectures", {class_of(c.version)}},
               {"model_type", c.version == Version::two ? "qwen2_vl" : "qwen2_5_vl"},
               {"vocab_size", t.vocab_size},
               {"hidden_size", t.width},
               {"intermediate_size", t.mlp},
               {"num_hidden_layers", t.layers},
               {"num_attention_heads", t.heads},
               {"num_key_value_heads", t.kv_heads},
               {"hidden_act", t.activation},
               {"rms_norm_eps", t.rms_norm_eps},
               {"max_position_embeddings", t.context_length},
               {"rope_theta", t.theta},
               {"rope_scaling", rope_json(t)},
               {"attention_dropout", 0.0},
               {"initializer_range", 0.02},
               {"tie_word_embeddings", t.tied},
               {"torch_dtype", "float32"},
               {"vision_config", vision_json(c)}};
  write_sliding(root, t.sliding, t.layers);
  for (const auto& [name, id] : {std::pair{"image_token_id", c.marks.image},
                                 {"video_token_id", c.marks.video},
                                 {"vision_start_token_id", c.marks.vision_start},
                                 {"vision_end_token_id", c.marks.vision_end},
                                 {"eos_token_id", c.marks.end},
                                 {"pad_token_id", c.marks.pad}}) {
    if (id >= 0) root[name] = id;
  }
  if (c.rope_after_video != "qwen") root["rope_after_video"] = c.rope_after_video;
  root["tandem"] = {{"chat", c.dialogue.chat}};
  return root.dump(2) + "\n";
}

std::vector<std::pair<std::string, std::string>> processor_files(const Settings& settings) {
  const Config& c = config_of(settings);
  json root = processor_json(c.image);
  root["image_processor_type"] = "Qwen2VLImageProcessor";
  root["processor_class"] = c.version == Version::two ? "Qwen2VLProcessor" : "Qwen2_5_VLProcessor";
  root["patch_size"] = c.vision.patch.patch;
  root["merge_size"] = c.vision.patch.merge;
  root["temporal_patch_size"] = c.vision.patch.frames;
  root["min_pixels"] = static_cast<std::int64_t>(c.dialogue.min_pixels);
  root["max_pixels"] = static_cast<std::int64_t>(c.dialogue.max_pixels);
  root["size"] = {{"shortest_edge", root["min_pixels"]}, {"longest_edge", root["max_pixels"]}};
  return {{"preprocessor_config.json", root.dump(2) + "\n"}};
}

void read_processor_file(Settings& settings, const std::string& text) {
  auto& config = dynamic_cast<Config&>(settings);
  read_processor(config.image, text);
  const json root = parse_config(text, "preprocessor_config.json");
  const ConfigNode top{&root, ""};
  const ConfigNode size = top.part("size");
  DialogueConfig& d = config.dialogue;
  d.min_pixels = top.number("min_pixels", size.number("shortest_edge", d.min_pixels), 1, 1e9);
  d.max_pixels = top.number("max_pixels", size.number("longest_edge", d.max_pixels), 1, 1e9);
}

}  // namespace tandem::models::qwen2_vl
