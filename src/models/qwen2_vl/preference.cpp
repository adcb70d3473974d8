// Direct preference optimisation: the report's last stage (Bai et al. 2025, section 2.2.2), the
// tower frozen. Chosen and rejected answers stand behind the same pictures, which are looked at
// once.

#include <ATen/core/grad_mode.h>

#include "models/pass.h"
#include "models/qwen2_vl/model.h"
#include "tandem/base/error.h"
#include "tandem/objectives/dpo.h"
#include "tandem/objectives/lm.h"

namespace tandem::models::qwen2_vl {
namespace {

at::Tensor answers(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& labels) {
  const double count = objectives::host_count(objectives::shifted_labels(labels));
  return objectives::answer_log_probs(hidden, head, labels, count);
}

}  // namespace

Reference::Reference(const Config& config) {
  model = register_module("model", std::make_shared<nn::Decoder>(config.decoder_shape()));
  if (!config.text.tied) {
    lm_head = register_module(
        "lm_head", std::make_shared<nn::Linear>(config.text.width, config.text.vocab_size, false));
  }
  for (at::Tensor& parameter : parameters()) parameter.set_requires_grad(false);
}

void Reference::copy_from(const Qwen2Vl& policy) {
  const at::NoGradGuard no_grad;
  auto own = named_parameters();
  for (const auto& item : policy.named_parameters()) {
    if (at::Tensor* copy = own.find(item.key())) copy->copy_(item.value());
  }
}

at::Tensor Reference::head() const {
  return lm_head ? lm_head->weight : model->embed_tokens->weight;
}

std::pair<at::Tensor, at::Tensor> Qwen2VlModel::reference_answers(const Batch& batch,
                                                                  const at::Tensor& looks) const {
  const at::NoGradGuard no_grad;
  const Tokens &chosen = batch.text.value(), &rejected = batch.rejected.value();
  const auto both = [&](const nn::Decoder& decoder, const at::Tensor& head,
                        const at::Tensor& seen) -> std::pair<at::Tensor, at::Tensor> {
    return {answers(read(decoder, chosen, seen, {}), head, chosen.labels),
            answers(read(decoder, rejected, seen, {}), head, rejected.labels)};
  };
  const bool learned = looks.defined() && looks.requires_grad();
  if (reference_ != nullptr) {
    if (learned) {
      throw Error(ErrorKind::config,
                  "[dpo] expected a frozen tower: the reference is a copy of the language model",
                  "", "train: [\"model.*\"], or model.preference.reference: adapters");
    }
    return both(*reference_->model, reference_->head(), looks);
  }
  const WithoutAdapters off(*model_);
  if (!off.is_reference()) {
    throw Error(ErrorKind::config, "[dpo] expected adapters, and nothing trained beside them", "",
                "train with lora, or set model.preference.reference: copy");
  }
  return both(*model_->model, model_->head(), learned ? look(batch.patches, {}) : looks);
}

LossTerm Qwen2VlModel::dpo(const Batch& batch, const at::Tensor& looks, const at::Tensor& hidden,
                           const StepContext& context) const {
  const Tokens &chosen = batch.text.value(), &rejected = batch.rejected.value();
  const objectives::DpoOptions options = options_of(config_.preference);
  const at::Tensor other = read(*model_->model, rejected, looks, blocks_of(context, "rejected"));
  std::pair<at::Tensor, at::Tensor> reference;
  if (!options.reference_free) reference = reference_answers(batch, looks);
  return objectives::dpo_loss(answers(hidden, model_->head(), chosen.labels),
                              answers(other, model_->head(), rejected.labels), reference.first,
                              reference.second, options)
      .loss;
}

}  // namespace tandem::models::qwen2_vl
