#include "models/language_config.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "models/limits.h"
#include "models/opt_language.h"
#include "models/pass.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/nn/init.h"

namespace tandem::models {
namespace {

using nlohmann::json;

void scaling_fields(FieldVisitor& v, nn::RopeScaling& s) {
  v.field(
      "type", s.type,
      {.doc = "how, by transformers' names", .choices = {"linear", "dynamic", "llama3", "yarn"}});
  v.field("factor", s.factor, {.doc = "how much longer texts get", .min = 1, .max = 4096});
  v.field("trained", s.trained,
          {.doc = "positions that were trained on", .min = 0, .max = 100'000'000});
  v.field("low_freq", s.low_freq, {.doc = "llama3: low_freq_factor", .min = 0, .max = 4096});
  v.field("high_freq", s.high_freq, {.doc = "llama3: high_freq_factor", .min = 0, .max = 4096});
  v.field("beta_fast", s.beta_fast, {.doc = "yarn", .min = 0, .max = 4096});
  v.field("beta_slow", s.beta_slow, {.doc = "yarn", .min = 0, .max = 4096});
  v.field("attention", s.attention,
          {.doc = "yarn: attention_factor; 0: from the factor", .min = 0, .max = 4096});
  v.field("mscale", s.mscale, {.doc = "yarn", .min = 0, .max = 4096});
  v.field("mscale_all", s.mscale_all, {.doc = "yarn: mscale_all_dim", .min = 0, .max = 4096});
  v.field("truncate", s.truncate, {.doc = "yarn"});
}

// rope_parameters of transformers 5, or rope_theta and rope_scaling of the files before.
void read_rope(const ConfigNode& node, LanguageConfig& c) {
  const bool old = node.find("rope_scaling") != nullptr;
  const ConfigNode rope = node.part(old ? "rope_scaling" : "rope_parameters");
  c.rope_theta = rope.number("rope_theta", node.number("rope_theta", 10000), 1e-9, 1e18);
  const std::string type = rope.text("rope_type", rope.text("type", "default"));
  if (node.number("partial_rotary_factor", rope.number("partial_rotary_factor", 1)) != 1) {
    wrong_config(rope.path + "partial_rotary_factor", "1", 0);
  }
  if (type == "default") return;
  if (type != "linear" && type != "dynamic" && type != "llama3" && type != "yarn") {
    wrong_config(rope.path + "rope_type", "default, linear, dynamic, llama3 or yarn", type);
  }
  c.scaled = true;
  nn::RopeScaling& s = c.scaling;
  s.type = type;
  s.trained = c.context_length;
  if (type == "llama3" || type == "yarn") {
    const char* const name = "original_max_position_embeddings";
    s.trained =
        node.whole(name, rope.whole(name, c.context_length, 1, 100'000'000), 1, 100'000'000);
  }
  const double stretch = static_cast<double>(c.context_length) / static_cast<double>(s.trained);
  s.factor = rope.number("factor", type == "yarn" ? stretch : 1, 1e-9, 1e9);
  s.low_freq = rope.number("low_freq_factor", 1, 1e-9, 1e9);
  s.high_freq = rope.number("high_freq_factor", 4, 1e-9, 1e9);
  s.beta_fast = rope.number("beta_fast", 32, 0, 1e9);
  s.beta_slow = rope.number("beta_slow", 1, 0, 1e9);
  if (s.beta_fast == 0) s.beta_fast = 32;
  if (s.beta_slow == 0) s.beta_slow = 1;
  s.attention = rope.number("attention_factor", 0, 0, 1e9);
  s.mscale = rope.number("mscale", 0, 0, 1e9);
  s.mscale_all = rope.number("mscale_all_dim", 0, 0, 1e9);
  s.truncate = rope.flag("truncate", true);
}

json rope_json(const LanguageConfig& c) {
  json rope = {{"rope_theta", c.rope_theta}, {"rope_type", c.scaled ? c.scaling.type : "default"}};
  if (!c.scaled) return rope;
  const nn::RopeScaling& s = c.scaling;
  rope["factor"] = s.factor;
  if (s.type == "llama3" || s.type == "yarn") {
    rope["original_max_position_embeddings"] = s.trained;
  }
  if (s.type == "llama3") {
    rope["low_freq_factor"] = s.low_freq;
    rope["high_freq_factor"] = s.high_freq;
  }
  if (s.type == "yarn") {
    rope["beta_fast"] = s.beta_fast;
    rope["beta_slow"] = s.beta_slow;
    if (s.attention > 0) rope["attention_factor"] = s.attention;
    if (s.mscale > 0) rope["mscale"] = s.mscale;
    if (s.mscale_all > 0) rope["mscale_all_dim"] = s.mscale_all;
    rope["truncate"] = s.truncate;
  }
  return rope;
}

json id_json(std::int64_t id) { return id < 0 ? json() : json(id); }

}  // namespace

std::vector<std::int64_t> read_eos(const ConfigNode& node, std::int64_t fallback) {
  const json* found = node.find("eos_token_id");
  if (found == nullptr && node.value->contains("eos_token_id")) return {};
  std::vector<std::int64_t> ids;
  if (found == nullptr || !found->is_array()) {
    const std::int64_t id = node.whole("eos_token_id", fallback, -1, 10'000'000);
    if (id >= 0) ids.push_back(id);
    return ids;
  }
  for (const json& id : *found) {
    if (!id.is_number_integer()) wrong_config(node.path + "eos_token_id", "ids", *found);
    ids.push_back(id.get<std::int64_t>());
  }
  return ids;
}

void sliding_fields(FieldVisitor& v, SlidingWindow& c) {
  v.field("window", c.window,
          {.doc = "tokens that a token sees, itself included; 0: all before it",
           .min = 0,
           .max = 100'000'000});
  v.field("first_window", c.first,
          {.doc = "the first block with such a window", .min = 0, .max = deepest});
}

SlidingWindow read_sliding(const ConfigNode& node, std::int64_t layers, std::int64_t first) {
  SlidingWindow read;
  if (!node.flag("use_sliding_window", false)) return read;
  // Absent and null differ: null is no window.
  const bool null =
      node.find("sliding_window") == nullptr && node.value->contains("sliding_window");
  if (null) return read;
  read.window = node.whole("sliding_window", 4096, 1, 100'000'000);
  read.first = node.whole("max_window_layers", first, 0, 100'000'000);
  if (const json* types = node.find("layer_types")) {
    if (!types->is_array() || static_cast<std::int64_t>(types->size()) != layers) {
      wrong_config(node.path + "layer_types", "a kind for each layer", *types);
    }
    read.first = 0;
    bool slides = false;
    for (const json& type : *types) {
      const bool own = type == "sliding_attention";
      if ((!own && type != "full_attention") || (slides && !own)) {
        wrong_config(node.path + "layer_types", "full_attention, then sliding_attention", *types);
      }
      slides = own;
      if (!own) ++read.first;
    }
  }
  return read.first < layers ? read : SlidingWindow{};
}

void write_sliding(nlohmann::json& text, const SlidingWindow& sliding, std::int64_t layers) {
  text["use_sliding_window"] = sliding.window > 0 && sliding.first < layers;
  if (!text["use_sliding_window"]) return;
  text["sliding_window"] = sliding.window;
  text["max_window_layers"] = sliding.first;
}

void language_fields(FieldVisitor& v, LanguageConfig& c) {
  v.field("kind", c.kind,
          {.doc = "llama (Vicuna too), qwen2 (biases of queries, keys and values) or opt",
           .choices = {"llama", "qwen2", "opt"}});
  v.field("width", c.width, {.doc = "numbers per token", .min = 1, .max = widest});
  v.field("layers", c.layers, {.doc = "blocks", .min = 1, .max = deepest});
  v.field("heads", c.heads, {.doc = "attention heads", .min = 1, .max = widest});
  v.field("kv_heads", c.kv_heads,
          {.doc = "heads of keys and values, each shared by a group; 0: heads",
           .min = 0,
           .max = widest});
  v.field("head_dim", c.head_dim,
          {.doc = "numbers of a head; 0: width / heads", .min = 0, .max = widest});
  v.field("mlp", c.mlp, {.doc = "hidden width of the MLP", .min = 1, .max = 16 * widest});
  v.field("context_length", c.context_length,
          {.doc = "positions trained on", .min = 1, .max = 100'000'000});
  v.field(
      "activation", c.activation,
      {.doc = "llama, qwen2: of the gate",
       .choices = {"silu", "gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "relu", "tanh"}});
  v.field("rms_norm_eps", c.rms_norm_eps, {.doc = "added to the mean square", .min = 0, .max = 1});
  v.field("attention_bias", c.attention_bias, {.doc = "llama: biases of all four projections"});
  v.field("mlp_bias", c.mlp_bias, {.doc = "llama: biases of the MLP"});
  v.field("tied", c.tied, {.doc = "the head is the table of words"});
  v.field("init", c.init, {.doc = "spread of the initial weights", .min = 0, .max = 10});
  v.field("rope_theta", c.rope_theta, {.doc = "base of the rotary positions", .min = 1e-9});
  sliding_fields(v, c.sliding);
  v.optional_block("rope_scaling", c.scaled, {.doc = "rotary positions for longer texts"},
                   [&](FieldVisitor& inner) { scaling_fields(inner, c.scaling); });
  v.field("vocab_size", c.vocab_size,
          {.doc = "rows of the table of words; 0: the tokenizer's", .min = 0, .max = 10'000'000});
  const Rule id{.doc = "-1: the tokenizer's", .min = -1, .max = 10'000'000};
  v.field("bos_id", c.bos_id, id);
  v.field("pad_id", c.pad_id, id);
  v.field("eos_ids", c.eos_ids, {.doc = "where a reply ends; empty: the tokenizer's"});
  v.block("opt", {.doc = "what only opt has"},
          [&](FieldVisitor& inner) { opt_fields(inner, c.opt); });
}

namespace {

void check_rotary_language(Problems& found, const std::string& block, const LanguageConfig& c) {
  if (c.head_dim == 0) check_heads(found, block + ".heads", c.width, c.heads);
  if (c.heads > 0 && c.key_heads() > 0 && c.heads % c.key_heads() != 0) {
    found.emplace_back(block + ".kv_heads", "expected a divisor of heads");
  }
  if (c.heads > 0 && c.width_of_head() % 2 != 0) {
    found.emplace_back(block + ".head_dim", "expected an even number, for rotary positions");
  }
  if (c.sliding.window > 0 && c.kind != "qwen2") {
    found.emplace_back(block + ".window", "expected 0: only Qwen2 has sliding windows");
  }
  if (c.opt.word_width > 0) {
    found.emplace_back(block + ".opt.word_width", "expected 0: words have the width of the rows");
  }
  if (c.scaled && c.scaling.trained < 1) {
    found.emplace_back(block + ".rope_scaling.trained", "expected a number above 0");
  }
}

void read_rotary_language(const ConfigNode& node, LanguageConfig& c) {
  const bool qwen = c.kind == "qwen2";
  c.width = node.whole("hidden_size", 4096, 1, 65536);
  c.layers = node.whole("num_hidden_layers", 32, 1, 1024);
  c.heads = node.whole("num_attention_heads", 32, 1, 65536);
  // An absent key and null differ: transformers' Qwen2Config has 32 key heads by itself.
  const bool absent = !node.value->contains("num_key_value_heads");
  c.kv_heads = node.whole("num_key_value_heads", qwen && absent ? 32 : c.heads, 1, 65536);
  c.head_dim = node.whole("head_dim", 0, 0, 65536);
  c.mlp = node.whole("intermediate_size", qwen ? 22016 : 11008, 1, 1 << 20);
  c.context_length = node.whole("max_position_embeddings", qwen ? 32768 : 2048, 1, 100'000'000);
  c.activation = node.text("hidden_act", "silu");
  if (nn::activation_of(c.activation) == nullptr) {
    wrong_config(node.path + "hidden_act", "an activation", c.activation);
  }
  c.rms_norm_eps = node.number("rms_norm_eps", 1e-6, 0, 1);
  c.attention_bias = !qwen && node.flag("attention_bias", false);
  c.mlp_bias = !qwen && node.flag("mlp_bias", false);
  c.tied = node.flag("tie_word_embeddings", false);
  c.init = node.number("initializer_range", 0.02, 0, 10);
  c.vocab_size = node.whole("vocab_size", qwen ? 151936 : 32000, 1, 10'000'000);
  c.pad_id = node.whole("pad_token_id", -1, -1, 10'000'000);
  c.bos_id = node.whole("bos_token_id", qwen ? -1 : 1, -1, 10'000'000);
  c.eos_ids = read_eos(node, qwen ? -1 : 2);
  if (qwen) c.sliding = read_sliding(node, c.layers, 28);
  warn_of_dropout(node, "attention_dropout");
  read_rope(node, c);
}

json rotary_language_json(const LanguageConfig& c) {
  const bool qwen = c.kind == "qwen2";
  json text = {{"architectures", {qwen ? "Qwen2ForCausalLM" : "LlamaForCausalLM"}},
               {"hidden_size", c.width},
               {"num_hidden_layers", c.layers},
               {"num_attention_heads", c.heads},
               {"num_key_value_heads", c.key_heads()},
               {"head_dim", c.width_of_head()},
               {"intermediate_size", c.mlp},
               {"max_position_embeddings", c.context_length},
               {"hidden_act", c.activation},
               {"rms_norm_eps", c.rms_norm_eps},
               {"initializer_range", c.init},
               {"attention_dropout", 0.0},
               {"use_cache", true},
               {"rope_theta", c.rope_theta},
               {"rope_parameters", rope_json(c)}};
  if (qwen) {
    write_sliding(text, c.sliding, c.layers);
  } else {
    text["attention_bias"] = c.attention_bias;
    text["mlp_bias"] = c.mlp_bias;
  }
  return text;
}

// How a kind is checked, read from a file and written to one; what all have in common is not
// theirs.
struct LanguageKind {
  void (*check)(Problems&, const std::string&, const LanguageConfig&);
  void (*read)(const ConfigNode&, LanguageConfig&);
  json (*write)(const LanguageConfig&);
};

// nullptr: there is none of that name.
const LanguageKind* language_kind(const std::string& name) {
  static const LanguageKind rotary{check_rotary_language, read_rotary_language,
                                   rotary_language_json};
  static const std::map<std::string, LanguageKind> kinds{
      {"llama", rotary},
      {"qwen2", rotary},
      {"opt", {check_opt_language, read_opt_language, opt_language_json}}};
  const auto found = kinds.find(name);
  return found == kinds.end() ? nullptr : &found->second;
}

}  // namespace

void check_language(Problems& found, const std::string& block, const LanguageConfig& c) {
  if (const LanguageKind* kind = language_kind(c.kind)) kind->check(found, block, c);
  if (c.vocab_size > 0 && c.pad_id >= c.vocab_size) {
    found.emplace_back(block + ".pad_id", "expected an id below vocab_size");
  }
}

void read_language(const ConfigNode& node, LanguageConfig& c) {
  c.kind = node.text("model_type", "llama");
  if (c.kind == "llava" || c.kind == "llava_llama") c.kind = "llama";  // of a flat file
  const LanguageKind* kind = language_kind(c.kind);
  if (kind == nullptr) {
    wrong_config(node.path + "model_type", "llama, qwen2 or opt, decoders that write by themselves",
                 c.kind);
  }
  kind->read(node, c);
}

void read_language_sizes(LanguageConfig& c, const std::string& folder) {
  const std::filesystem::path file = std::filesystem::path(folder) / "config.json";
  std::error_code error;
  if (folder.empty() || !std::filesystem::is_regular_file(file, error)) return;
  const json root = parse_config(read_file(file, std::int64_t{1} << 24), file.string());
  c = {};
  read_language({&root, ""}, c);
}

nlohmann::json language_json(const LanguageConfig& c) {
  const LanguageKind* kind = language_kind(c.kind);
  TANDEM_CHECK(kind != nullptr, "[models] expected a kind of language model");
  json text = kind->write(c);
  text["model_type"] = c.kind;
  text["tie_word_embeddings"] = c.tied;
  text["vocab_size"] = c.vocab_size;
  text["pad_token_id"] = id_json(c.pad_id);
  text["bos_token_id"] = id_json(c.bos_id);
  text["eos_token_id"] = c.eos_ids.size() == 1 ? json(c.eos_ids[0])
                         : c.eos_ids.empty()   ? json()
                                               : json(c.eos_ids);
  return text;
}

nn::DecoderShape shape_of(const LanguageConfig& c) {
  nn::DecoderShape s;
  s.width = c.width;
  s.layers = c.layers;
  s.heads = c.heads;
  s.kv_heads = c.key_heads();
  s.head_dim = c.width_of_head();
  s.hidden = c.mlp;
  s.vocab_size = c.vocab_size;
  s.eps = c.rms_norm_eps;
  s.qkv_bias = c.kind == "qwen2" || c.attention_bias;
  s.out_bias = c.attention_bias;
  s.mlp_bias = c.mlp_bias;
  s.activation = nn::activation_of(c.activation);
  s.pad_id = c.pad_id;
  s.window = c.sliding.window;
  s.first_window = c.sliding.first;
  return s;
}

nn::RopeShape rope_of(const LanguageConfig& c) {
  nn::RopeShape rope;
  rope.head_dim = c.width_of_head();
  rope.theta = c.rope_theta;
  if (c.scaled) rope.scaling = c.scaling;
  return rope;
}

std::vector<std::int64_t> fit_language(LanguageConfig& c, const text::Tokenizer& tokenizer,
                                       const std::vector<std::string>& marks) {
  MarkRows rows(tokenizer);
  std::vector<std::int64_t> ids;
  for (const std::string& name : marks) rows.take(ids.emplace_back(-1), {name.c_str()});
  if (c.bos_id < 0) c.bos_id = first_token(tokenizer, {"<s>", "<|startoftext|>", "[CLS]"});
  if (c.eos_ids.empty()) {
    const std::int64_t end =
        first_token(tokenizer, {"</s>", "<|im_end|>", "<|endoftext|>", "[SEP]"});
    if (end >= 0) c.eos_ids = {end};
  }
  fit_rows(c.vocab_size, rows.count(), "model.language.vocab_size");
  return ids;
}

DecoderAndHead::DecoderAndHead(const nn::DecoderShape& shape, bool tied) {
  decoder = register_module("model", std::make_shared<nn::Decoder>(shape));
  if (tied) return;
  head = register_module("lm_head", std::make_shared<nn::Linear>(shape.width, shape.vocab_size,
                                                                 /*with_bias=*/false));
}

at::Tensor head_matrix(const nn::Linear* head, const nn::Decoder& decoder) {
  if (head == nullptr) return decoder.embed_tokens->weight;
  if (!head->adapted()) return head->weight;
  return head->weight + at::matmul(head->b, head->a) * head->scale;
}

void initialize_decoder(nn::Decoder& decoder, const LanguageConfig& config,
                        const std::string& prefix, Key init) {
  nn::initialize_normal(parameters_of(decoder, prefix), config.init, init);
}

}  // namespace tandem::models
