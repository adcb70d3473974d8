#pragma once
// A Qwen2-VL or Qwen2.5-VL of a few thousand numbers with the marks and words of a tokenizer.

#include "models/qwen2_vl/config.h"
#include "support.h"
#include "tandem/text/tokenizer.h"

namespace tandem::testing {

inline models::qwen2_vl::Config small_qwen2_vl(models::qwen2_vl::Version version,
                                               const text::Tokenizer& tokenizer) {
  models::qwen2_vl::Config config(version);
  set_size(config.vision, 16, 2);
  config.vision.mlp = 24;
  config.vision.patch.patch = 4;
  config.vision.window = 16;
  config.vision.full_attention = {1};
  set_size(config.text, 16, 2);
  config.text.kv_heads = 1;
  config.text.mlp = 24;
  config.text.sections = {1, 1, 2};
  config.text.context_length = 400;
  config.dialogue.min_pixels = 64;
  config.dialogue.max_pixels = 64 * 32;
  models::qwen2_vl::fit_vocabulary(config, tokenizer);
  return config;
}

}  // namespace tandem::testing
