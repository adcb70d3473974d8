#pragma once
// What the language-model families share of direct preference optimisation (objectives/dpo.h).

#include <torch/nn/module.h>

#include <string>
#include <utility>
#include <vector>

#include "tandem/base/fields.h"
#include "tandem/nn/linear.h"
#include "tandem/objectives/dpo.h"

namespace tandem::models {

struct PreferenceConfig {
  // What the policy is compared with: "adapters": itself without them; "copy": the language model
  // as it was when the stage began, kept beside it; "none".
  std::string reference = "adapters";
  std::string kind = "sigmoid";
  double beta = 0.1, smoothing = 0;
};
void fields(FieldVisitor& visitor, PreferenceConfig& config);

objectives::DpoOptions options_of(const PreferenceConfig& config);

// While it lives, every Linear below `module` gives what it gives without its adapter.
class WithoutAdapters {
 public:
  explicit WithoutAdapters(const torch::nn::Module& module);
  ~WithoutAdapters();
  WithoutAdapters(const WithoutAdapters&) = delete;
  WithoutAdapters& operator=(const WithoutAdapters&) = delete;

  // False: there is no adapter, or a parameter beside them is trained; then the module without
  // adapters is no reference.
  bool is_reference() const { return is_reference_; }

 private:
  std::vector<std::pair<std::shared_ptr<nn::Linear>, double>> scales_;
  bool is_reference_ = false;
};

}  // namespace tandem::models
