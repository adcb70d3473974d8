#include "models/preference.h"

#include <memory>
#include <unordered_set>

namespace tandem::models {

void fields(FieldVisitor& v, PreferenceConfig& c) {
  v.field(
      "reference", c.reference,
      {.doc = "what preferences are compared with: adapters (the model without them), copy (the "
              "language model as the stage found it) or none",
       .choices = {"adapters", "copy", "none"}});
  v.field("kind", c.kind, {.doc = "of the loss", .choices = {"sigmoid", "ipo", "robust"}});
  v.field(
      "beta", c.beta,
      {.doc = "how closely the reference is followed", .min = 0, .max = 100, .above_min = true});
  v.field("smoothing", c.smoothing,
          {.doc = "share of pairs taken to be labelled the wrong way round", .min = 0, .max = 0.5});
}

objectives::DpoOptions options_of(const PreferenceConfig& c) {
  objectives::DpoOptions options;
  options.kind = c.kind == "ipo"      ? objectives::DpoKind::ipo
                 : c.kind == "robust" ? objectives::DpoKind::robust
                                      : objectives::DpoKind::sigmoid;
  options.beta = c.beta;
  options.smoothing = c.smoothing;
  options.reference_free = c.reference == "none";
  return options;
}

WithoutAdapters::WithoutAdapters(const torch::nn::Module& module) {
  std::unordered_set<const void*> own;  // the adapters' parameters
  for (const auto& child : module.modules()) {
    const auto linear = std::dynamic_pointer_cast<nn::Linear>(child);
    if (linear == nullptr || !linear->adapted()) continue;
    scales_.emplace_back(linear, linear->scale);
    linear->scale = 0;
    own.insert(linear->a.unsafeGetTensorImpl());
    own.insert(linear->b.unsafeGetTensorImpl());
  }
  is_reference_ = !scales_.empty();
  for (const at::Tensor& parameter : module.parameters()) {
    const bool adapter = own.contains(parameter.unsafeGetTensorImpl());
    if (parameter.requires_grad() && !adapter) is_reference_ = false;
  }
}

WithoutAdapters::~WithoutAdapters() {
  for (const auto& [linear, scale] : scales_) linear->scale = scale;
}

}  // namespace tandem::models
