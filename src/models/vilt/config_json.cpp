// config.json and preprocessor_config.json as transformers writes and reads them. Absent keys have
// the defaults of transformers 5.17's ViltConfig and ViltImageProcessor. Which parts stand on top
// follows from the class, and so does what the class does not ask config.json for.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "models/config_node.h"
#include "models/vilt/config.h"
#include "tandem/base/error.h"
#include "tandem/nn/mlp.h"

namespace tandem::models::vilt {
namespace {

using nlohmann::json;

struct Class {
  std::string name;
  std::vector<std::string> parts;
};

const std::vector<Class>& table() {
  static const std::vector<Class> all{{"ViLTransformerSS", {"mlm", "itm"}},
                                      {"ViltModel", {}},
                                      {"ViltForMaskedLM", {"mlm"}},
                                      {"ViltForQuestionAnswering", {"vqa"}},
                                      {"ViltForImagesAndTextClassification", {"nlvr2"}},
                                      {"ViltForImageAndTextRetrieval", {"rank"}},
                                      {"ViltForTokenClassification", {"tokens"}}};
  return all;
}

const Class& class_of(const std::string& name) {
  for (const Class& one : table()) {
    if (one.name == name) return one;
  }
  throw Error(ErrorKind::config, "config.json: architectures: expected a class of ViLT; got " +
                                     (name.empty() ? "none" : name));
}

// What our own exports say beside the keys of ViltConfig: parts that no class of transformers has
// together, and the second epsilon.
void read_own(const ConfigNode& top, Config& c) {
  if (top.find("tandem") == nullptr) return;
  const ConfigNode own = top.part("tandem");
  if (const json* parts = own.find("parts")) {
    c.parts.clear();
    for (const json& part : *parts) {
      if (!part.is_string()) wrong_config("tandem.parts", "names", *parts);
      c.parts.push_back(part.get<std::string>());
    }
  }
  c.tied = own.flag("tied", c.tied);
  c.layer_norm_eps = own.number("layer_norm_eps", c.layer_norm_eps, 1e-30, 1);
  c.text.layer_norm_eps = own.number("text_layer_norm_eps", c.text.layer_norm_eps, 1e-30, 1);
  c.text.unlearned = own.whole("unlearned", c.text.unlearned, -1, 10'000'000);
  c.text.pad_id = own.whole("pad_id", c.text.pad_id, -1, 10'000'000);
}

void read_transformer(const ConfigNode& top, Config& c) {
  c.width = top.whole("hidden_size", 768, 1, 65536);
  c.layers = top.whole("num_hidden_layers", 12, 1, 1024);
  c.heads = top.whole("num_attention_heads", 12, 1, 65536);
  c.mlp = top.whole("intermediate_size", 3072, 1, 1 << 20);
  c.qkv_bias = top.flag("qkv_bias", true);
  c.dropout = top.number("hidden_dropout_prob", 0, 0, 1);
  c.attention_dropout = top.number("attention_probs_dropout_prob", 0, 0, 1);
  c.activation = top.text("hidden_act", "gelu");
  if (nn::activation_of(c.activation) == nullptr) {
    wrong_config("hidden_act", "an activation", *top.find("hidden_act"));
  }
  c.layer_norm_eps = c.text.layer_norm_eps = top.number("layer_norm_eps", 1e-12);
  if (!(c.layer_norm_eps > 0 && c.layer_norm_eps <= 1)) {
    wrong_config("layer_norm_eps", "a number above 0", *top.find("layer_norm_eps"));
  }
}

void read_inputs(const ConfigNode& top, Config& c) {
  c.image_size = top.side("image_size", 384);
  c.patch_size = top.side("patch_size", 32);
  if (top.whole("num_channels", 3, 1, 4096) != 3) {
    wrong_config("num_channels", "3", *top.find("num_channels"));
  }
  c.most_patches =
      std::max<std::int64_t>(top.whole("max_image_length", -1, -1'000'000'000, 1'000'000'000), -1);
  c.modalities = top.whole("modality_type_vocab_size", 2, 1, 65536);
  c.text.vocab_size = top.whole("vocab_size", 30522, 1, 10'000'000);
  c.text.context_length = top.whole("max_position_embeddings", 40, 1, 65536);
  c.text.types = top.whole("type_vocab_size", 2, 1, 65536);
  c.text.unlearned = top.whole("pad_token_id", -1, -1, 10'000'000);
  c.text.pad_id = std::max<std::int64_t>(c.text.unlearned, 0);
}

// The names where every label from 0 on has one of its own; else none.
std::vector<std::string> answer_names(const json& map) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < map.size(); ++i) {
    const auto found = map.find(std::to_string(i));
    if (found == map.end() || !found->is_string()) return {};
    names.push_back(found->get<std::string>());
  }
  return names;
}

std::string name_of_answer(const Config& c, std::int64_t label) {
  const auto at = static_cast<std::size_t>(label);
  if (at < c.answers.size()) return c.answers[at];
  if (c.has("nlvr2") && c.classes() == 2) return label == 1 ? "True" : "False";
  return "LABEL_" + std::to_string(label);
}

void read_labels(const ConfigNode& top, Config& c) {
  const bool classifies = c.has("vqa") || c.has("nlvr2") || c.has("tokens");
  c.labels = classifies ? top.whole("num_labels", 2, 1, 10'000'000) : 0;
  if (const json* names = top.find("id2label")) {
    if (!names->is_object() || names->empty()) wrong_config("id2label", "a map", *names);
    if (classifies) {
      c.labels = static_cast<std::int64_t>(names->size());
      c.answers = answer_names(*names);
    }
  }
  const std::int64_t pictures = top.whole("num_images", -1, -1, 64);
  if (c.has("nlvr2") && pictures < 1) {
    wrong_config("num_images", "1 or more", json(pictures));
  }
  c.pictures = std::max<std::int64_t>(pictures, 1);
}

