#pragma once
// Settings of a decoder; the names in YAML are plain words, those of config.json Hugging Face's
// (LlamaConfig, Qwen2Config, OPTConfig).

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/config_node.h"
#include "models/settings.h"
#include "tandem/base/fields.h"
#include "tandem/base/random.h"
#include "tandem/nn/decoder.h"
#include "tandem/nn/linear.h"

namespace tandem::models {

// Blocks from `first` on see `window` tokens, the token itself included; 0: all see all.
struct SlidingWindow {
  std::int64_t window = 0, first = 0;
};
void sliding_fields(FieldVisitor& visitor, SlidingWindow& sliding);
// Of a Qwen2's config.json: `layer_types`, else the blocks from max_window_layers on
// (transformers:configuration_qwen2.py). Throws Error(config) for windows that stand below blocks
// without.
SlidingWindow read_sliding(const ConfigNode& node, std::int64_t layers, std::int64_t first);
void write_sliding(nlohmann::json& text, const SlidingWindow& sliding, std::int64_t layers);

// Of kind opt, beside what all have (opt_language.h).
struct OptConfig {
  std::string activation = "relu";
  std::int64_t word_width = 0;  // of the table of words; 0: width
  bool norm_before = true, last_norm = true, bias = true, norm_weights = true;
};

// What the vocabulary says is open (0, -1) until a tokenizer or a config.json fills it in.
struct LanguageConfig {
  std::string kind = "llama";  // llama, qwen2: with biases of q, k and v; opt
  std::int64_t width = 4096, layers = 32, heads = 32;
  std::int64_t kv_heads = 0;  // 0: heads
  std::int64_t head_dim = 0;  // 0: width / heads
  std::int64_t mlp = 11008;
  std::int64_t context_length = 2048;
  std::string activation = "silu";
  double rms_norm_eps = 1e-6;
  bool attention_bias = false, mlp_bias = false;  // llama
  bool tied = false;                              // the head is the table of words
  double init = 0.02;                             // spread of the initial weights
  std::int64_t vocab_size = 0, bos_id = -1, pad_id = -1;
  std::vector<std::int64_t> eos_ids{};
  SlidingWindow sliding{};  // qwen2
  double rope_theta = 10000;
  bool scaled = false;  // `scaling` counts
  nn::RopeScaling scaling{.type = "linear"};
  OptConfig opt{};

  std::int64_t key_heads() const { return kv_heads > 0 ? kv_heads : heads; }
  std::int64_t words() const { return opt.word_width > 0 ? opt.word_width : width; }
  std::int64_t width_of_head() const { return head_dim > 0 ? head_dim : width / heads; }
};

void language_fields(FieldVisitor& visitor, LanguageConfig& config);
// block: "language".
void check_language(Problems& found, const std::string& block, const LanguageConfig& config);

// The object `text_config`, or a whole flat file. Throws Error(config) for another kind of model.
void read_language(const ConfigNode& node, LanguageConfig& config);
nlohmann::json language_json(const LanguageConfig& config);
// eos_token_id: an id or a list; null: none, absent: the fallback (-1: none).
std::vector<std::int64_t> read_eos(const ConfigNode& node, std::int64_t fallback);

// Sizes of a Hugging Face directory of a language model; a plan is made without it, from the sizes
// that the settings name.
void read_language_sizes(LanguageConfig& config, const std::string& folder);

// Of llama and qwen2.
nn::DecoderShape shape_of(const LanguageConfig& config);
nn::RopeShape rope_of(const LanguageConfig& config);

// Size and marks from the tokenizer where they are open; `marks`: tokens that get a row of their
// own where the tokenizer does not have them, by their names. Gives their ids, in order.
std::vector<std::int64_t> fit_language(LanguageConfig& config, const text::Tokenizer& tokenizer,
                                       const std::vector<std::string>& marks);

// "model", and "lm_head" unless the table of words is the head.
struct DecoderAndHead : torch::nn::Module {
  std::shared_ptr<nn::Decoder> decoder;
  std::shared_ptr<nn::Linear> head;  // null: tied

  DecoderAndHead(const nn::DecoderShape& shape, bool tied);
};

// The matrix that gives the words' scores, [V, D], with what an adapter adds; the table of words
// where there is no head.
at::Tensor head_matrix(const nn::Linear* head, const nn::Decoder& decoder);

// As transformers initialises it: norms 1, biases 0, the rest normal.
void initialize_decoder(nn::Decoder& decoder, const LanguageConfig& config,
                        const std::string& prefix, Key init);

}  // namespace tandem::models
