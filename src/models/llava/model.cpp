#include "models/llava/model.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <utility>

#include "models/pass.h"
#include "tandem/base/error.h"
#include "tandem/models/generate_steps.h"
#include "tandem/nn/decoder.h"
#include "tandem/nn/naming.h"
#include "tandem/objectives/lm.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::llava {

// --- Parts: figure 1 -------------------------------------------------------------------------

Llava::Llava(const Config& c) : tower(make_tower(c.vision)), language(make_language(c.language)) {
  const auto seen = static_cast<std::int64_t>(c.feature_layers.size());
  connector = make_connector(c.connector, seen * c.vision.width, c.language.words());
  nn::register_module_at(*this, "vision_tower.vision_model", tower->module());
  register_module("multi_modal_projector", connector->module());
  register_module("language_model", language->module());
}

LlavaModel::LlavaModel(const Config& config, Key init) : config_(config) {
  if (config.language.vocab_size < 1 || config.image_id < 0) {
    throw Error(ErrorKind::config, "[models] expected model.language.vocab_size and image_id", "",
                "give the model a tokenizer, or set them");
  }
  statistics_ = statistics_of(config.image);
  llava_ = std::make_shared<Llava>(config);
  initialize(*llava_, init);
  read_pretrained(*llava_, config);
  if (config.preference.reference != "copy") return;
  copied_ = make_language(config.language);
  reference_ = std::make_shared<torch::nn::Module>();
  reference_->register_module("language_model", copied_->module());
  freeze_copy(*reference_, *llava_);
}

// --- 4.1: H_v = W Z_v, in the words' places ---------------------------------------------------

at::Tensor LlavaModel::seen_rows(const at::Tensor& pixels, const std::vector<std::int64_t>& blocks,
                                 bool class_token, const nn::BlockContext& context) const {
  std::vector<at::Tensor> seen = llava_->tower->states(pixels, blocks, context);
  if (!class_token) {
    for (at::Tensor& rows : seen) rows = rows.narrow(1, 1, rows.size(1) - 1);
  }
  return seen.size() == 1 ? seen[0] : at::cat(seen, -1);
}

TowerPart LlavaModel::tower_part() const {
  const auto seen = static_cast<std::int64_t>(config_.feature_layers.size());
  TowerPart part{.rows = config_.rows_seen(), .width = seen * config_.vision.width};
  part.weights = parameters_of(*llava_->tower->module(), "vision_tower.vision_model.");
  part.settings = llava_->tower->text(config_.image_settings());
  for (const std::int64_t block : config_.blocks()) {
    part.settings += " block " + std::to_string(block);
  }
  if (config_.class_token) part.settings += " class token";
  return part;
}

at::Tensor LlavaModel::embed(const LanguageModel& language, const at::Tensor& ids,
                             const at::Tensor& pictures) const {
  // The picture's token need not be a row of the table.
  const at::Tensor places = ids == config_.image_id;
  const at::Tensor words = language.embed(
      config_.image_id < config_.language.vocab_size ? ids : ids.masked_fill(places, 0));
  if (!pictures.defined()) return words;
  return words.masked_scatter(places.unsqueeze(-1).expand_as(words),
                              pictures.to(words.scalar_type()));
}

at::Tensor LlavaModel::read_pictures(const Batch& batch, const StepContext* context) const {
  if (!batch.images || batch.images->pixels.size(0) == 0) return {};
  const auto own = [&](const char* pass) {
    return context != nullptr ? blocks_of(*context, pass) : nn::BlockContext{};
  };
  const at::Tensor seen =
      tower_rows(batch.images->pixels, llava_->is_training(), [&](const at::Tensor& some) {
        return seen_rows(nn::normalize_pixels(some, statistics_), config_.blocks(),
                         config_.class_token, own("image"));
      });
  return llava_->connector->forward(seen, own("connector"));
}

at::Tensor LlavaModel::read(const LanguageModel& language, const Tokens& text,
                            const at::Tensor& pictures, const nn::BlockContext& context) const {
  std::int64_t length = text.ids.size(1);  // of the longest text: scaled positions depend on it
  nn::Mask mask = nn::causal_mask();       // hides padding, which stands behind the words
  if (text.segments.defined()) {
    const std::vector<std::int64_t> ends = ends_of_pack(text);
    length = 0;
    for (std::size_t i = 1; i < ends.size(); ++i) length = std::max(length, ends[i] - ends[i - 1]);
    mask = nn::packed_mask(ends, true);
  }
  const at::Tensor positions = text.positions.defined()
                                   ? text.positions
                                   : at::arange(text.ids.size(1), text.ids.options()).unsqueeze(0);
  return language.forward(embed(language, text.ids, pictures), {positions, length, mask}, context,
                          nullptr);
}

