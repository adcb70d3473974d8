// What `tandem verify` calls: the forward of each of the original's classes, on recorded inputs and
// recorded choices.

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tanh.h>

#include "models/blip/model.h"
#include "models/pass.h"
#include "models/reference_inputs.h"
#include "models/reference_pictures.h"
#include "tandem/base/error.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::blip {
namespace {

using Outputs = std::map<std::string, at::Tensor>;

at::Tensor positions_of(const ReferenceInputs& inputs, const at::Tensor& ids, std::int64_t most) {
  const at::Tensor given = inputs.optional("position_ids");
  if (!given.defined()) {
    if (ids.size(1) > most) {
      refuse_reference("expected at most " + std::to_string(most) + " tokens");
    }
    return {};
  }
  if (given.dim() != 2 || given.size(1) != ids.size(1) ||
      (given.size(0) != 1 && given.size(0) != ids.size(0)) ||
      given.min().item<std::int64_t>() < 0 || given.max().item<std::int64_t>() >= most) {
    refuse_reference("expected input.position_ids to be positions [1 or B, T]");
  }
  return given.to(at::kLong);
}

nn::Mask padding(const at::Tensor& mask) {
  return mask.defined() ? nn::padding_mask(mask) : nn::no_mask();
}

nn::Mask causal(const at::Tensor& mask) {
  return mask.defined() ? nn::causal_padding_mask(mask) : nn::causal_mask();
}

at::Tensor read(const nn::BertModel& bert, const at::Tensor& ids, const at::Tensor& positions,
                const nn::Mask& mask, const at::Tensor& image = {}) {
  return bert.encoder->forward(bert.embeddings->forward(ids, positions), mask, image, nn::no_mask(),
                               {});
}

// Mean over the labels that count, each predicted from the tokens before it.
at::Tensor language_loss(const at::Tensor& logits, const at::Tensor& labels, double smoothing) {
  const std::int64_t length = labels.size(1) - 1;
  const at::Tensor shifted = labels.narrow(1, 1, length);
  const LossTerm term = objectives::cross_entropy(logits.narrow(1, 0, length), shifted,
                                                  objectives::count_labels(shifted), smoothing);
  return term.sum / term.count;
}

at::Tensor labels_of(const ReferenceInputs& inputs, const at::Tensor& ids, std::int64_t words) {
  const at::Tensor labels = inputs.ids("labels", words, /*ignored=*/true);
  if (labels.sizes() != ids.sizes() || labels.size(1) < 2) {
    refuse_reference(
        "expected input.labels of the shape of the decoder's ids, of 2 tokens or more");
  }
  return labels;
}

}  // namespace

// Logits and loss of captions, given a picture.
Outputs BlipModel::captioning_reference(const Outputs& recorded) const {
  const ReferenceInputs inputs(
      recorded, {"pixel_values", "input_ids", "attention_mask", "labels", "position_ids",
                 "interpolate_pos_encoding", "logits_to_keep"});
  const at::Tensor ids = inputs.ids("input_ids", config_.text.vocab_size);
  const at::Tensor mask = inputs.mask("attention_mask", ids);
  const at::Tensor rows = vision_rows(*blip_->vision, inputs);
  const at::Tensor positions = positions_of(inputs, ids, config_.text.positions);
  at::Tensor hidden = read(*blip_->decoder, ids, positions, causal(mask), rows);
  if (inputs.has("logits_to_keep")) {
    const auto kept = inputs.required("logits_to_keep").item<std::int64_t>();
    if (kept > 0 && kept < hidden.size(1)) hidden = hidden.narrow(1, hidden.size(1) - kept, kept);
  }
  const at::Tensor logits = blip_->lm_head->forward(hidden);
  Outputs out{{"logits", logits}, {"image_embeds", rows}, {"last_hidden_state", rows}};
  if (inputs.has("labels")) {
    const at::Tensor labels = labels_of(inputs, ids, config_.text.vocab_size);
    if (logits.size(1) != labels.size(1)) refuse_reference("expected all logits where labels are");
    out["loss"] = language_loss(logits, labels, config_.text.label_smoothing);
  }
  return out;
}

