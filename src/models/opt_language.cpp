#include "models/opt_language.h"

#include "models/limits.h"

namespace tandem::models {
void opt_fields(FieldVisitor& v, OptConfig& c) {
  v.field("activation", c.activation,
          {.doc = "between the MLP's layers",
           .choices = {"relu", "gelu", "gelu_new", "quick_gelu", "silu"}});
  v.field("word_width", c.word_width,
          {.doc = "of the table of words, and of the connector's rows; 0: width",
           .min = 0,
           .max = widest});
  v.field("norm_before", c.norm_before, {.doc = "norms stand before each part"});
  v.field("last_norm", c.last_norm, {.doc = "a norm behind the last block"});
  v.field("bias", c.bias, {.doc = "biases of linear layers"});
  v.field("norm_weights", c.norm_weights, {.doc = "norms have weights"});
}

void check_opt_language(Problems& found, const std::string& block, const LanguageConfig& c) {
  check_heads(found, block + ".heads", c.width, c.heads);
  if (c.kv_heads > 0 && c.kv_heads != c.heads) {
    found.emplace_back(block + ".kv_heads", "expected 0: opt's heads share no keys and values");
  }
  if (c.head_dim > 0 && c.head_dim * c.heads != c.width) {
    found.emplace_back(block + ".head_dim", "expected 0: opt's heads part the width");
  }
  if (c.sliding.window > 0) {
    found.emplace_back(block + ".window", "expected 0: only Qwen2 has sliding windows");
  }
  if (c.scaled) {
    found.emplace_back(block + ".rope_scaling", "expected none: opt's positions are learned");
  }
}

void read_opt_language(const ConfigNode& t, LanguageConfig& c) {
  c.width = t.whole("hidden_size", 768, 1, 65536);
  c.layers = t.whole("num_hidden_layers", 12, 1, 1024);
  c.heads = t.whole("num_attention_heads", 12, 1, 65536);
  c.mlp = t.whole("ffn_dim", 3072, 1, 1 << 20);
  c.context_length = t.whole("max_position_embeddings", 2048, 1, 100'000'000);
  c.tied = t.flag("tie_word_embeddings", true);
  c.init = t.number("init_std", 0.02, 0, 10);
  c.vocab_size = t.whole("vocab_size", 50272, 1, 10'000'000);
  c.pad_id = t.id("pad_token_id", 1);
  c.bos_id = t.id("bos_token_id", 2);
  c.eos_ids = read_eos(t, 2);
  c.opt.word_width = t.whole("word_embed_proj_dim", 0, 0, 65536);
  if (c.opt.word_width == c.width) c.opt.word_width = 0;
  c.opt.norm_before = t.flag("do_layer_norm_before", true);
  c.opt.last_norm = !t.flag("_remove_final_layer_norm", false);
  c.opt.bias = t.flag("enable_bias", true);
  c.opt.norm_weights = t.flag("layer_norm_elementwise_affine", true);
  c.opt.activation = t.text("activation_function", "relu");
  if (nn::activation_of(c.opt.activation) == nullptr) {
    wrong_config(t.path + "activation_function", "an activation", c.opt.activation);
  }
  for (const char* name : {"dropout", "attention_dropout"}) warn_of_dropout(t, name);
}

nlohmann::json opt_language_json(const LanguageConfig& c) {
  return {{"architectures", {"OPTForCausalLM"}},
          {"hidden_size", c.width},
          {"num_hidden_layers", c.layers},
          {"num_attention_heads", c.heads},
          {"ffn_dim", c.mlp},
          {"max_position_embeddings", c.context_length},
          {"init_std", c.init},
          {"word_embed_proj_dim", c.opt.word_width > 0 ? c.opt.word_width : c.width},
          {"do_layer_norm_before", c.opt.norm_before},
          {"_remove_final_layer_norm", !c.opt.last_norm},
          {"enable_bias", c.opt.bias},
          {"layer_norm_elementwise_affine", c.opt.norm_weights},
          {"activation_function", c.opt.activation},
          {"dropout", 0.0},
          {"attention_dropout", 0.0},
          {"use_cache", true}};
}

nn::OptShape opt_shape(const LanguageConfig& c) {
  nn::OptShape s;
  s.width = c.width;
  s.layers = c.layers;
  s.heads = c.heads;
  s.hidden = c.mlp;
  s.vocab_size = c.vocab_size;
  s.positions = c.context_length;
  s.word_width = c.opt.word_width;
  s.pad_id = c.pad_id;
  s.activation = nn::activation_of(c.opt.activation);
  s.norm_before = c.opt.norm_before;
  s.last_norm = c.opt.last_norm;
  s.bias = c.opt.bias;
  s.norm_weights = c.opt.norm_weights;
  s.tied = c.tied;
  s.dropout = s.attention_dropout = 0;
  return s;
}

}  // namespace tandem::models
