// The second stage: queries as the first words of a language model, which reads on (OPT), or reads
// the beginning of a text and writes its end (T5). Source: Li et al. 2023, section 3.2;
// salesforce/LAVIS:blip2_models/{blip2_opt,blip2_t5}.py.

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>

#include <algorithm>

#include "models/blip2/model.h"
#include "models/pass.h"
#include "tandem/base/error.h"
#include "tandem/models/generate_steps.h"
#include "tandem/objectives/lm.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::blip2 {
namespace {

at::Tensor mask_of(const Tokens& tokens) {
  return tokens.mask.defined() ? tokens.mask.to(at::kLong)
                               : at::ones(tokens.ids.sizes(), tokens.ids.options());
}

// The words that are learned: all tokens, unless the batch says which.
at::Tensor labels_of(const Tokens& tokens) {
  if (tokens.labels.defined()) return tokens.labels;
  return tokens.ids.masked_fill(mask_of(tokens).eq(0), objectives::ignored);
}

// Rows in front of words, and both's mask.
struct Words {
  at::Tensor rows, mask;  // [B, Q + T, W], [B, Q + T]
};

Words behind(const at::Tensor& queries, const at::Tensor& words, const at::Tensor& mask) {
  if (!queries.defined()) return {words, mask};
  if (queries.size(2) != words.size(2)) {
    throw Error(ErrorKind::config,
                "[models] expected a language model whose table of words has its width", "",
                "language.word_width: 0");
  }
  const at::Tensor ones = at::ones({queries.size(0), queries.size(1)}, mask.options());
  return {at::cat({queries, words.to(queries.scalar_type())}, 1), at::cat({ones, mask}, 1)};
}

at::Tensor taken(const at::Tensor& rows, const at::Tensor& from) {
  return from.defined() ? rows.index_select(0, from) : rows;
}

at::Tensor last_of(const at::Tensor& ids) { return ids.narrow(1, ids.size(1) - 1, 1); }

std::vector<std::vector<std::int64_t>> without_first(std::vector<std::vector<std::int64_t>> texts,
                                                     std::int64_t count) {
  for (auto& text : texts) text.erase(text.begin(), text.begin() + count);
  return texts;
}

}  // namespace

std::map<std::string, double> Blip2Model::counts(const Batch& batch, const LossRequest&) const {
  const auto after_first = [](const at::Tensor& labels) {
    return objectives::count_labels(labels.narrow(1, 1, labels.size(1) - 1));
  };
  if (kind_ == Kind::pretrain) {
    const auto size = static_cast<double>(batch.images.value().pixels.size(0));
    return {{"itc", size}, {"itm", 3 * size}, {"lm", after_first(labels_of(batch.text.value()))}};
  }
  if (net_->t5) {
    return {{"prefix_lm", objectives::count_labels(labels_of(batch.answers.value()))}};
  }
  if (!net_->opt) return {};
  const at::Tensor labels = labels_of(batch.text.value());
  return {{"lm", batch.images ? objectives::count_labels(labels) : after_first(labels)}};
}

// Without pictures the language model learns alone. The loop divides by the count that the host
// knows; the one here is not read.
LossTerms Blip2Model::second_stage(const Batch& batch, const StepContext& context) const {
  const Tokens& tokens = batch.text.value();
  const at::Tensor queries =
      batch.images ? as_words(batch.images->pixels, blocks_of(context, "picture")) : at::Tensor();
  if (net_->opt) {
    const Words in = behind(queries, net_->opt->embed(tokens.ids), mask_of(tokens));
    const at::Tensor hidden = net_->opt->forward(in.rows, in.mask, blocks_of(context, "language"));
    const at::Tensor labels = labels_of(tokens);
    // The last query gives the first word.
    const std::int64_t skipped = queries.defined() ? 0 : 1;
    const std::int64_t length = tokens.ids.size(1) - skipped;
    const at::Tensor rows = hidden.narrow(1, hidden.size(1) - 1 - length, length);
    const at::Tensor wanted = labels.narrow(1, skipped, length);
    return {
        {"lm", objectives::lm_loss(rows, net_->opt->head, wanted, objectives::host_count(wanted))}};
  }
  if (!net_->t5) return {};
  const Words in = behind(queries, net_->t5->embed(tokens.ids), mask_of(tokens));
  const at::Tensor labels = labels_of(batch.answers.value());
  const at::Tensor encoded =
      net_->t5->encoder->forward(in.rows, in.mask, {}, {}, blocks_of(context, "encoder"));
  const at::Tensor fed =
      nn::shifted_right(labels, config_.language.start_id, config_.language.pad_id);
  const at::Tensor hidden =
      net_->t5->decode(net_->t5->embed(fed), {}, encoded, in.mask, blocks_of(context, "decoder"));
  return {{"prefix_lm",
           objectives::lm_loss(hidden, net_->t5->head, labels, objectives::host_count(labels))}};
}