// A question, read with the picture, whose rows the decoder of answers looks at.
Outputs BlipModel::answering_reference(const Outputs& recorded) const {
  if (recorded.contains("k") || recorded.contains("candidate_ids"))
    return weighed_reference(recorded);
  const ReferenceInputs inputs(
      recorded, {"pixel_values", "input_ids", "attention_mask", "labels", "decoder_input_ids",
                 "decoder_attention_mask", "interpolate_pos_encoding"});
  const std::int64_t words = config_.text.vocab_size;
  const at::Tensor ids = inputs.ids("input_ids", words);
  const at::Tensor mask = inputs.mask("attention_mask", ids);
  const at::Tensor rows = vision_rows(*blip_->vision, inputs);
  const at::Tensor question = read(*blip_->encoder, ids, {}, padding(mask), rows);
  if (config_.vision.width != config_.text.width) {
    refuse_reference("expected pictures and texts of one width: the decoder looks at the question");
  }
  const bool given = inputs.has("decoder_input_ids");
  const at::Tensor answer = inputs.ids(given ? "decoder_input_ids" : "labels", words);
  const at::Tensor answer_mask = inputs.mask("decoder_attention_mask", answer);
  // transformers 5.17 takes the question's mask and does not apply it in cross-attention (the
  // original does): padding of the question is seen by the answer.
  const at::Tensor hidden = read(*blip_->decoder, answer, {}, causal(answer_mask), question);
  const at::Tensor logits = blip_->lm_head->forward(hidden);
  Outputs out{{"logits", logits}, {"image_embeds", rows}, {"last_hidden_state", rows}};
  if (inputs.has("labels")) {
    out["loss"] =
        language_loss(logits, labels_of(inputs, answer, words), config_.text.label_smoothing);
  }
  return out;
}

// What the original's BLIP_VQA does, whose loss is another one: a question has k[i] answers, one
// behind the other, with their weights; candidates are ranked, of each question the k_test whose
// first word is likeliest. The marks in front are put there as in training.
Outputs BlipModel::weighed_reference(const Outputs& recorded) const {
  const ReferenceInputs inputs(recorded, {"pixel_values", "input_ids", "attention_mask",
                                          "decoder_input_ids", "decoder_attention_mask", "k",
                                          "weights", "candidate_ids", "candidate_mask", "k_test"});
  if (config_.text.enc_id < 0 || config_.text.bos_id < 0) {
    refuse_reference("expected text_config.enc_token_id and bos_token_id");
  }
  const auto tokens = [&](const char* ids, const char* mask) {
    Tokens found;
    found.ids = inputs.ids(ids, config_.text.vocab_size);
    found.mask = inputs.mask(mask, found.ids);
    if (!found.mask.defined() || found.ids.size(1) < 2) {
      refuse_reference(std::string("expected input.") + ids + " of 2 tokens or more, with a mask");
    }
    return found;
  };
  Batch batch;
  batch.images = Images{inputs.pixels()};
  batch.text = tokens("input_ids", "attention_mask");
  const std::int64_t count = batch.text->ids.size(0);
  Outputs out;
  if (inputs.has("k")) {
    batch.answers = tokens("decoder_input_ids", "decoder_attention_mask");
    const at::Tensor k = inputs.required("k").to(at::kLong).reshape({-1});
    batch.answer_weights = inputs.required("weights").to(at::kFloat).reshape({-1});
    const std::int64_t all = batch.answers->ids.size(0);
    if (k.size(0) != count || k.min().item<std::int64_t>() < 0 ||
        k.sum().item<std::int64_t>() != all || batch.answer_weights.size(0) != all) {
      refuse_reference("expected input.k answers of each question, with their weights");
    }
    batch.answer_rows = at::arange(count, k.options()).repeat_interleave(k, 0);
    const LossTerm term = answer_losses(batch, {}).at("vqa");
    out["loss"] = term.sum / term.count;
  }
  if (inputs.has("candidate_ids")) {
    const Ranked ranked = rank(batch, tokens("candidate_ids", "candidate_mask"),
                               inputs.required("k_test").item<std::int64_t>());
    out["ranked_index"] = ranked.index;
    out["ranked_score"] = ranked.score;
  }
  return out;
}