LossTerms LlavaModel::losses(const Batch& batch, const LossRequest& request,
                             const StepContext& context) {
  const Tokens& text = batch.text.value();
  const at::Tensor pictures = read_pictures(batch, &context);
  const at::Tensor hidden = read(*llava_->language, text, pictures, blocks_of(context, "language"));
  LossTerms terms;
  if (asks(request, "lm")) {
    const at::Tensor labels = objectives::shifted_labels(text.labels);
    terms["lm"] = objectives::lm_loss(hidden, llava_->language->head(), labels,
                                      objectives::host_count(labels));
  }
  if (asks(request, "dpo")) {
    terms["dpo"] = preference_loss(reader_of(), config_.preference, batch, pictures, hidden,
                                   blocks_of(context, "rejected"));
  }
  return terms;
}

AnswerReader LlavaModel::reader_of() {
  const auto with = [this](const LanguageModel* language) -> AnswerModel {
    return {[this, language](const Tokens& text, const at::Tensor& pictures,
                             const nn::BlockContext& context) {
              return read(*language, text, pictures, context);
            },
            [language] { return language->head(); }};
  };
  AnswerModel of_copy;
  if (copied_ != nullptr) of_copy = with(copied_.get());
  return {*llava_,
          with(llava_->language.get()),
          reference_.get(),
          of_copy,
          [this](const Batch& batch) { return read_pictures(batch, nullptr); },
          &kept_,
          [this] { return to_config_json(config_); }};
}

// --- Replies ----------------------------------------------------------------------------------

std::vector<std::vector<std::int64_t>> LlavaModel::write(const Batch& prompts,
                                                         const GenerateOptions& options) const {
  const at::NoGradGuard no_grad;
  const Tokens& text = prompts.text.value();
  const LanguageModel& language = *llava_->language;
  const at::Tensor head = language.head();
  nn::KvCache cache(language.layers());
  at::Tensor mask = text.mask.defined() ? text.mask : at::ones_like(text.ids);
  const auto next = [&](const GenerationStep& step) {
    at::Tensor embeds;
    if (step.first) {
      embeds = embed(language, text.ids, read_pictures(prompts, nullptr));
    } else {
      if (step.from.defined()) {
        cache.reorder(step.from);
        mask = mask.index_select(0, step.from);
      }
      mask = at::cat({mask, at::ones({mask.size(0), 1}, mask.options())}, 1);
      embeds = embed(language, step.ids.narrow(1, step.ids.size(1) - 1, 1), {});
    }
    const std::int64_t tokens = embeds.size(1), length = mask.size(1);
    const at::Tensor positions = nn::positions_of(mask).narrow(1, length - tokens, tokens);
    const at::Tensor hidden =
        language.forward(embeds, {positions, length, nn::decoder_mask(mask, tokens)}, {}, &cache);
    return at::linear(hidden.select(1, tokens - 1), head);
  };
  return generate_steps(next, text.ids, config_.language.eos_ids, options);
}

// --- The model as others see it -------------------------------------------------------------

NamedTensors LlavaModel::parameters() const { return parameters_of(*llava_); }

void LlavaModel::to(const at::Device& device) {
  llava_->to(device);
  if (reference_ != nullptr) reference_->to(device);
}

void LlavaModel::train(bool on) { llava_->train(on); }

std::map<std::string, ChanceLevel> LlavaModel::chance_levels(std::int64_t) const {
  std::map<std::string, ChanceLevel> levels{{"lm", chance_among(config_.language.vocab_size)}};
  if (config_.preference.kind == "sigmoid") levels["dpo"] = chance_among(2);
  return levels;
}

std::map<std::string, double> LlavaModel::counts(const Batch& batch,
                                                 const LossRequest& request) const {
  const Tokens& text = batch.text.value();
  TANDEM_CHECK(text.labels.defined(), "[lm] expected labels");
  const std::int64_t pictures = batch.images ? batch.images->pixels.size(0) : 0;
  const auto places = (text.ids == config_.image_id).sum().item<std::int64_t>();
  if (places != pictures * config_.picture_tokens()) {
    throw Error(ErrorKind::data, "[models] expected " +
                                     std::to_string(pictures * config_.picture_tokens()) +
                                     " places for " + std::to_string(pictures) + " pictures; got " +
                                     std::to_string(places));
  }
  std::map<std::string, double> all{
      {"lm", objectives::count_labels(text.labels.narrow(1, 1, text.labels.size(1) - 1))}};
  if (asks(request, "dpo")) all["dpo"] = count_preferences(batch);
  return all;
}

Abilities LlavaModel::abilities() {
  Abilities can;
  can.generate = [this](const Batch& prompts, const GenerateOptions& options) {
    return write(prompts, options);
  };
  can.prefer = [this](const Batch& batch) {
    return preferred(reader_of(), config_.preference, batch);
  };
  return can;
}

}  // namespace tandem::models::llava
