// config.json and preprocessor_config.json as transformers writes and reads them. Absent keys have
// the defaults of transformers 5.17's Blip2Config, OPTConfig and T5Config. What the first stage
// adds: temp, label_smoothing, max_txt_len, qformer_config.bos_token_id, and where it differs
// vision_config.post_layer_norm_eps.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "models/blip2/config.h"
#include "models/config_node.h"
#include "models/processor_file.h"
#include "tandem/base/error.h"

namespace tandem::models::blip2 {
namespace {

using nlohmann::json;

constexpr std::int64_t word_limit = 10'000'000, width_limit = 65536, depth_limit = 1024;

std::string activation_in(const ConfigNode& node, const std::string& name,
                          const std::string& fallback) {
  const std::string found = node.text(name, fallback);
  if (nn::activation_of(found) == nullptr) {
    wrong_config(node.path + name, "gelu, quick_gelu, gelu_new, relu, silu or tanh", json(found));
  }
  return found;
}

// The defaults of one of Hugging Face's towers.
struct TowerDefaults {
  std::int64_t width, layers, heads, mlp;
  double eps;
};

void read_tower(const ConfigNode& node, Tower& t, const TowerDefaults& d) {
  t.width = node.whole("hidden_size", d.width, 1, width_limit);
  t.layers = node.whole("num_hidden_layers", d.layers, 1, depth_limit);
  t.heads = node.whole("num_attention_heads", d.heads, 1, width_limit);
  t.mlp = node.whole("intermediate_size", d.mlp, 1, 1 << 20);
  t.layer_norm_eps = node.number("layer_norm_eps", d.eps, 0, 1);
  t.activation = activation_in(node, "hidden_act", "gelu");
}

// The marks that end a text: one or a list.
void read_ends(const ConfigNode& node, LanguageConfig& c, std::int64_t fallback) {
  c.more_ends.clear();
  const json* found = node.find("eos_token_id");
  if (found == nullptr || !found->is_array()) {
    c.eos_id = node.id("eos_token_id", fallback);
    return;
  }
  c.eos_id = -1;
  for (const json& one : *found) {
    const json inner = {{"eos_token_id", one}};
    const std::int64_t id = ConfigNode{&inner, node.path}.whole("eos_token_id", -1, 0, word_limit);
    if (c.eos_id < 0) {
      c.eos_id = id;
    } else {
      c.more_ends.push_back(id);
    }
  }
}

void read_vision(const ConfigNode& v, VisionConfig& vision, bool original) {
  read_tower(v, vision, {1408, 39, 16, 6144, 1e-6});
  vision.image_size = v.side("image_size", 224);
  vision.patch_size = v.side("patch_size", 14);
  vision.qkv_bias = v.flag("qkv_bias", true);
  warn_of_dropout(v, "attention_dropout");
  vision.drop_path = v.number("drop_path", 0, 0, 1);
  vision.clip = v.flag("clip", false);
  vision.last_norm_eps = v.number("post_layer_norm_eps", original ? 1e-5 : 0, 0, 1);
}

void read_qformer(const ConfigNode& q, QFormerConfig& qformer, Kind kind) {
  read_tower(q, qformer, {768, 12, 12, 3072, 1e-12});
  qformer.vocab_size = q.whole("vocab_size", kind == Kind::pretrain ? 30523 : 30522, 1, word_limit);
  qformer.positions = q.whole("max_position_embeddings", 512, 1, width_limit);
  qformer.cross_every = q.whole("cross_attention_frequency", 2, 1, depth_limit);
  qformer.text = kind == Kind::pretrain || q.flag("use_qformer_text_input", false);
  qformer.dropout = q.number("hidden_dropout_prob", 0.1, 0, 1);
  qformer.attention_dropout = q.number("attention_probs_dropout_prob", 0.1, 0, 1);
  qformer.pad_id = q.id("pad_token_id", 0);
  qformer.bos_id = q.id("bos_token_id", kind == Kind::pretrain ? qformer.vocab_size - 1 : -1);
  qformer.cls_id = q.id("cls_token_id", -1);
  qformer.sep_id = q.id("sep_token_id", -1);
}

void read_opt(const ConfigNode& t, LanguageConfig& c) {
  c.width = t.whole("hidden_size", 768, 1, width_limit);
  c.layers = t.whole("num_hidden_layers", 12, 1, depth_limit);
  c.heads = t.whole("num_attention_heads", 12, 1, width_limit);
  c.mlp = t.whole("ffn_dim", 3072, 1, 1 << 20);
  c.vocab_size = t.whole("vocab_size", 50272, 1, word_limit);
  c.positions = t.whole("max_position_embeddings", 2048, 1, 1 << 20);
  c.word_width = t.whole("word_embed_proj_dim", 0, 0, width_limit);
  c.norm_before = t.flag("do_layer_norm_before", true);
  c.last_norm = !t.flag("_remove_final_layer_norm", false);
  c.bias = t.flag("enable_bias", true);
  c.norm_weights = t.flag("layer_norm_elementwise_affine", true);
  c.activation = activation_in(t, "activation_function", "relu");
  c.dropout = t.number("dropout", 0.1, 0, 1);
  c.attention_dropout = t.number("attention_dropout", 0, 0, 1);
  warn_of_dropout(t, "layerdrop");
  c.tied = t.flag("tie_word_embeddings", true);
  c.pad_id = t.id("pad_token_id", 1);
  c.bos_id = t.id("bos_token_id", 2);
  read_ends(t, c, 2);
}

// scale_decoder_outputs is what 5.17 writes; before, an untied head said the same. The head is tied
// unless the file holds another one (fit_weights).
void read_t5(const ConfigNode& t, LanguageConfig& c) {
  c.width = t.whole("d_model", 512, 1, width_limit);
  c.head_width = t.whole("d_kv", 64, 1, width_limit);
  c.mlp = t.whole("d_ff", 2048, 1, 1 << 20);
  c.layers = t.whole("num_layers", 6, 1, depth_limit);
  c.decoder_layers = t.whole("num_decoder_layers", c.layers, 1, depth_limit);
  c.heads = t.whole("num_heads", 8, 1, width_limit);
  c.vocab_size = t.whole("vocab_size", 32128, 1, word_limit);
  c.buckets = t.whole("relative_attention_num_buckets", 32, 4, 4096);
  c.max_distance = t.whole("relative_attention_max_distance", 128, 3, 1 << 20);
  c.dropout = t.number("dropout_rate", 0.1, 0, 1);
  c.eps = t.number("layer_norm_epsilon", 1e-6, 0, 1);
  const std::string mlp = t.text("feed_forward_proj", "relu");
  const bool gated = mlp.starts_with("gated-");
  std::string activation = gated ? mlp.substr(6) : mlp;
  if (mlp == "gated-gelu") activation = "gelu_new";
  if (nn::activation_of(activation) == nullptr) {
    wrong_config(t.path + "feed_forward_proj", "an activation, or gated- and one", json(mlp));
  }
  c.activation = activation_in(t, "dense_act_fn", activation);
  c.gated = t.flag("is_gated_act", gated);
  c.scaled = t.flag("scale_decoder_outputs", t.flag("tie_word_embeddings", true));
  c.tied = true;
  c.pad_id = t.id("pad_token_id", 0);
  read_ends(t, c, 1);
  c.bos_id = t.id("bos_token_id", -1);
  c.start_id = t.id("decoder_start_token_id", c.pad_id);
}

void read_language(const ConfigNode& t, LanguageConfig& c) {
  const std::string type = t.text("model_type", "opt");
  if (type != "opt" && type != "t5") wrong_config(t.path + "model_type", "opt or t5", json(type));
  c.kind = type;
  if (c.is_t5()) {
    read_t5(t, c);
  } else {
    read_opt(t, c);
  }
}

Kind kind_of(const json& root) {
  const std::string name = architecture_of(root);
  for (int i = 0; i < 4; ++i) {
    if (class_of(static_cast<Kind>(i)) == name) return static_cast<Kind>(i);
  }
  return Kind::generation;
}

const std::string& name_of(Kind kind) {
  static const std::vector<std::string> names{"pretrain", "generation", "retrieval", "model"};
  return names.at(static_cast<std::size_t>(kind));
}

// --- Written -----------------------------------------------------------------------------------

json tower_json(const Tower& t) {
  return {{"hidden_size", t.width},        {"intermediate_size", t.hidden()},
          {"num_hidden_layers", t.layers}, {"num_attention_heads", t.heads},
          {"hidden_act", t.activation},    {"layer_norm_eps", t.layer_norm_eps}};
}

using NamedIds = std::initializer_list<std::pair<const char*, std::int64_t>>;

void add_ids(json& node, NamedIds ids) {
  for (const auto& [name, id] : ids) {
    node[name] = id >= 0 ? json(id) : json(nullptr);  // an absent key would be the default's
  }
}

json vision_json(const Config& c) {
  json vision = tower_json(c.vision);
  vision["model_type"] = "blip_2_vision_model";
  vision["image_size"] = c.vision.image_size;
  vision["patch_size"] = c.vision.patch_size;
  vision["qkv_bias"] = c.vision.qkv_bias;
  if (c.vision.drop_path > 0) vision["drop_path"] = c.vision.drop_path;
  if (c.vision.clip) vision["clip"] = true;
  const double eps = c.vision.last_norm_eps > 0 ? c.vision.last_norm_eps : c.vision.layer_norm_eps;
  if (eps != c.vision.layer_norm_eps) vision["post_layer_norm_eps"] = eps;
  return vision;
}

json qformer_json(const Config& c) {
  json q = tower_json(c.qformer);
  q["model_type"] = "blip_2_qformer";
  q["vocab_size"] = c.qformer.vocab_size > 0 ? c.qformer.vocab_size : 1;
  q["max_position_embeddings"] = c.qformer.positions;
  q["cross_attention_frequency"] = c.qformer.cross_every;
  q["encoder_hidden_size"] = c.vision.width;
  q["use_qformer_text_input"] = !c.writes() && c.qformer.text;
  q["hidden_dropout_prob"] = c.qformer.dropout;
  q["attention_probs_dropout_prob"] = c.qformer.attention_dropout;
  add_ids(q, {{"pad_token_id", c.qformer.pad_id},
              {"bos_token_id", c.qformer.bos_id},
              {"cls_token_id", c.qformer.cls_id},
              {"sep_token_id", c.qformer.sep_id}});
  return q;
}

json opt_json(const LanguageConfig& c) {
  return {{"hidden_size", c.width},
          {"num_hidden_layers", c.layers},
          {"num_attention_heads", c.heads},
          {"ffn_dim", c.hidden()},
          {"max_position_embeddings", c.positions},
          {"word_embed_proj_dim", c.word_width > 0 ? c.word_width : c.width},
          {"do_layer_norm_before", c.norm_before},
          {"_remove_final_layer_norm", !c.last_norm},
          {"enable_bias", c.bias},
          {"layer_norm_elementwise_affine", c.norm_weights},
          {"activation_function", c.activation.empty() ? "relu" : c.activation},
          {"dropout", c.dropout},
          {"attention_dropout", c.attention_dropout},
          {"tie_word_embeddings", c.tied}};
}

json t5_json(const LanguageConfig& c) {
  const std::string activation = c.activation.empty() ? "gelu" : c.activation;
  return {{"d_model", c.width},
          {"d_kv", c.head_width},
          {"d_ff", c.hidden()},
          {"num_layers", c.layers},
          {"num_decoder_layers", c.decoder_layers > 0 ? c.decoder_layers : c.layers},
          {"num_heads", c.heads},
          {"relative_attention_num_buckets", c.buckets},
          {"relative_attention_max_distance", c.max_distance},
          {"dropout_rate", c.dropout},
          {"layer_norm_epsilon", c.eps},
          {"feed_forward_proj", (c.gated ? "gated-" : "") + activation},
          {"dense_act_fn", activation},
          {"is_gated_act", c.gated},
          {"scale_decoder_outputs", c.scaled},
          {"tie_word_embeddings", c.tied},
          {"is_encoder_decoder", true}};
}

json language_json(const LanguageConfig& c) {
  json text = c.is_t5() ? t5_json(c) : opt_json(c);
  text["model_type"] = c.kind;
  text["architectures"] = {c.is_t5() ? "T5ForConditionalGeneration" : "OPTForCausalLM"};
  text["vocab_size"] = c.vocab_size;
  add_ids(text,
          {{"bos_token_id", c.bos_id}, {"eos_token_id", c.eos_id}, {"pad_token_id", c.pad_id}});
  if (!c.more_ends.empty()) text["eos_token_id"] = c.ends();
  if (c.is_t5()) add_ids(text, {{"decoder_start_token_id", c.start_id}});
  return text;
}

}  // namespace

void read_language_json(LanguageConfig& language, const std::string& text) {
  const json root = parse_config(text, "config.json");
  const LanguageConfig given = language;
  read_language(ConfigNode{&root, ""}, language);
  // OPT's captions end with another mark than its texts (fit_vocabulary).
  if (given.eos_id >= 0 || !language.is_t5()) {
    language.eos_id = given.eos_id;
    language.more_ends = given.more_ends;
  }
  if (given.bos_id >= 0) language.bos_id = given.bos_id;
  if (given.start_id >= 0) language.start_id = given.start_id;
  // T5's file does not say whether the head is the table of words; OPT's may, of another head.
  language.tied = language.tied && given.tied;
}

std::unique_ptr<Settings> from_config_json(const std::string& text) {
  const json root = parse_config(text, "config.json");
  auto config = std::make_unique<Config>();
  const ConfigNode top{&root, ""};
  const Kind kind = kind_of(root);
  config->kind = name_of(kind);
  config->embed_dim = top.whole("image_text_hidden_size", 256, 1, width_limit);
  config->temperature = top.number("temp", 0.07);
  config->label_smoothing = top.number("label_smoothing", 0.1, 0, 1);
  config->prompt = top.text("prompt", "");
  config->question = top.text("question", config->question);
  read_vision(top.part("vision_config"), config->vision, kind == Kind::pretrain);
  read_qformer(top.part("qformer_config"), config->qformer, kind);
  config->qformer.queries = top.whole("num_query_tokens", 32, 1, width_limit);
  config->qformer.context_length =
      std::min(config->qformer.positions, top.whole("max_txt_len", 32, 1, width_limit));
  config->language.context_length = top.whole("max_txt_len", 32, 1, width_limit);
  if (config->writes()) read_language(top.part("text_config"), config->language);
  config->language.image_id = top.id("image_token_index", -1);
  if (config->language.image_id < 0) config->language.image_id = top.id("image_token_id", -1);
  for (const auto& [field, what] : problems(*config)) {
    throw Error(ErrorKind::config, "config.json: " + field + ": " + what);
  }
  return config;
}

std::string to_config_json(const Settings& settings) {
  const Config& c = config_of(settings);
  json root = {{"architectures", {class_of(c.the_kind())}},
               {"model_type", "blip-2"},
               {"image_text_hidden_size", c.embed_dim},
               {"num_query_tokens", c.qformer.queries},
               {"dtype", "float32"},
               {"vision_config", vision_json(c)},
               {"qformer_config", qformer_json(c)}};
  root["max_txt_len"] = c.writes() ? c.language.context_length : c.qformer.context_length;
  if (c.writes()) root["text_config"] = language_json(c.language);
  if (c.language.image_id >= 0) root["image_token_index"] = c.language.image_id;
  if (c.the_kind() == Kind::pretrain) {
    root["temp"] = c.temperature;
    root["label_smoothing"] = c.label_smoothing;
  }
  if (!c.prompt.empty()) root["prompt"] = c.prompt;
  if (c.question != Config().question) root["question"] = c.question;
  return root.dump(2) + "\n";
}

std::vector<std::pair<std::string, std::string>> processor_files(const Settings& settings) {
  json root = squeezing_json(config_of(settings).image_settings());
  root["image_processor_type"] = "BlipImageProcessor";
  root["processor_class"] = "Blip2Processor";
  return {{"preprocessor_config.json", root.dump(2) + "\n"}};
}

void read_processor_file(Settings& settings, const std::string& text) {
  auto& config = dynamic_cast<Config&>(settings);
  read_processor(config.image, text);
  expect_squeezing(text, config.vision.image_size);
}

}  // namespace tandem::models::blip2
