// config.json under the names that the original code gives its arguments (there is no Hugging Face
// class), and preprocessor_config.json. Absent keys have the original's defaults, those of
// vlmo_base_patch16.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "models/config_node.h"
#include "models/processor_file.h"
#include "models/vlmo/config.h"
#include "tandem/base/error.h"

namespace tandem::models::vlmo {
namespace {

using nlohmann::json;

constexpr std::int64_t most_numbers = 65536;

// null says "no LayerScale"; an absent key is the default.
double layer_scale_of(const json& root, const ConfigNode& top) {
  const auto found = root.find("layer_scale_init_values");
  if (found == root.end()) return 0.1;
  if (found->is_null()) return -1;
  return top.number("layer_scale_init_values", 0.1, 0, 1e6);
}

// How many answers, and their names where the file says them.
void read_answers(const ConfigNode& top, Config& c) {
  c.labels = top.whole("vqav2_label_size", 0, 0, 10'000'000);
  const json* names = top.find("id2label");
  if (names == nullptr) return;
  if (!names->is_object()) wrong_config("id2label", "a map", *names);
  for (std::size_t i = 0; i < names->size(); ++i) {
    const auto found = names->find(std::to_string(i));
    if (found == names->end() || !found->is_string()) wrong_config("id2label", "names", *names);
    c.answers.push_back(found->get<std::string>());
  }
}

}  // namespace

std::unique_ptr<Settings> from_config_json(const std::string& text) {
  const json root = parse_config(text, "config.json");
  const ConfigNode top{&root, ""};
  auto config = std::make_unique<Config>();
  Config& c = *config;
  c.image_size = top.side("img_size", 224);
  c.patch_size = top.side("patch_size", 16);
  c.width = top.whole("embed_dim", 768, 1, most_numbers);
  c.layers = top.whole("depth", 12, 1, 1024);
  c.heads = top.whole("num_heads", 12, 1, most_numbers);
  c.mlp_ratio = top.number("mlp_ratio", 4.0, 1e-6, 64);
  c.joint_from = top.whole("vlffn_start_layer_index", 10, 0, 1024);
  c.context_length = top.whole("max_text_len", 40, 1, most_numbers);
  c.longest_text = top.whole("max_text_len_of_initckpt", 196, 2, most_numbers);
  c.vocab_size = top.whole("vocab_size", 30522, 1, 10'000'000);
  c.pad_id = top.whole("pad_token_id", 0, 0, 10'000'000);
  c.layer_scale = layer_scale_of(root, top);
  c.absolute_positions = top.flag("use_abs_pos_emb", false);
  c.relative_positions = top.flag("need_relative_position_embed", true);
  c.drop_path = top.number("drop_path_rate", 0.1, 0, 0.999);
  c.codes = top.whole("mim_codes", 8192, 2, 1 << 20);
  read_answers(top, c);
  // The original builds the last layers' experts by index: a start behind the last layer is the
  // same as none.
  c.joint_from = std::min(c.joint_from, c.layers);
  for (const auto& [field, what] : problems(c)) {
    throw Error(ErrorKind::config, "config.json: " + field + ": " + what);
  }
  return config;
}

std::string to_config_json(const Settings& settings) {
  const Config& c = config_of(settings);
  json root = {{"architectures", {"VLMo"}},
               {"model_type", "vlmo"},
               {"img_size", c.image_size},
               {"patch_size", c.patch_size},
               {"embed_dim", c.width},
               {"depth", c.layers},
               {"num_heads", c.heads},
               {"mlp_ratio", c.mlp_ratio},
               {"vlffn_start_layer_index", c.joint_from},
               {"max_text_len", c.context_length},
               {"max_text_len_of_initckpt", c.longest_text},
               {"vocab_size", c.vocab_size},
               {"pad_token_id", std::max<std::int64_t>(c.pad_id, 0)},
               {"layer_scale_init_values", c.layer_scale},
               {"use_abs_pos_emb", c.absolute_positions},
               {"need_relative_position_embed", c.relative_positions},
               {"drop_path_rate", c.drop_path},
               {"mim_codes", c.codes}};
  if (c.labels > 0) root["vqav2_label_size"] = c.labels;  // the original's name
  for (std::size_t i = 0; i < c.answers.size(); ++i) {
    root["id2label"][std::to_string(i)] = c.answers[i];
  }
  if (c.layer_scale < 0) root["layer_scale_init_values"] = nullptr;
  return root.dump(2) + "\n";
}

std::vector<std::pair<std::string, std::string>> processor_files(const Settings& settings) {
  const vision::ImageSettings image = config_of(settings).image_settings();
  json root = processor_json(image);
  root["size"] = {{"height", image.size}, {"width", image.size}};
  return {{"preprocessor_config.json", root.dump(2) + "\n"}};
}

void read_processor_file(Settings& settings, const std::string& text) {
  read_processor(dynamic_cast<Config&>(settings).image, text);
}

}  // namespace tandem::models::vlmo
