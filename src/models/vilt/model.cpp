#include "models/vilt/model.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/logical_and.h>
#include <ATen/ops/softmax.h>

#include <algorithm>
#include <numeric>

#include "models/pass.h"
#include "models/vilt/layout.h"
#include "tandem/base/error.h"
#include "tandem/nn/init.h"
#include "tandem/nn/naming.h"
#include "tandem/objectives/hard_negatives.h"
#include "tandem/objectives/token_loss.h"
#include "tandem/objectives/wpa.h"

namespace tandem::models::vilt {
namespace {

// Rows end to end where the host knows every length, and where a loop over the samples' attention
// costs nothing (a GPU would launch a kernel for each).
bool can_pack(const Tokens& text, const Images& images) {
  return images.pixels.device().is_cpu() && !text.lengths.empty() && !images.sizes.empty();
}

}  // namespace

Heads::Heads(const Config& c) {
  vilt = register_module("vilt", std::make_shared<Vilt>(c));
  if (c.has("mlm")) {
    const at::Tensor words = vilt->embeddings->text_embeddings->word_embeddings->weight;
    mlm_score = register_module("mlm_score", std::make_shared<nn::PredictionHead>(
                                                 c.width, c.text.vocab_size, c.text.layer_norm_eps,
                                                 nn::activation_of(c.activation), "decoder.bias",
                                                 c.tied ? words : at::Tensor()));
  }
  if (c.has("itm")) {
    itm_score =
        nn::register_module_at(*this, "itm_score.fc", std::make_shared<nn::Linear>(c.width, 2));
  }
  if (c.has("rank")) {
    rank_output = register_module("rank_output", std::make_shared<nn::Linear>(c.width, 1));
  }
  if (c.has("vqa")) {
    classifier = register_module(
        "classifier", std::make_shared<nn::Classifier>(c.width, 2 * c.width, c.classes()));
  }
  if (c.has("nlvr2")) {
    const std::int64_t in = c.pictures * c.width;
    classifier =
        register_module("classifier", std::make_shared<nn::Classifier>(in, in, c.classes()));
  }
  if (c.has("tokens")) {
    token_classifier =
        register_module("classifier", std::make_shared<nn::Linear>(c.width, c.classes()));
  }
}

void initialize(Heads& heads, const Config& config, Key init) {
  nn::initialize_normal(parameters_of(heads), 0.02, init);
  if (heads.classifier) nn::fill_constant(heads.classifier->norm->weight, 1);  // "classifier.1"
  const at::Tensor modality = heads.vilt->embeddings->token_type_embeddings->weight;
  const at::NoGradGuard no_grad;
  for (std::int64_t row = 2; row < config.modalities; ++row) modality[row].copy_(modality[1]);
}

ViltModel::ViltModel(const Config& config, Key init) : config_(config) {
  if (config.text.vocab_size < 1) {
    throw Error(ErrorKind::config, "[models] expected model.text.vocab_size", "",
                "give the model a tokenizer, or set it");
  }
  heads_ = std::make_shared<Heads>(config);
  initialize(*heads_, config, init);
}

// --- The objectives (section 3.2) ------------------------------------------------------------

LossTerm ViltModel::masked_words(const Tokens& masked, const Images& images, bool pack,
                                 const nn::BlockContext& context) const {
  const PairOutput seen =
      heads_->vilt->forward({.text = masked, .images = images, .pack = pack}, context);
  at::Tensor rows = seen.text().flatten(0, 1);  // [B T, D]
  at::Tensor labels = masked.labels.flatten();
  double count = 0;                // it is divided by what counts() said
  if (labels.device().is_cpu()) {  // only the rows that count; a GPU would wait for their number
    const at::Tensor places = labels.ne(objectives::ignored).nonzero().squeeze(1);
    rows = rows.index_select(0, places);
    labels = labels.index_select(0, places);
    count = static_cast<double>(places.size(0));
  }
  return objectives::cross_entropy(heads_->mlm_score->forward(rows), labels, count);
}

MatchingPairs draw_pairs(const Images& images, Key key) {
  const std::int64_t size = images.pixels.size(0);
  std::vector<std::int64_t> labels(static_cast<std::size_t>(size), 0);
  std::fill(labels.begin(), labels.begin() + size / 2, 1);
  Random random(key.fold("labels"));
  for (std::size_t i = labels.size(); i > 1; --i) std::swap(labels[i - 1], labels[random.below(i)]);
  if (size == 1) labels[0] = 1;  // no other picture is there
  std::vector<std::int64_t> rows(labels.size());
  std::iota(rows.begin(), rows.end(), 0);
  MatchingPairs pairs;
  if (size > 1) {
    const at::Tensor others = objectives::draw_others(size, key.fold("others"));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (labels[i] == 0) rows[i] = others.const_data_ptr<std::int64_t>()[i];
    }
  }
  const at::Device device = images.pixels.device();
  const at::Tensor chosen = index_tensor(rows, device);
  pairs.labels = index_tensor(labels, device);
  pairs.images.pixels = images.pixels.index_select(0, chosen);
  if (images.mask.defined()) pairs.images.mask = images.mask.index_select(0, chosen);
  if (!images.sizes.empty()) {
    for (const std::int64_t row : rows) {
      pairs.images.sizes.push_back(images.sizes[static_cast<std::size_t>(row)]);
    }
  }
  return pairs;
}