// --- Writing ---------------------------------------------------------------------------------

// Padding stands on the left of prompts; queries in front of it.
std::vector<std::vector<std::int64_t>> Blip2Model::generated_opt(
    const Batch& prompts, const GenerateOptions& options) const {
  const Tokens& text = prompts.text.value();
  const at::Tensor queries = as_words(prompts.images.value().pixels, {});
  const at::Tensor tokens = mask_of(text);
  nn::KvCache cache(static_cast<std::int64_t>(net_->opt->layers.size()));
  at::Tensor mask;
  const NextOfStep next = [&](const GenerationStep& step) {
    at::Tensor rows;
    if (step.first) {
      const Words in =
          behind(taken(queries, step.from), net_->opt->embed(step.ids), taken(tokens, step.from));
      rows = in.rows;
      mask = in.mask;
    } else {
      if (step.from.defined()) cache.reorder(step.from);
      mask = taken(mask, step.from);
      mask = at::cat({mask, at::ones({mask.size(0), 1}, mask.options())}, 1);
      rows = net_->opt->embed(last_of(step.ids));
    }
    const at::Tensor hidden = net_->opt->forward(rows, mask, {}, &cache);
    return net_->opt->logits(hidden.select(1, hidden.size(1) - 1));
  };
  return generate_steps(next, text.ids, config_.language.ends(), options);
}

std::vector<std::vector<std::int64_t>> Blip2Model::generated_t5(
    const Batch& prompts, const GenerateOptions& options) const {
  const Tokens& text = prompts.text.value();
  const Words in =
      behind(as_words(prompts.images.value().pixels, {}), net_->t5->embed(text.ids), mask_of(text));
  at::Tensor encoded = net_->t5->encoder->forward(in.rows, in.mask, {}, {}, {}), mask = in.mask;
  nn::T5Cache cache(static_cast<std::int64_t>(net_->t5->decoder->blocks.size()));
  const at::Tensor begin =
      at::full({text.ids.size(0), 1}, config_.language.start_id, text.ids.options());
  const NextOfStep next = [&](const GenerationStep& step) {
    if (step.from.defined()) {
      if (!step.first) cache.reorder(step.from);
      encoded = taken(encoded, step.from);
      mask = taken(mask, step.from);
    }
    const at::Tensor words = net_->t5->embed(step.first ? step.ids : last_of(step.ids));
    const at::Tensor hidden = net_->t5->decode(words, {}, encoded, mask, {}, &cache);
    return net_->t5->logits(hidden.select(1, hidden.size(1) - 1));
  };
  return generate_steps(next, begin, config_.language.ends(), options);
}

// The first stage writes captions after the queries that went through before.
std::vector<std::vector<std::int64_t>> Blip2Model::generated(const Batch& prompts,
                                                             const GenerateOptions& options) const {
  if (net_->opt) return generated_opt(prompts, options);
  if (net_->t5) return generated_t5(prompts, options);
  const at::Tensor rows = picture_rows(prompts.images.value().pixels, {});
  const Looked looked = look(rows, {}, /*keep=*/true);
  at::Tensor begin =
      at::full({rows.size(0), 1}, config_.qformer.bos_id, rows.options().dtype(at::kLong));
  if (prompts.text) {
    if (!mask_of(*prompts.text).all().item<bool>()) {
      throw Error(ErrorKind::data, "[generate] expected prompts of one length");
    }
    begin = at::cat({begin, prompts.text->ids}, 1);
  }
  const NextLogits next = [&](const at::Tensor& ids, const at::Tensor& of) {
    LayerInputs before;
    for (const at::Tensor& input : looked.inputs) before.push_back(input.index_select(0, of));
    const at::Tensor hidden = write({ids, {}}, before, {});
    return net_->lm_head->forward(hidden.select(1, ids.size(1) - 1));
  };
  GenerateOptions bounded = options;
  bounded.max_length = std::min(options.max_length, config_.qformer.positions);
  return without_first(generate(next, begin, config_.qformer.sep_id, bounded), begin.size(1));
}

}  // namespace tandem::models::blip2
