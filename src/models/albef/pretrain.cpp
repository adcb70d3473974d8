// Pre-training: image-text contrast, image-text matching with hard negatives, masked language
// modelling, and the momentum copies' answers as a part of the targets.
// Source: Li et al. 2021, sections 3.2 and 3.3; salesforce/ALBEF:models/model_pretrain.py.

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "models/albef/model.h"
#include "models/pass.h"
#include "tandem/base/error.h"
#include "tandem/objectives/hard_negatives.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::albef {
namespace {

constexpr double coldest = 0.001, hottest = 0.5;

const Tokens& hidden_of(const Batch& batch) {
  TANDEM_CHECK(batch.masked.has_value(), "[mlm] expected texts with hidden tokens");
  return *batch.masked;
}

// The rows that are counted. On a GPU their number is not known to the host, which does not wait:
// all rows go on, and those that do not count add nothing.
struct Counted {
  at::Tensor rows;    // int64 [N]; undefined: all
  at::Tensor labels;  // int64 [N]

  explicit Counted(const at::Tensor& all_labels) : labels(all_labels.reshape({-1})) {
    if (!labels.is_cpu()) return;
    rows = labels.ne(objectives::ignored).nonzero().squeeze(1);
    labels = labels.index_select(0, rows);
  }
  at::Tensor of(const at::Tensor& x) const {  // [B, T, D] -> [N, D]
    const at::Tensor flat = x.flatten(0, 1);
    return rows.defined() ? flat.index_select(0, rows) : flat;
  }
};

}  // namespace

// --- The three losses ------------------------------------------------------------------------

at::Tensor AlbefModel::copy_of_image(const at::Tensor& pixels, const StepContext& context) const {
  const at::NoGradGuard no_grad;
  return copies_->encode_image(pixels, blocks_of(context, "image copy"));
}

// Features before fusion against those of the copies and of the queues.
AlbefModel::Contrast AlbefModel::contrast(const Pass& pass, const Texts& texts,
                                          const at::Tensor& temperature,
                                          const at::Tensor& picture_ids, double alpha,
                                          const StepContext& context) const {
  Contrast out;
  at::Tensor same;  // [B, B + Q]: retrieval shares the target among a picture's texts
  if (kind_ == Kind::retrieval) {
    same = picture_ids.unsqueeze(1).eq(at::cat({picture_ids.unsqueeze(0), queues_.pictures}, 1));
  }
  {
    const at::NoGradGuard no_grad;
    out.image_copy = copies_->image_feature(pass.image_copy);
    out.text_copy =
        copies_->text_feature(copies_->encode_text(texts, blocks_of(context, "text copy")));
  }
  out.itc = objectives::momentum_itc({.image = albef_->image_feature(pass.image),
                                      .text = albef_->text_feature(pass.text),
                                      .image_copy = out.image_copy,
                                      .text_copy = out.text_copy,
                                      .image_queue = queues_.image,
                                      .text_queue = queues_.text,
                                      .temperature = temperature,
                                      .alpha = alpha,
                                      .same = same});
  return out;
}

// The more alike, the likelier, by the softmax over the batch; never the pair itself, in retrieval
// no other text of its picture either. Random ones are never of the same picture.
Negatives AlbefModel::draw_negatives(const objectives::MomentumItc& itc,
                                     const at::Tensor& picture_ids, Key key) const {
  const at::NoGradGuard no_grad;
  const std::int64_t size = itc.image_to_text.size(0);
  const at::Tensor own = at::arange(size, itc.image_to_text.options().dtype(at::kLong));
  if (config_.itm_negatives == "random") {
    const at::Tensor& pictures = picture_ids.defined() ? picture_ids : own;
    return {objectives::draw_unlike(pictures, key.fold("negative image")),
            objectives::draw_unlike(pictures, key.fold("negative text"))};
  }
  const at::Tensor& ids = kind_ == Kind::retrieval ? picture_ids : own;
  const at::Tensor same = ids.unsqueeze(1).eq(ids.unsqueeze(0));
  const auto draw = [&](const at::Tensor& similarities, const char* purpose) {
    const at::Tensor weights = at::softmax(similarities.detach().narrow(1, 0, size), 1);
    return objectives::draw_columns(weights.masked_fill(same, 0), own, key.fold(purpose));
  };
  return {draw(itc.text_to_image, "negative image"), draw(itc.image_to_text, "negative text")};
}

// B pairs that match, B texts with a wrong picture, B pictures with a wrong text; no token is
// hidden. The text's unimodal rows are those of the contrast.
LossTerm AlbefModel::itm(const Pass& pass, const Texts& texts, const Negatives& negatives,
                         const StepContext& context) const {
  const std::int64_t size = pass.image.size(0);
  const auto three = [&](const at::Tensor& x) {
    return at::cat({x, x, x.index_select(0, negatives.text)});
  };
  const at::Tensor image =
      at::cat({pass.image, pass.image.index_select(0, negatives.image), pass.image});
  nn::Mask mask = texts.mask;
  if (mask.bias.defined()) mask.bias = three(mask.bias);
  const at::Tensor fused =
      albef_->fuse(three(pass.text), mask, image, blocks_of(context, "matching"));
  const at::Tensor logits = albef_->itm_head->forward(fused.select(1, 0));
  at::Tensor labels = at::zeros({3 * size}, texts.ids.options());
  labels.narrow(0, 0, size).fill_(1);
  return objectives::cross_entropy(logits, labels, static_cast<double>(3 * size));
}

