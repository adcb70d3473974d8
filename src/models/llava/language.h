#pragma once
// The decoders that read and write, as parts of one interface.
// Letters: B texts, T tokens, W width of words, V vocabulary.

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <memory>
#include <string>

#include "models/language_config.h"
#include "tandem/base/random.h"
#include "tandem/nn/kv_cache.h"
#include "tandem/nn/mask.h"
#include "tandem/nn/run_block.h"

namespace tandem::models::llava {

// Where the tokens of a pass stand and what they see.
struct Places {
  at::Tensor positions;      // int64 [1 or B, T], from 0
  std::int64_t longest = 0;  // tokens of the longest text, those in the cache included
  nn::Mask mask{};
};

class LanguageModel {
 public:
  virtual ~LanguageModel() = default;

  // All its parameters, under the names of its release.
  virtual std::shared_ptr<torch::nn::Module> module() const = 0;
  virtual std::int64_t layers() const = 0;                    // of a cache of keys and values
  virtual at::Tensor embed(const at::Tensor& ids) const = 0;  // int64 [B, T] -> [B, T, W]
  // [B, T, W] -> what the head reads, [B, T, W]. cache: what was seen before these T tokens,
  // extended by them; or null. Throws Error(data) for texts longer than it has positions for.
  virtual at::Tensor forward(const at::Tensor& words, const Places& places,
                             const nn::BlockContext& context, nn::KvCache* cache) const = 0;
  virtual at::Tensor head() const = 0;  // [V, W], with what an adapter adds
  // Of texts ids [B, T] whose padding `mask` names (undefined: none), where nobody says them:
  // transformers' rule, [1 or B, T].
  virtual at::Tensor positions_of(const at::Tensor& ids, const at::Tensor& mask) const = 0;
  // As transformers initialises it; prefix: in front of its names.
  virtual void initialize(const std::string& prefix, Key init) const = 0;
};

std::unique_ptr<LanguageModel> make_language(const LanguageConfig& config);

}  // namespace tandem::models::llava
