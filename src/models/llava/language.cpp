#include "models/llava/language.h"

#include <ATen/ops/arange.h>

#include <map>

#include "models/opt_language.h"
#include "models/pass.h"
#include "tandem/base/error.h"
#include "tandem/nn/decoder.h"
#include "tandem/nn/init.h"
#include "tandem/nn/opt.h"

namespace tandem::models::llava {
namespace {

at::Tensor places_in_row(const at::Tensor& ids) {
  return at::arange(ids.size(1), ids.options()).unsqueeze(0);
}

// LLaMA and Qwen2.
class RotaryLanguage final : public LanguageModel {
 public:
  explicit RotaryLanguage(const LanguageConfig& config)
      : config_(config),
        rope_(rope_of(config)),
        own_(std::make_shared<DecoderAndHead>(shape_of(config), config.tied)) {}

  std::shared_ptr<torch::nn::Module> module() const override { return own_; }
  std::int64_t layers() const override { return config_.layers; }
  at::Tensor embed(const at::Tensor& ids) const override { return own_->decoder->embed(ids); }

  at::Tensor forward(const at::Tensor& words, const Places& places, const nn::BlockContext& context,
                     nn::KvCache* cache) const override {
    return own_->decoder->forward(words, nn::make_rotary(rope_, places.positions, places.longest),
                                  places.mask, context, cache);
  }

  at::Tensor head() const override { return head_matrix(own_->head.get(), *own_->decoder); }

  at::Tensor positions_of(const at::Tensor& ids, const at::Tensor&) const override {
    return places_in_row(ids);
  }

  void initialize(const std::string& prefix, Key init) const override {
    initialize_decoder(*own_->decoder, config_, prefix + "model.", init);
    if (own_->head == nullptr) return;
    nn::fill_normal(own_->head->weight, config_.init, init, prefix + "lm_head.weight");
  }

 private:
  LanguageConfig config_;
  nn::RopeShape rope_;
  std::shared_ptr<DecoderAndHead> own_;
};

class OptLanguage final : public LanguageModel {
 public:
  explicit OptLanguage(const LanguageConfig& config)
      : init_(config.init), opt_(std::make_shared<nn::Opt>(opt_shape(config))) {}

  std::shared_ptr<torch::nn::Module> module() const override { return opt_; }
  std::int64_t layers() const override { return opt_->shape.layers; }
  at::Tensor embed(const at::Tensor& ids) const override { return opt_->embed(ids); }

  at::Tensor forward(const at::Tensor& words, const Places& places, const nn::BlockContext& context,
                     nn::KvCache* cache) const override {
    opt_->expect_room(places.longest);
    return opt_->forward_at(words, places.positions, places.mask, context, cache);
  }

  at::Tensor head() const override { return opt_->head; }

  // They are learned, so padding must not count.
  at::Tensor positions_of(const at::Tensor& ids, const at::Tensor& mask) const override {
    if (!mask.defined()) return places_in_row(ids);
    return nn::opt_positions(mask.to(at::kLong));
  }

  void initialize(const std::string& prefix, Key init) const override {
    nn::initialize_normal(parameters_of(*opt_, prefix), init_, init);
  }

 private:
  double init_;
  std::shared_ptr<nn::Opt> opt_;
};

template <class T>
std::unique_ptr<LanguageModel> made_language(const LanguageConfig& config) {
  return std::make_unique<T>(config);
}

}  // namespace

std::unique_ptr<LanguageModel> make_language(const LanguageConfig& config) {
  static const std::map<std::string, std::unique_ptr<LanguageModel> (*)(const LanguageConfig&)>
      kinds{{"llama", made_language<RotaryLanguage>},
            {"qwen2", made_language<RotaryLanguage>},
            {"opt", made_language<OptLanguage>}};
  const auto found = kinds.find(config.kind);
  TANDEM_CHECK(found != kinds.end(), "[models] expected a kind of language model");
  return found->second(config);
}

}  // namespace tandem::models::llava