// Matching of pairs, or the cosines of all pictures with all texts. The ids are taken as they are:
// Hugging Face puts no [ENC] in front.
Outputs BlipModel::retrieval_reference(const Outputs& recorded) const {
  const ReferenceInputs inputs(recorded, {"pixel_values", "input_ids", "attention_mask",
                                          "use_itm_head", "interpolate_pos_encoding"});
  const at::Tensor ids = inputs.ids("input_ids", config_.text.vocab_size);
  const at::Tensor mask = inputs.mask("attention_mask", ids);
  const at::Tensor rows = vision_rows(*blip_->vision, inputs);
  const bool matches = inputs.flag("use_itm_head", true);
  const at::Tensor text =
      read(*blip_->encoder, ids, {}, padding(mask), matches ? rows : at::Tensor());
  Outputs out{{"last_hidden_state", rows}, {"question_embeds", text}};
  if (matches) {
    out["itm_score"] = blip_->itm_head->forward(text.select(1, 0));
  } else {
    const auto feature = [](const nn::Linear& projection, const at::Tensor& x) {
      const at::Tensor y = projection.forward(x.select(1, 0));
      return y / at::linalg_vector_norm(y, 2, {-1}, /*keepdim=*/true).clamp_min(1e-12);
    };
    out["itm_score"] =
        at::matmul(feature(*blip_->vision_proj, rows), feature(*blip_->text_proj, text).t());
  }
  return out;
}

// Two towers in CLIP's manner; the picture's pooled row is normed twice, as the class does.
Outputs BlipModel::contrast_reference(const Outputs& recorded) const {
  const ReferenceInputs inputs(
      recorded, {"pixel_values", "input_ids", "attention_mask", "position_ids", "return_loss",
                 "interpolate_pos_encoding"});
  const at::Tensor ids = inputs.ids("input_ids", config_.text.vocab_size);
  const at::Tensor mask = inputs.mask("attention_mask", ids);
  const at::Tensor rows = vision_rows(*blip_->vision, inputs);
  const at::Tensor positions = positions_of(inputs, ids, config_.text.positions);
  const at::Tensor text = read(*blip_->encoder, ids, positions, padding(mask));
  const at::Tensor image_pooled = blip_->vision->norm->forward(rows.select(1, 0));
  const at::Tensor text_pooled = at::tanh(blip_->pooler->forward(text.select(1, 0)));
  const at::Tensor image_embeds = unit_rows(blip_->vision_proj->forward(image_pooled));
  const at::Tensor text_embeds = unit_rows(blip_->text_proj->forward(text_pooled));
  const at::Tensor logits =
      at::matmul(text_embeds, image_embeds.t()) * blip_->logit_scale.exp();  // [texts, images]
  Outputs out{{"logits_per_text", logits},
              {"logits_per_image", logits.t()},
              {"image_embeds", image_embeds},
              {"text_embeds", text_embeds},
              {"vision_model_output.last_hidden_state", rows},
              {"vision_model_output.pooler_output", image_pooled},
              {"text_model_output.last_hidden_state", text},
              {"text_model_output.pooler_output", text_pooled}};
  if (logits.size(0) == logits.size(1)) {
    const at::Tensor own = at::arange(logits.size(0), logits.options().dtype(at::kLong));
    out["loss"] =
        (at::cross_entropy_loss(logits, own) + at::cross_entropy_loss(logits.t(), own)) / 2;
  }
  return out;
}

