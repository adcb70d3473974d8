// config.json with the original's names: those of Pretrain.yaml, of the vision transformer that is
// fixed in its code, and under bert_config those of config_bert.json. Absent keys have the released
// values (BertConfig's defaults). Ours besides, which the original does not read: alpha_ramp,
// max_length, max_words, clean_captions, cls_token_id, sep_token_id.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "models/albef/config.h"
#include "models/config_node.h"
#include "models/processor_file.h"
#include "tandem/base/error.h"

namespace tandem::models::albef {
namespace {

using nlohmann::json;

constexpr std::int64_t most_words = 10'000'000;

void read_text(const ConfigNode& b, Config& config) {
  TextConfig& t = config.text;
  t.width = b.whole("hidden_size", 768, 1, 65536);
  t.layers = b.whole("num_hidden_layers", 12, 1, 1024);
  t.heads = b.whole("num_attention_heads", 12, 1, 65536);
  t.mlp = b.whole("intermediate_size", 3072, 1, 1 << 20);
  t.vocab_size = b.whole("vocab_size", 30522, 1, most_words);
  t.positions = b.whole("max_position_embeddings", 512, 1, 65536);
  t.types = b.whole("type_vocab_size", 2, 1, 1024);
  t.layer_norm_eps = b.number("layer_norm_eps", 1e-12, 0, 1);
  t.fusion_layer = b.whole("fusion_layer", 6, 0, 1024);
  t.dropout = b.number("hidden_dropout_prob", 0.1, 0, 1);
  t.attention_dropout = b.number("attention_probs_dropout_prob", 0.1, 0, 1);
  // null: no row of words is set apart.
  const bool null_pad = b.value->contains("pad_token_id") && b.find("pad_token_id") == nullptr;
  t.pad_id = null_pad ? -1 : b.whole("pad_token_id", 0, 0, most_words);
  t.cls_id = b.whole("cls_token_id", -1, -1, most_words);
  t.sep_id = b.whole("sep_token_id", -1, -1, most_words);
  t.activation = b.text("hidden_act", "gelu");
  if (nn::activation_of(t.activation) == nullptr) {
    wrong_config(b.path + "hidden_act", "gelu, quick_gelu, gelu_new, relu, silu or tanh",
                 *b.find("hidden_act"));
  }
  if (b.text("position_embedding_type", "absolute") != "absolute") {
    wrong_config(b.path + "position_embedding_type", "absolute",
                 *b.find("position_embedding_type"));
  }
  if (b.whole("encoder_width", config.vision.width, 1, 65536) != config.vision.width) {
    wrong_config(b.path + "encoder_width", "vision_width, " + std::to_string(config.vision.width),
                 *b.find("encoder_width"));
  }
}

json bert_json(const Config& c) {
  const TextConfig& t = c.text;
  json bert = {{"architectures", {"BertForMaskedLM"}},
               {"model_type", "bert"},
               {"hidden_size", t.width},
               {"num_hidden_layers", t.layers},
               {"num_attention_heads", t.heads},
               {"intermediate_size", t.mlp > 0 ? t.mlp : 4 * t.width},
               {"vocab_size", t.vocab_size},
               {"max_position_embeddings", t.positions},
               {"type_vocab_size", t.types},
               {"layer_norm_eps", t.layer_norm_eps},
               {"hidden_act", t.activation},
               {"hidden_dropout_prob", t.dropout},
               {"attention_probs_dropout_prob", t.attention_dropout},
               {"initializer_range", 0.02},
               {"fusion_layer", t.fusion_layer},
               {"encoder_width", c.vision.width}};
  bert["pad_token_id"] = t.pad_id < 0 ? json() : json(t.pad_id);
  if (t.cls_id >= 0) bert["cls_token_id"] = t.cls_id;
  if (t.sep_id >= 0) bert["sep_token_id"] = t.sep_id;
  return bert;
}

}  // namespace

std::unique_ptr<Settings> from_config_json(const std::string& text) {
  const json root = parse_config(text, "config.json");
  auto config = std::make_unique<Config>();
  const ConfigNode top{&root, ""};
  const std::string made_by = architecture_of(root);
  for (const char* kind : {"retrieval", "entailment", "assignment", "reasoning", "answering"}) {
    Config named;
    named.kind = kind;
    if (class_of(named.the_kind()) == made_by) config->kind = kind;
  }
  config->distill = top.flag("distill", true);
  VisionConfig& v = config->vision;
  v.image_size = top.whole("image_res", 256, 1, 4096);
  v.patch_size = top.whole("patch_size", 16, 1, 4096);
  v.width = top.whole("vision_width", 768, 1, 65536);
  v.layers = top.whole("vision_depth", 12, 1, 1024);
  v.heads = top.whole("vision_heads", 12, 1, 65536);
  config->embed_dim = top.whole("embed_dim", 256, 1, 65536);
  config->queue = top.whole("queue_size", 65536, 1, 1 << 24);
  config->momentum = top.number("momentum", 0.995, 0, 1);
  config->alpha = top.number("alpha", 0.4, 0, 1);
  config->alpha_ramp = top.whole("alpha_ramp", 0, 0, std::int64_t{1} << 40);
  config->temperature = top.number("temp", 0.07);
  config->mask_probability = top.number("mlm_probability", 0.15, 0, 1);
  read_text(top.part("bert_config"), *config);
  TextConfig& t = config->text;
  t.context_length =
      top.whole("max_length", std::min<std::int64_t>(25, t.positions), 1, t.positions);
  t.words = top.whole("max_words", 30, 1, 65536);
  t.clean = top.flag("clean_captions", true);
  for (const auto& [field, what] : problems(*config)) {
    throw Error(ErrorKind::config, "config.json: " + field + ": " + what);
  }
  return config;
}

std::string to_config_json(const Settings& settings) {
  const Config& c = config_of(settings);
  const json root = {{"architectures", {class_of(c.the_kind())}},
                     {"distill", c.distill},
                     {"image_res", c.vision.image_size},
                     {"patch_size", c.vision.patch_size},
                     {"vision_width", c.vision.width},
                     {"vision_depth", c.vision.layers},
                     {"vision_heads", c.vision.heads},
                     {"embed_dim", c.embed_dim},
                     {"queue_size", c.queue},
                     {"momentum", c.momentum},
                     {"alpha", c.alpha},
                     {"alpha_ramp", c.alpha_ramp},
                     {"temp", c.temperature},
                     {"mlm_probability", c.mask_probability},
                     {"max_length", c.text.context_length},
                     {"max_words", c.text.words},
                     {"clean_captions", c.text.clean},
                     {"bert_config", bert_json(c)}};
  return root.dump(2) + "\n";
}

std::vector<std::pair<std::string, std::string>> processor_files(const Settings& settings) {
  json root = squeezing_json(config_of(settings).image_settings());
  return {{"preprocessor_config.json", root.dump(2) + "\n"}};
}

void read_processor_file(Settings& settings, const std::string& text) {
  read_processor(dynamic_cast<Config&>(settings).image, text);
}

}  // namespace tandem::models::albef