// What the original does whatever the config says.
void as_original(Config& c) {
  c.layer_norm_eps = 1e-6;
  c.text.layer_norm_eps = 1e-12;
  c.activation = "gelu";
  c.tied = false;
  c.text.unlearned = 0;  // BertConfig's pad_token_id
}

std::string name_for(const Config& c) {
  for (const Class& one : table()) {
    if (one.parts == c.parts && !(c.has("mlm") && !c.tied)) return one.name;
  }
  return table().front().name;
}

}  // namespace

std::vector<std::string> classes() {
  std::vector<std::string> names;
  for (const Class& one : table()) names.push_back(one.name);
  return names;
}

std::unique_ptr<Settings> from_config_json(const std::string& text) {
  const json root = parse_config(text, "config.json");
  auto config = std::make_unique<Config>();
  const ConfigNode top{&root, ""};
  const Class& made_by = class_of(architecture_of(root));
  config->parts = made_by.parts;
  config->tied = true;
  read_transformer(top, *config);
  read_inputs(top, *config);
  if (made_by.name == "ViLTransformerSS") as_original(*config);
  read_own(top, *config);
  read_labels(top, *config);
  for (const auto& [field, what] : problems(*config)) {
    throw Error(ErrorKind::config, "config.json: " + field + ": " + what);
  }
  return config;
}

std::string to_config_json(const Settings& settings) {
  const Config& c = config_of(settings);
  json root = {{"architectures", {name_for(c)}},
               {"model_type", "vilt"},
               {"dtype", "float32"},
               {"vocab_size", c.text.vocab_size},
               {"type_vocab_size", c.text.types},
               {"modality_type_vocab_size", c.modalities},
               {"max_position_embeddings", c.text.context_length},
               {"hidden_size", c.width},
               {"num_hidden_layers", c.layers},
               {"num_attention_heads", c.heads},
               {"intermediate_size", c.hidden()},
               {"hidden_act", c.activation},
               {"hidden_dropout_prob", c.dropout},
               {"attention_probs_dropout_prob", c.attention_dropout},
               {"layer_norm_eps", c.layer_norm_eps},
               {"image_size", c.image_size},
               {"patch_size", c.patch_size},
               {"num_channels", 3},
               {"qkv_bias", c.qkv_bias},
               {"max_image_length", c.most_patches},
               {"num_images", c.has("nlvr2") ? c.pictures : -1},
               {"tie_word_embeddings", true}};
  if (c.text.unlearned >= 0) root["pad_token_id"] = c.text.unlearned;
  if (c.has("vqa") || c.has("nlvr2") || c.has("tokens")) {
    json names = json::object();
    json places = json::object();
    for (std::int64_t i = 0; i < c.classes(); ++i) {
      const std::string name = name_of_answer(c, i);
      names[std::to_string(i)] = name;
      places[name] = i;
    }
    root["id2label"] = names;
    root["label2id"] = places;
  }
  root["tandem"] = {{"parts", c.parts},
                    {"tied", c.tied},
                    {"layer_norm_eps", c.layer_norm_eps},
                    {"text_layer_norm_eps", c.text.layer_norm_eps},
                    {"unlearned", c.text.unlearned},
                    {"pad_id", c.text.pad_id}};
  return root.dump(2) + "\n";
}

std::vector<std::pair<std::string, std::string>> processor_files(const Settings& settings) {
  const Config& c = config_of(settings);
  const json root = {{"image_processor_type", "ViltImageProcessor"},
                     {"processor_class", "ViltProcessor"},
                     {"do_resize", true},
                     {"size", {{"shortest_edge", c.image.size > 0 ? c.image.size : c.image_size}}},
                     {"size_divisor", c.image.multiple > 0 ? c.image.multiple : c.patch_size},
                     {"resample", c.image.interpolation == "bilinear" ? 2 : 3},
                     {"do_rescale", true},
                     {"rescale_factor", 1.0 / 255},
                     {"do_normalize", true},
                     {"image_mean", c.image.mean},
                     {"image_std", c.image.std},
                     {"do_pad", true}};
  return {{"preprocessor_config.json", root.dump(2) + "\n"}};
}

void read_processor_file(Settings& settings, const std::string& text) {
  auto& config = dynamic_cast<Config&>(settings);
  const json root = parse_config(text, "preprocessor_config.json");
  const ConfigNode top{&root, "preprocessor_config.json: "};
  config.image.mean = top.three("image_mean", config.image.mean);
  const std::vector<double> std = top.three("image_std", config.image.std);
  if (*std::min_element(std.begin(), std.end()) <= 0) {
    wrong_config("image_std", "numbers above 0", *top.find("image_std"));
  }
  config.image.std = std;
  const json* size = top.find("size");
  if (size != nullptr && size->is_object()) {
    config.image.size = top.part("size").whole("shortest_edge", 384, 1, 4096);
  } else {
    config.image.size = top.whole("size", 384, 1, 4096);
  }
  config.image.multiple = top.whole("size_divisor", 32, 1, 4096);
  const std::int64_t resample = top.whole("resample", 3, 0, 5);
  if (resample != 2 && resample != 3) {
    wrong_config("resample", "2 (bilinear) or 3 (bicubic)", *top.find("resample"));
  }
  config.image.interpolation = resample == 2 ? "bilinear" : "bicubic";
}

}  // namespace tandem::models::vilt