// pixel_values: the first pictures of all sentences, then the second ones. The sentence begins with
// [ENC].
Outputs BlipModel::reasoning_reference(const Outputs& recorded) const {
  const ReferenceInputs inputs(recorded, {"pixel_values", "input_ids", "attention_mask", "labels"});
  const at::Tensor ids = inputs.ids("input_ids", config_.text.vocab_size);
  const at::Tensor mask = inputs.mask("attention_mask", ids);
  const std::int64_t size = ids.size(0);
  const at::Tensor rows = picture_rows(inputs.pixels(), {});
  if (rows.size(0) != 2 * size || config_.text.enc_id < 0) {
    refuse_reference("expected two pictures a sentence, and text_config.enc_token_id");
  }
  const at::Tensor logits =
      reason_logits({ids, mask}, rows.narrow(0, 0, size), rows.narrow(0, size, size), {});
  Outputs out{{"logits", logits}};
  if (inputs.has("labels")) {
    const at::Tensor labels = inputs.required("labels").reshape({-1}).to(at::kLong);
    if (labels.size(0) != size) refuse_reference("expected input.labels to be [B]");
    out["loss"] = at::cross_entropy_loss(logits, labels);
  }
  return out;
}

// One step of pre-training in evaluation mode: the copies move, the losses are computed, the queues
// take what the copies gave.
Outputs BlipModel::pretrain_reference(const Outputs& recorded) {
  const ReferenceInputs inputs(recorded, {"pixel_values", "input_ids", "attention_mask",
                                          "itm_neg_image_idx", "itm_neg_text_idx", "alpha", "idx"});
  const at::Tensor ids = inputs.ids("input_ids", config_.text.vocab_size);
  const Texts texts{ids, inputs.mask("attention_mask", ids)};
  const at::Tensor pixels = inputs.pixels();
  if (pixels.size(0) != ids.size(0) || ids.size(1) < 2) {
    refuse_reference("expected as many pictures as texts, of 2 tokens or more");
  }
  const bool learns_words = kind_ == Kind::pretrain;
  if (config_.text.enc_id < 0 || (learns_words && config_.text.bos_id < 0)) {
    throw Error(ErrorKind::config, "[verify] expected text_config.enc_token_id and bos_token_id");
  }
  const double alpha =
      inputs.has("alpha") ? inputs.required("alpha").to(at::kDouble).item<double>() : config_.alpha;
  clamp_temperature();
  const at::Tensor rows = picture_rows(pixels, {});
  momentum_.update(config_.momentum);
  at::Tensor pictures;
  if (!learns_words) {
    pictures = inputs.required("idx").reshape({-1}).to(at::kLong);
    if (pictures.size(0) != ids.size(0)) refuse_reference("expected input.idx to be [B]");
  }
  const Contrast c = contrast(pixels, texts, rows, pictures, alpha, {});
  queues_.write(c.image_copy, c.text_copy, pictures);
  const Negatives negatives{inputs.rows("itm_neg_image_idx", ids.size(0)),
                            inputs.rows("itm_neg_text_idx", ids.size(0))};
  const LossTerm match = itm(texts, rows, negatives, {});
  Outputs out{{"loss_itc", c.itc.loss.sum / c.itc.loss.count},
              {"loss_itm", match.sum / match.count},
              {"state.temp", blip_->temperature.detach()}};
  if (learns_words) {
    const at::Tensor started = with_first(ids, config_.text.bos_id);
    const at::Tensor labels = started.masked_fill(started.eq(config_.text.pad_id), -100);
    const double count = objectives::count_labels(labels.narrow(1, 1, labels.size(1) - 1));
    const LossTerm language = lm(texts, labels, count, rows, {});
    out["loss_lm"] = language.sum / language.count;
  }
  for (const auto& [name, value] : buffers()) out["state." + name] = value.detach();
  return out;
}

Outputs BlipModel::reference_outputs(const Outputs& inputs) {
  switch (kind_) {
    case Kind::pretrain:
    case Kind::matching:
      return pretrain_reference(inputs);
    case Kind::captioning:
      return captioning_reference(inputs);
    case Kind::answering:
      return answering_reference(inputs);
    case Kind::retrieval:
      return retrieval_reference(inputs);
    case Kind::contrast:
      return contrast_reference(inputs);
    case Kind::reasoning:
      return reasoning_reference(inputs);
  }
  throw Error(ErrorKind::internal, "[verify] no such class");
}

}  // namespace tandem::models::blip