LossTerms ViltModel::matching(const Tokens& text, const MatchingPairs& pairs, bool with_wpa,
                              bool pack, const nn::BlockContext& context) const {
  const PairOutput seen =
      heads_->vilt->forward({.text = text, .images = pairs.images, .pack = pack}, context);
  const auto count = static_cast<double>(pairs.labels.size(0));
  const at::Tensor logits = heads_->itm_score->forward(heads_->vilt->pool(seen));
  LossTerms terms{{"itm", objectives::cross_entropy(logits, pairs.labels, count)}};
  if (with_wpa) {
    const at::Tensor words = objectives::inner_tokens(text.mask);
    const at::Tensor patches = seen.layout.picture_mask.narrow(1, 1, seen.layout.picture - 1);
    const at::Tensor distance = objectives::transport_distance(
        seen.text(), words, seen.picture().narrow(1, 1, seen.layout.picture - 1), patches);
    terms["wpa"] = objectives::wpa(distance, pairs.labels);
  }
  return terms;
}

LossTerms ViltModel::losses(const Batch& batch, const LossRequest& request,
                            const StepContext& context) {
  const auto wanted = [&](const char* name) { return request.weights.contains(name); };
  if (wanted("vqa") || wanted("nlvr2") || (wanted("itm") && !heads_->itm_score)) {
    return task_losses(batch, request, context);
  }
  const Images& images = batch.images.value();
  const bool pack = can_pack(batch.text.value(), images);
  LossTerms terms;
  if (wanted("mlm")) {
    terms["mlm"] = masked_words(batch.masked.value(), images, pack, blocks_of(context, "mlm"));
  }
  if (wanted("itm") || wanted("wpa")) {
    const MatchingPairs pairs = draw_pairs(images, context.key.fold("pairs"));
    for (auto& [name, term] :
         matching(batch.text.value(), pairs, wanted("wpa"), pack, blocks_of(context, "itm"))) {
      if (wanted(name.c_str())) terms[name] = term;
    }
  }
  return terms;
}

// --- The model as others see it -------------------------------------------------------------

torch::nn::Module* ViltModel::module() const {
  return config_.parts.empty() ? static_cast<torch::nn::Module*>(heads_->vilt.get()) : heads_.get();
}

NamedTensors ViltModel::parameters() const { return parameters_of(*module()); }

std::vector<std::string> ViltModel::losses_known() const {
  std::vector<std::string> names;
  if (config_.has("mlm")) names.emplace_back("mlm");
  if (config_.has("itm")) names.insert(names.end(), {"itm", "wpa"});
  if (config_.ranks()) names.emplace_back("itm");
  if (config_.has("vqa")) names.emplace_back("vqa");
  if (config_.has("nlvr2")) names.emplace_back("nlvr2");
  return names;
}

std::vector<std::string> ViltModel::losses_of_micro_batch() const {
  if (!config_.ranks() || config_.others_drawn() > 0) return {};
  return {"itm"};
}

std::map<std::string, ChanceLevel> ViltModel::chance_levels(std::int64_t batch) const {
  const std::int64_t others =
      config_.others_drawn() > 0 ? config_.others : std::min(config_.others, batch - 1);
  return {{"mlm", chance_among(config_.text.vocab_size)},
          {"itm", chance_among(config_.has("itm") ? 2 : 1 + others)},
          {"nlvr2", chance_among(config_.classes())},
          {"wpa", {0, "no difference between pairs"}}};
}

std::map<std::string, double> ViltModel::counts(const Batch& batch,
                                                const LossRequest& request) const {
  const auto pairs = static_cast<double>(batch.images.value().pixels.size(0));
  std::map<std::string, double> counts{{"itm", pairs}, {"wpa", pairs}, {"vqa", pairs}};
  if (request.weights.contains("nlvr2")) {
    counts["nlvr2"] = objectives::count_labels(batch.labels);
  }
  if (request.weights.contains("mlm")) {
    counts["mlm"] = objectives::count_labels(batch.masked.value().labels);
  }
  return counts;
}

at::Tensor ViltModel::pooled(const Tokens& text, const Images& images, std::int64_t modality,
                             const nn::BlockContext& context) const {
  return heads_->vilt->pool(heads_->vilt->forward(
      {.text = text, .images = images, .modality = modality, .pack = can_pack(text, images)},
      context));
}

at::Tensor ViltModel::pooled(const Batch& batch) const {
  return pooled(batch.text.value(), batch.images.value(), 1, {});
}

Abilities ViltModel::abilities() {
  Abilities can;
  if (heads_->rank_output) {
    can.match_score = [this](const Batch& batch) {
      const at::NoGradGuard no_grad;
      return heads_->rank_output->forward(pooled(batch)).to(at::kFloat).squeeze(1);
    };
    can.match = [score = can.match_score](const Batch& batch) { return score(batch).sigmoid(); };
  } else if (heads_->itm_score) {
    const auto logits = [this](const Batch& batch) {
      const at::NoGradGuard no_grad;
      return heads_->itm_score->forward(pooled(batch)).to(at::kFloat);  // [B, 2]
    };
    can.match_score = [logits](const Batch& batch) { return logits(batch).select(1, 1); };
    can.match = [logits](const Batch& batch) { return at::softmax(logits(batch), 1).select(1, 1); };
  }
  if (config_.has("vqa") || (config_.has("nlvr2") && config_.pictures == 2)) {
    can.classify = [this](const Batch& batch) {
      const at::NoGradGuard no_grad;
      return answer_logits(batch, {}).to(at::kFloat);
    };
  }
  return can;
}

}  // namespace tandem::models::vilt
