// config.json as the released code writes and reads it (QWenConfig). Absent keys have its defaults.
// Ours are in `tandem`: how samples are written and pictures made, which no file of the hub says.

#include <nlohmann/json.hpp>

#include "models/config_node.h"
#include "models/processor_file.h"
#include "models/qwen_vl/config.h"
#include "tandem/base/error.h"
#include "tandem/base/log.h"

namespace tandem::models::qwen_vl {
namespace {

using nlohmann::json;

constexpr std::int64_t most_ids = 10'000'000;

void read_language(const ConfigNode& node, LanguageConfig& c) {
  c.width = node.whole("hidden_size", 4096, 1, 65536);
  c.layers = node.whole("num_hidden_layers", 32, 1, 1024);
  c.heads = node.whole("num_attention_heads", 32, 1, 65536);
  c.mlp = node.whole("intermediate_size", 22016, 2, 1 << 21) / 2;
  c.vocab_size = node.whole("vocab_size", 151936, 1, most_ids);
  c.seq_length = node.whole("seq_length", 2048, 2, 1 << 20);
  c.positions = node.whole("max_position_embeddings", 8192, 1, 1 << 24);
  c.rotary_base = node.number("rotary_emb_base", 10000, 1e-6, 1e12);
  c.rms_norm_eps = node.number("layer_norm_epsilon", 1e-6, 0, 1);
  c.bias = !node.flag("no_bias", true);
  c.dynamic_ntk = node.flag("use_dynamic_ntk", true);
  c.logn = node.flag("use_logn_attn", true);
  c.tied = node.flag("tie_word_embeddings", false);
  c.init_std = node.number("initializer_range", 0.02, 0, 1);
  if (node.number("rotary_pct", 1) != 1) {
    wrong_config("rotary_pct", "1, as released", *node.find("rotary_pct"));
  }
  // The released code cuts c_attn's output into three pieces of hidden_size.
  const std::int64_t channels = node.whole("kv_channels", 128, 1, 65536);
  if (channels * c.heads != c.width) {
    throw Error(ErrorKind::config,
                "config.json: kv_channels: expected hidden_size / num_attention_heads; got " +
                    std::to_string(channels));
  }
}

void read_own(const ConfigNode& own, Config& c) {
  c.format = own.text("format", c.format);
  if (c.format != "chat" && c.format != "continued") {
    wrong_config(own.path + "format", "chat or continued", json(c.format));
  }
  c.system = own.text("system", "");
  c.max_tokens = own.whole("max_tokens", 0, 0, 1 << 20);
  c.eos_id = own.whole("eos_id", -1, -1, most_ids);
  c.stop_id = own.whole("stop_id", -1, -1, most_ids);
  if (own.find("image") != nullptr) read_processor(c.image, own.part("image").value->dump());
}

void read_vision(const ConfigNode& node, const LanguageConfig& language, VisionConfig& c) {
  c.image_size = node.side("image_size", 448);
  c.patch_size = node.side("patch_size", 14);
  c.width = node.whole("width", 1664, 1, 65536);
  c.layers = node.whole("layers", 48, 1, 1024);
  c.heads = node.whole("heads", 16, 1, 65536);
  c.mlp_ratio = node.number("mlp_ratio", 4.9231, 0, 64);
  c.queries = node.whole("n_queries", 256, 1, 65536);
  const std::int64_t out = node.whole("output_dim", 512, 1, 65536);
  if (out != language.width) {
    throw Error(ErrorKind::config, "config.json: visual.output_dim: expected hidden_size " +
                                       std::to_string(language.width) + "; got " +
                                       std::to_string(out));
  }
}

}  // namespace

std::unique_ptr<Settings> from_config_json(const std::string& text) {
  const json root = parse_config(text, "config.json");
  auto config = std::make_unique<Config>();
  const ConfigNode top{&root, ""};
  read_language(top, config->language);
  const ConfigNode visual = top.part("visual");
  read_vision(visual, config->language, config->vision);
  config->image_start = visual.whole("image_start_id", 151857, 0, most_ids);
  for (const char* name : {"emb_dropout_prob", "attn_dropout_prob"}) warn_of_dropout(top, name);
  read_own(top.part("tandem"), *config);
  for (const auto& [field, what] : problems(*config)) {
    throw Error(ErrorKind::config, "config.json: " + field + ": " + what);
  }
  return config;
}

std::string to_config_json(const Settings& settings) {
  const Config& c = config_of(settings);
  const LanguageConfig& l = c.language;
  const VisionConfig& v = c.vision;
  const json visual = {
      {"heads", v.heads},      {"image_size", v.image_size}, {"image_start_id", c.image_start},
      {"layers", v.layers},    {"mlp_ratio", v.mlp_ratio},   {"n_queries", v.queries},
      {"output_dim", l.width}, {"patch_size", v.patch_size}, {"width", v.width}};
  const json root = {{"architectures", {"QWenLMHeadModel"}},
                     {"model_type", "qwen"},
                     {"tokenizer_type", "QWenTokenizer"},
                     {"hidden_size", l.width},
                     {"num_hidden_layers", l.layers},
                     {"num_attention_heads", l.heads},
                     {"intermediate_size", 2 * l.mlp},
                     {"kv_channels", l.head_dim()},
                     {"vocab_size", l.vocab_size},
                     {"seq_length", l.seq_length},
                     {"max_position_embeddings", l.positions},
                     {"rotary_emb_base", l.rotary_base},
                     {"rotary_pct", 1.0},
                     {"layer_norm_epsilon", l.rms_norm_eps},
                     {"initializer_range", l.init_std},
                     {"no_bias", !l.bias},
                     {"use_dynamic_ntk", l.dynamic_ntk},
                     {"use_logn_attn", l.logn},
                     {"tie_word_embeddings", l.tied},
                     {"emb_dropout_prob", 0.0},
                     {"attn_dropout_prob", 0.0},
                     {"scale_attn_weights", true},
                     {"use_cache", true},
                     {"use_flash_attn", false},
                     {"bf16", false},
                     {"fp16", false},
                     {"fp32", true},
                     {"visual", visual},
                     {"tandem",
                      {{"format", c.format},
                       {"system", c.system},
                       {"max_tokens", c.max_tokens},
                       {"eos_id", c.eos_id},
                       {"stop_id", c.stop_id},
                       {"image", squeezing_json(c.image_settings())}}}};
  return root.dump(2) + "\n";
}

}  // namespace tandem::models::qwen_vl
