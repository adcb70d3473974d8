#pragma once
// What the language-model families share of direct preference optimisation (objectives/dpo.h).
// Letters: B pairs of answers, T tokens, D width, V vocabulary.

#include <torch/nn/module.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/kept_reference.h"
#include "models/weight_names.h"
#include "tandem/base/fields.h"
#include "tandem/models/model.h"
#include "tandem/nn/linear.h"
#include "tandem/objectives/dpo.h"

namespace tandem::models {

struct PreferenceConfig {
  // What the policy is compared with: "adapters": itself without them; "copy": the language model
  // as it was when the stage began, kept beside it; "none".
  std::string reference = "adapters";
  std::string kind = "sigmoid";
  double beta = 0.1, smoothing = 0;
  std::int64_t keep = 0;  // pairs whose reference values are kept on disk (kept_reference.h)
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

// Each tensor of the copy takes the value of the policy's of the same name, and learns nothing.
void freeze_copy(torch::nn::Module& copy, const torch::nn::Module& policy);

// "reference.NAME" of each of its tensors; none where `copy` is null.
NamedTensors buffers_of(const torch::nn::Module* copy);

// For import_weights: a copy that a file does not have begins as the language model, whose names
// begin with one of `parts`; where none is wanted, a file's is left out.
Weights with_reference(Weights weights, std::initializer_list<const char*> parts, bool wanted);

// A language model, as answers are read with it.
struct AnswerModel {
  // Texts, with what stands in their pictures' places -> hidden states [B, T, D].
  std::function<at::Tensor(const Tokens&, const at::Tensor& looks, const nn::BlockContext&)> read{};
  std::function<at::Tensor()> head{};  // [V, D], with what an adapter adds
};

// How a family reads texts behind a batch's pictures. What it refers to lives as long as it does.
struct AnswerReader {
  const torch::nn::Module& module;  // of all parameters
  AnswerModel own;
  const torch::nn::Module* copy;  // that preferences are compared with; null: there is none
  AnswerModel of_copy;            // empty where there is none
  // Looks at the pictures: what stands in their places; undefined without pictures.
  std::function<at::Tensor(const Batch&)> look;
  KeptReference* kept = nullptr;          // null: nothing is kept
  std::function<std::string()> config{};  // what else its values follow from: config.json
  // Of Batch::patches, where each sample's pictures begin, and the end; empty: there are none.
  std::function<std::vector<std::int64_t>(const Batch&)> picture_ends{};
};

// The loss of a batch with `rejected`. hidden: of the chosen answers; looks: what they were read
// with; rejected: the pass of the others. Throws Error(config) when the reference would move with
// the policy.
LossTerm preference_loss(const AnswerReader& reader, const PreferenceConfig& config,
                         const Batch& batch, const at::Tensor& looks, const at::Tensor& hidden,
                         const nn::BlockContext& rejected);

// Abilities::prefer, without gradient. Without a reference where the loss would have none.
Preferred preferred(const AnswerReader& reader, const PreferenceConfig& config, const Batch& batch);

// Its count; throws Error(data) for a batch without rejected answers.
double count_preferences(const Batch& batch);

}  // namespace tandem::models
