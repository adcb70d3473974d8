#include "models/preference.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>

#include <algorithm>
#include <optional>
#include <tuple>
#include <unordered_set>

#include "models/pass.h"
#include "tandem/base/error.h"
#include "tandem/objectives/divergence.h"
#include "tandem/objectives/lm.h"
#include "tandem/tensor/autocast.h"

namespace tandem::models {

void fields(FieldVisitor& v, PreferenceConfig& c) {
  v.field(
      "reference", c.reference,
      {.doc = "what preferences are compared with: adapters (the model without them), copy (the "
              "language model as the stage found it) or none",
       .choices = {"adapters", "copy", "none"}});
  v.field(
      "kind", c.kind,
      {.doc = "of the loss", .choices = {"sigmoid", "ipo", "robust"}, .aliases = {"pref_loss"}});
  v.field("beta", c.beta,
          {.doc = "how closely the reference is followed",
           .min = 0,
           .max = 100,
           .above_min = true,
           .aliases = {"pref_beta", "dpo_beta"}});
  v.field("smoothing", c.smoothing,
          {.doc = "share of pairs taken to be labelled the wrong way round", .min = 0, .max = 0.5});
  v.field("keep", c.keep,
          {.doc = "how many pairs there is room for to keep what the reference says of each, which "
                  "is then computed once, a sample at a time (about 150 bytes a pair, in the run's "
                  "folder `kept`); 0: it is computed each time",
           .min = 0,
           .max = 1e9});
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

// --- The copy ----------------------------------------------------------------------------------

void freeze_copy(torch::nn::Module& copy, const torch::nn::Module& policy) {
  const at::NoGradGuard no_grad;
  auto own = copy.named_parameters();
  for (auto& item : own) item.value().set_requires_grad(false);
  for (const auto& item : policy.named_parameters()) {
    if (at::Tensor* to = own.find(item.key())) to->copy_(item.value());
  }
}

NamedTensors buffers_of(const torch::nn::Module* copy) {
  NamedTensors all;
  if (copy == nullptr) return all;
  for (const auto& [name, tensor] : parameters_of(*copy)) {
    all.emplace_back("reference." + name, tensor);
  }
  return all;
}

Weights with_reference(Weights weights, std::initializer_list<const char*> parts, bool wanted) {
  const std::string prefix = "reference.";
  if (!wanted) {
    std::erase_if(weights, [&](const auto& item) { return item.first.starts_with(prefix); });
    return weights;
  }
  Weights added;
  for (const auto& [name, value] : weights) {
    if (name.starts_with(prefix)) return weights;
    const bool language = std::any_of(parts.begin(), parts.end(), [&name = name](const char* part) {
      return name.starts_with(part);
    });
    if (language) added[prefix + name] = value;
  }
  weights.merge(added);
  return weights;
}

// --- Both answers ------------------------------------------------------------------------------

namespace {

// What one model makes of both answers of a batch.
struct ReadAnswers {
  at::Tensor chosen, rejected;  // hidden states [B, T, D], each of its own T
  at::Tensor head;              // [V, D]
};

ReadAnswers read_answers(const AnswerModel& model, const Batch& batch, const at::Tensor& looks) {
  return {model.read(batch.text.value(), looks, {}), model.read(batch.rejected.value(), looks, {}),
          model.head()};
}

void expect_frozen_looks(const at::Tensor& looks) {
  if (!looks.defined() || !looks.requires_grad()) return;
  throw Error(ErrorKind::config,
              "[dpo] expected that nothing before the language model learns: the reference is "
              "a copy of the language model alone",
              "", "train the language model only, or model.preference.reference: adapters");
}

// Nothing where there is no reference. Adapters may stand before the language model, too: then the
// pictures are looked at again without them.
std::optional<ReadAnswers> of_reference(const AnswerReader& reader, const Batch& batch,
                                        const at::Tensor& looks) {
  const bool learned = looks.defined() && looks.requires_grad();
  const bool known = looks.defined() && at::GradMode::is_enabled();  // whether it is learned
  const at::NoGradGuard no_grad;
  if (reader.copy != nullptr) {
    return read_answers(reader.of_copy, batch, looks);
  }
  const WithoutAdapters off(reader.module);
  if (!off.is_reference()) return std::nullopt;
  return read_answers(reader.own, batch, known && !learned ? looks : reader.look(batch));
}

// log p of each answer [B]: of a row, or of the samples of a pack.
at::Tensor answer_sums(const at::Tensor& hidden, const at::Tensor& head, const Tokens& text) {
  const at::Tensor shifted = objectives::shifted_labels(text.labels);
  const double count = objectives::host_count(shifted);
  if (!text.segments.defined()) {
    return objectives::answer_log_probs(hidden, head, text.labels, count);
  }
  const at::Tensor each = objectives::token_losses(hidden, head, shifted, count);  // [1, T]
  const std::vector<std::int64_t> ends = ends_of_pack(text);
  std::vector<at::Tensor> sums;
  for (std::size_t i = 1; i < ends.size(); ++i) {
    sums.push_back(each.narrow(1, ends[i - 1], ends[i] - ends[i - 1]).sum(1));
  }
  return at::cat(sums).neg();
}

std::pair<at::Tensor, at::Tensor> log_probs(const ReadAnswers& read, const Batch& batch) {
  return {answer_sums(read.chosen, read.head, batch.text.value()),
          answer_sums(read.rejected, read.head, batch.rejected.value())};
}

[[noreturn]] void refuse_without_reference() {
  throw Error(ErrorKind::config, "[dpo] expected adapters, and nothing trained beside them", "",
              "train with lora, or set model.preference.reference: copy");
}

// --- Kept values -------------------------------------------------------------------------------

// What the reference is made of: what is not trained, and the copy.
ReferenceFacts facts_of(const AnswerReader& reader, const at::Device& device) {
  ReferenceFacts facts;
  for (const auto& [name, tensor] : parameters_of(reader.module)) {
    if (!tensor.requires_grad()) facts.weights.emplace_back(name, tensor);
  }
  for (const auto& buffer : buffers_of(reader.copy)) facts.weights.push_back(buffer);
  facts.config = reader.config();
  const bool mixed = autocast_setting(device.type()).on;
  facts.config += mixed ? "\nautocast" : "";
  return facts;
}

std::pair<at::Tensor, at::Tensor> kept_log_probs(const AnswerReader& reader, const Batch& batch) {
  const at::NoGradGuard no_grad;
  const auto pairs = static_cast<std::int64_t>(count_preferences(batch));
  const std::vector<std::int64_t> ends =
      batch.patches ? reader.picture_ends(batch) : std::vector<std::int64_t>();
  std::vector<Batch> samples;
  for (std::int64_t i = 0; i < pairs; ++i) samples.push_back(sample_of(batch, i, ends));
  const at::Device device = batch.text->ids.device();
  const at::Tensor values = reader.kept->values(
      samples, [&] { return facts_of(reader, device); },
      [&](const Batch& one) {
        const at::Tensor looks = reader.copy != nullptr ? reader.look(one) : at::Tensor();
        const std::optional<ReadAnswers> read = of_reference(reader, one, looks);
        if (!read) refuse_without_reference();
        const auto [chosen, rejected] = log_probs(*read, one);
        return at::cat({chosen, rejected});
      });
  return {values.select(1, 0).to(device), values.select(1, 1).to(device)};
}

}  // namespace

LossTerm preference_loss(const AnswerReader& reader, const PreferenceConfig& config,
                         const Batch& batch, const at::Tensor& looks, const at::Tensor& hidden,
                         const nn::BlockContext& rejected) {
  const objectives::DpoOptions options = options_of(config);
  const ReadAnswers own{hidden, reader.own.read(batch.rejected.value(), looks, rejected),
                        reader.own.head()};
  std::pair<at::Tensor, at::Tensor> reference;
  if (!options.reference_free) {
    if (reader.copy != nullptr) expect_frozen_looks(looks);
    if (reader.kept != nullptr && reader.kept->on()) {
      reference = kept_log_probs(reader, batch);
    } else {
      const std::optional<ReadAnswers> read = of_reference(reader, batch, looks);
      if (!read) refuse_without_reference();
      reference = log_probs(*read, batch);
    }
  }
  const auto [chosen, other] = log_probs(own, batch);
  return objectives::dpo_loss(chosen, other, reference.first, reference.second, options).loss;
}

Preferred preferred(const AnswerReader& reader, const PreferenceConfig& config,
                    const Batch& batch) {
  const at::NoGradGuard no_grad;
  const at::Tensor looks = reader.look(batch);
  const ReadAnswers own = read_answers(reader.own, batch, looks);
  Preferred made;
  std::tie(made.chosen, made.rejected) = log_probs(own, batch);
  made.tokens = objectives::answer_tokens(batch.text->labels);
  made.beta = config.beta;
  if (config.reference == "none") return made;
  const std::optional<ReadAnswers> read = of_reference(reader, batch, looks);
  if (!read) return made;
  std::tie(made.reference_chosen, made.reference_rejected) = log_probs(*read, batch);
  made.divergence = objectives::answer_divergence({own.chosen, own.head},
                                                  {read->chosen, read->head}, batch.text->labels);
  return made;
}

double count_preferences(const Batch& batch) {
  if (!batch.rejected) {
    throw Error(ErrorKind::data, "[dpo] expected samples with a rejected answer");
  }
  const Tokens& rejected = *batch.rejected;
  return static_cast<double>(rejected.segments.defined() ? ends_of_pack(rejected).size() - 1
                                                         : rejected.ids.size(0));
}

}  // namespace tandem::models