// The hidden tokens from the others and the picture. The copy sees the same hidden tokens.
LossTerm AlbefModel::mlm(const Pass& pass, const Texts& hidden, const at::Tensor& labels,
                         double count, double alpha, const StepContext& context) const {
  const Counted counted(labels);
  const auto logits_of = [&](const Encoders& part, const at::Tensor& image, const char* name) {
    const nn::BlockContext blocks = blocks_of(context, name);
    const at::Tensor fused =
        part.fuse(part.encode_text(hidden, blocks), hidden.mask, image, blocks);
    return part.head->forward(counted.of(fused)).to(at::kFloat);
  };
  const at::Tensor logits = logits_of(*albef_, pass.image, "language");
  LossTerm term = objectives::cross_entropy(logits, counted.labels, count);
  if (alpha <= 0) return term;
  at::Tensor answers;
  {
    const at::NoGradGuard no_grad;
    answers = at::softmax(logits_of(*copies_, pass.image_copy, "language copy"), 1);
    if (!counted.rows.defined()) {
      answers = answers * counted.labels.ne(objectives::ignored).unsqueeze(1);
    }
  }
  const at::Tensor soft = -(at::log_softmax(logits, 1) * answers).sum();
  term.sum = term.sum * (1 - alpha) + soft * alpha;
  return term;
}

// --- The training step -----------------------------------------------------------------------

// Where the parameter may not be changed (outside training, frozen) its bounds hold all the same.
// Retrieval has none.
at::Tensor AlbefModel::bounded_temperature() const {
  const at::Tensor& temperature = albef_->temperature;
  if (kind_ == Kind::retrieval) return temperature;
  const bool is_bounded = training_ && temperature.requires_grad();
  return is_bounded ? temperature : temperature.clamp(coldest, hottest);
}

void AlbefModel::begin_step(const at::Tensor& broken) {
  const at::NoGradGuard no_grad;
  at::Tensor temperature = albef_->temperature;
  const bool is_bounded = kind_ == Kind::pretrain && temperature.requires_grad();
  if (is_bounded) temperature.clamp_(coldest, hottest);  // the parameter itself
  momentum_.update(config_.momentum, broken);
  queues_.begin();
}

double AlbefModel::alpha_at(std::int64_t step) const {
  if (kind_ == Kind::retrieval && !config_.distill) return 0;
  return training_ ? ramped(config_.alpha, config_.alpha_ramp, step) : config_.alpha;
}

std::vector<std::string> AlbefModel::losses_known() const {
  if (kind_ == Kind::retrieval) return {"itc", "itm"};
  return {"itc", "itm", "mlm"};
}

// Of the rank's own, and the queue's.
std::vector<std::string> AlbefModel::losses_of_micro_batch() const { return {"itc"}; }

std::map<std::string, ChanceLevel> AlbefModel::chance_levels(std::int64_t batch) const {
  return {{"itc", chance_among(batch + config_.queue)},
          {"itm", {std::log(3.0) - 2 * std::log(2.0) / 3, "one in three matches"}},
          {"mlm", chance_among(config_.text.vocab_size)}};
}

std::map<std::string, double> AlbefModel::counts(const Batch& batch,
                                                 const LossRequest& request) const {
  const auto size = static_cast<double>(batch.images.value().pixels.size(0));
  std::map<std::string, double> counts{{"itc", size}, {"itm", 3 * size}};
  if (asks(request, "mlm")) counts["mlm"] = objectives::count_labels(hidden_of(batch).labels);
  return counts;
}

// The picture is encoded once and serves all three losses, the text once for contrast and matching.
LossTerms AlbefModel::losses(const Batch& batch, const LossRequest& request,
                             const StepContext& context) {
  if (training_ && context.micro_batch == 0) begin_step(context.broken);
  const at::Tensor pixels = nn::normalize_pixels(batch.images.value().pixels, statistics_);
  const Texts texts(batch.text.value().ids, batch.text->mask);
  const bool contrasts = asks(request, "itc") || asks(request, "itm");
  const double alpha = alpha_at(context.step);
  Pass pass;
  pass.image = albef_->encode_image(pixels, blocks_of(context, "image"));
  if (contrasts || alpha > 0) pass.image_copy = copy_of_image(pixels, context);
  LossTerms terms;
  if (contrasts) {
    pass.text = albef_->encode_text(texts, blocks_of(context, "text"));
    const Contrast c =
        contrast(pass, texts, bounded_temperature(), batch.picture_ids, alpha, context);
    terms["itc"] = c.itc.loss;
    if (training_) queues_.add(c.image_copy, c.text_copy, batch.picture_ids, batch.positions);
    if (asks(request, "itm")) {
      terms["itm"] =
          itm(pass, texts, draw_negatives(c.itc, batch.picture_ids, context.key), context);
    }
  }
  if (asks(request, "mlm")) {
    const Tokens& tokens = hidden_of(batch);
    // It is divided by what counts() said: a GPU's labels are not waited for.
    const double count = tokens.labels.is_cpu() ? objectives::count_labels(tokens.labels) : 0;
    terms["mlm"] = mlm(pass, Texts(tokens.ids, tokens.mask), tokens.labels, count, alpha, context);
  }
  return terms;
}

void AlbefModel::after_step(const StepContext& context) {
  queues_.advance(context.mesh, context.broken);
}

}  // namespace tandem::models::albef
