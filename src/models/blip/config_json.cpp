// config.json and preprocessor_config.json as transformers writes and reads them. Absent keys have
// the defaults of transformers 5.17's BlipTextConfig, BlipVisionConfig and BlipConfig. What
// BLIP_Pretrain adds: queue_size, momentum, temp, alpha, text_config.enc_token_id.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "models/blip/config.h"
#include "models/config_node.h"
#include "models/processor_file.h"
#include "tandem/base/error.h"

namespace tandem::models::blip {
namespace {

using nlohmann::json;

constexpr std::int64_t most_words = 10'000'000;

void read_tower(const ConfigNode& node, Tower& t, std::int64_t heads, double eps) {
  t.width = node.whole("hidden_size", 768, 1, 65536);
  t.layers = node.whole("num_hidden_layers", 12, 1, 1024);
  t.heads = node.whole("num_attention_heads", heads, 1, 65536);
  t.mlp = node.whole("intermediate_size", 3072, 1, 1 << 20);
  t.layer_norm_eps = node.number("layer_norm_eps", eps, 0, 1);
  t.activation = node.text("hidden_act", "gelu");
  if (nn::activation_of(t.activation) == nullptr) {
    wrong_config(node.path + "hidden_act", "gelu, quick_gelu, gelu_new, relu, silu or tanh",
                 *node.find("hidden_act"));
  }
}

void read_text(const ConfigNode& t, TextConfig& text, bool pretrain) {
  read_tower(t, text, 8, 1e-12);
  text.vocab_size = t.whole("vocab_size", 30524, 1, most_words);
  text.positions = t.whole("max_position_embeddings", 512, 1, 65536);
  text.context_length =
      t.whole("context_length", std::min<std::int64_t>(text.positions, 30), 1, text.positions);
  text.bos_id = t.id("bos_token_id", 30522);
  text.sep_id = t.id("sep_token_id", 102);
  text.pad_id = t.id("pad_token_id", 0);
  text.enc_id = t.id("enc_token_id", text.bos_id < 0 ? -1 : text.bos_id + 1);
  text.cls_id = t.id("cls_token_id", -1);
  text.cross_attention = t.flag("is_decoder", true);
  text.dropout = t.number("hidden_dropout_prob", pretrain ? 0.1 : 0, 0, 1);
  text.attention_dropout = t.number("attention_probs_dropout_prob", pretrain ? 0.1 : 0, 0, 1);
  text.label_smoothing = t.number("label_smoothing", 0, 0, 1);
  // The original's pre-training has 0.1 in its code, whatever a config.json says (Hugging Face's
  // default is 0); ours says under its own name what it was trained with.
  if (pretrain) text.label_smoothing = t.number("lm_label_smoothing", 0.1, 0, 1);
}

Kind kind_of(const json& root) {
  const std::string name = architecture_of(root);
  for (int i = 0; i < 7; ++i) {
    if (class_of(static_cast<Kind>(i)) == name) return static_cast<Kind>(i);
  }
  return Kind::retrieval;
}

const std::string& name_of(Kind kind) {
  static const std::vector<std::string> names{"pretrain", "captioning", "answering", "retrieval",
                                              "contrast", "reasoning",  "matching"};
  return names.at(static_cast<std::size_t>(kind));
}

json tower_json(const Tower& t) {
  return {{"hidden_size", t.width},        {"intermediate_size", t.hidden()},
          {"num_hidden_layers", t.layers}, {"num_attention_heads", t.heads},
          {"hidden_act", t.activation},    {"layer_norm_eps", t.layer_norm_eps}};
}

json text_json(const Config& c) {
  json text = tower_json(c.text);
  text["model_type"] = "blip_text_model";
  text["vocab_size"] = c.text.vocab_size;
  text["max_position_embeddings"] = c.text.positions;
  text["context_length"] = c.text.context_length;
  text["encoder_hidden_size"] = c.vision.width;
  text["is_decoder"] = c.text.cross_attention;
  text["hidden_dropout_prob"] = c.text.dropout;
  text["attention_probs_dropout_prob"] = c.text.attention_dropout;
  text["label_smoothing"] = c.text.label_smoothing;
  if (c.the_kind() == Kind::pretrain) text["lm_label_smoothing"] = c.text.label_smoothing;
  for (const auto& [name, id] : {std::pair{"bos_token_id", c.text.bos_id},
                                 {"sep_token_id", c.text.sep_id},
                                 {"pad_token_id", c.text.pad_id},
                                 {"enc_token_id", c.text.enc_id},
                                 {"cls_token_id", c.text.cls_id}}) {
    if (id >= 0) text[name] = id;
  }
  return text;
}

}  // namespace

std::unique_ptr<Settings> from_config_json(const std::string& text) {
  const json root = parse_config(text, "config.json");
  auto config = std::make_unique<Config>();
  const ConfigNode top{&root, ""};
  const Kind kind = kind_of(root);
  config->kind = name_of(kind);
  config->embed_dim = top.whole("image_text_hidden_size", 256, 1, 65536);
  config->projection_dim = top.whole("projection_dim", 512, 1, 65536);
  config->logit_scale_init = top.number("logit_scale_init_value", 2.6592);
  config->queue = top.whole("queue_size", 57600, 1, 1 << 24);
  config->momentum = top.number("momentum", 0.995, 0, 1);
  config->temperature = top.number("temp", 0.07);
  config->alpha = top.number("alpha", 0.4, 0, 1);
  config->alpha_ramp = top.whole("alpha_ramp", 0, 0, std::int64_t{1} << 40);
  config->prompt = top.text("prompt", "");

  const ConfigNode v = top.part("vision_config");
  const bool original = kind == Kind::pretrain || kind == Kind::reasoning || kind == Kind::matching;
  read_tower(v, config->vision, 12, original ? 1e-6 : 1e-5);
  config->vision.image_size = v.side("image_size", 384);
  config->vision.patch_size = v.side("patch_size", 16);
  config->vision.drop_path = v.number("drop_path", 0, 0, 1);
  const ConfigNode t = top.part("text_config");
  read_text(t, config->text, original);
  config->text.clean = top.flag("clean_captions", true);
  config->text.words = top.whole("max_words", 0, 0, 65536);
  // The class and its decoder each look at their own: either is enough.
  config->tied =
      original || top.flag("tie_word_embeddings", true) || t.flag("tie_word_embeddings", true);
  for (const auto& [field, what] : problems(*config)) {
    throw Error(ErrorKind::config, "config.json: " + field + ": " + what);
  }
  return config;
}

std::string to_config_json(const Settings& settings) {
  const Config& c = config_of(settings);
  json vision = tower_json(c.vision);
  vision["model_type"] = "blip_vision_model";
  vision["image_size"] = c.vision.image_size;
  vision["patch_size"] = c.vision.patch_size;
  vision["attention_dropout"] = 0.0;
  if (c.vision.drop_path > 0) vision["drop_path"] = c.vision.drop_path;
  json root = {{"architectures", {class_of(c.the_kind())}},
               {"model_type", "blip"},
               {"image_text_hidden_size", c.embed_dim},
               {"projection_dim", c.projection_dim},
               {"logit_scale_init_value", c.logit_scale_init},
               {"tie_word_embeddings", c.tied},
               {"dtype", "float32"},
               {"text_config", text_json(c)},
               {"vision_config", vision}};
  if (!c.tied) root["text_config"]["tie_word_embeddings"] = false;
  if (!c.prompt.empty()) root["prompt"] = c.prompt;
  if (!c.text.clean) root["clean_captions"] = false;
  if (c.text.words > 0) root["max_words"] = c.text.words;
  if (c.copies()) {
    root["queue_size"] = c.queue;
    root["momentum"] = c.momentum;
    root["temp"] = c.temperature;
    root["alpha"] = c.alpha;
    root["alpha_ramp"] = c.alpha_ramp;
  }
  return root.dump(2) + "\n";
}

std::vector<std::pair<std::string, std::string>> processor_files(const Settings& settings) {
  json root = squeezing_json(config_of(settings).image_settings());
  root["image_processor_type"] = "BlipImageProcessor";
  root["processor_class"] = "BlipProcessor";
  return {{"preprocessor_config.json", root.dump(2) + "\n"}};
}

void read_processor_file(Settings& settings, const std::string& text) {
  read_processor(dynamic_cast<Config&>(settings).image, text);
}

}  // namespace tandem::models::blip
