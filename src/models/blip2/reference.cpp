// What `tandem verify` calls: the forward of each of the original's classes, on recorded inputs and
// recorded choices.

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/masked_scatter.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>

#include <algorithm>

#include "models/blip2/model.h"
#include "models/pass.h"
#include "models/reference_inputs.h"
#include "models/reference_pictures.h"
#include "tandem/base/error.h"
#include "tandem/nn/decoder.h"
#include "tandem/objectives/query_itc.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::blip2 {
namespace {

using Outputs = std::map<std::string, at::Tensor>;

// The class pools the first row and norms it a second time.
void add_vision(Outputs& out, const std::string& prefix, const nn::Vit& vit,
                const at::Tensor& rows) {
  out[prefix + "last_hidden_state"] = rows;
  out[prefix + "pooler_output"] = vit.norm->forward(rows.select(1, 0));
}

// Mean over the labels that count.
at::Tensor mean_loss(const at::Tensor& logits, const at::Tensor& labels) {
  return at::cross_entropy_loss(logits.flatten(0, 1), labels.reshape({-1}));
}

// The words of a text with the pictures' rows where the image's word stands, in their order.
struct Prompt {
  at::Tensor words, mask;  // [B, T, W], int64 [B, T]
};

Prompt prompt_of(const at::Tensor& words, const at::Tensor& ids, const at::Tensor& mask,
                 const at::Tensor& rows, std::int64_t image_id) {
  if (image_id < 0) {  // configs from before the image's word: the rows stand in front
    const at::Tensor seen =
        mask.defined() ? mask.to(at::kLong) : at::ones(ids.sizes(), ids.options());
    return {at::cat({rows, words}, 1),
            at::cat({at::ones({ids.size(0), rows.size(1)}, ids.options()), seen}, 1)};
  }
  const at::Tensor places = ids.eq(image_id).unsqueeze(-1);
  if (places.sum().item<std::int64_t>() > rows.size(0) * rows.size(1)) {
    refuse_reference(
        "expected at most as many image words in input.input_ids as there are queries");
  }
  return {at::masked_scatter(words, places, rows), mask};
}

// Positions count the tokens, unless they are given: int64 [1 or B, T], or undefined.
at::Tensor opt_rows(const nn::Opt& opt, const Prompt& prompt, const at::Tensor& positions) {
  if (!positions.defined()) return opt.forward(prompt.words, prompt.mask, {});
  const std::int64_t size = prompt.words.size(0), length = prompt.words.size(1);
  if (positions.dim() != 2 || positions.size(1) != length ||
      (positions.size(0) != 1 && positions.size(0) != size) ||
      at::isFloatingType(positions.scalar_type())) {
    refuse_reference("expected input.position_ids to be integers, a position of each token");
  }
  const bool all = !prompt.mask.defined();
  const at::Tensor mask = all ? at::ones({size, length}, prompt.words.options().dtype(at::kLong))
                              : prompt.mask.to(at::kLong);
  return opt.forward_at(prompt.words, positions.to(at::kLong), nn::decoder_mask(mask, length, all),
                        {});
}

}  // namespace

// Logits and loss of words behind (or around) a picture.
Outputs Blip2Model::generation_reference(const Outputs& recorded) const {
  const ReferenceInputs inputs(
      recorded, {"pixel_values", "input_ids", "attention_mask", "labels", "decoder_input_ids",
                 "decoder_attention_mask", "interpolate_pos_encoding",
                 "position_ids"});  // which T5 does not use
  const std::int64_t words = config_.language.vocab_size;
  const at::Tensor ids = inputs.ids("input_ids", words);
  const at::Tensor rows = vision_rows(*net_->vision, inputs);
  if (rows.size(0) != ids.size(0)) refuse_reference("expected as many pictures as texts");
  const at::Tensor looked = look(rows, {}).rows;
  const at::Tensor queries = net_->language_projection->forward(looked);
  const at::Tensor table = net_->opt ? net_->opt->embed(ids) : net_->t5->embed(ids);
  const Prompt prompt =
      prompt_of(table, ids, inputs.mask("attention_mask", ids), queries, config_.language.image_id);
  Outputs out;
  add_vision(out, "vision_outputs.", *net_->vision, rows);
  out["qformer_outputs.last_hidden_state"] = looked;
  out["qformer_outputs.pooler_output"] = looked.select(1, 0);
  if (net_->opt) {
    at::Tensor logits =
        net_->opt->logits(opt_rows(*net_->opt, prompt, inputs.optional("position_ids")));
    out["language_model_outputs.logits"] = logits;
    if (inputs.has("labels")) {
      const at::Tensor labels = inputs.ids("labels", words, /*ignored=*/true);
      const std::int64_t length = std::min(labels.size(1), logits.size(1));
      logits = logits.narrow(1, logits.size(1) - length, length);
      out["loss"] = mean_loss(logits.narrow(1, 0, length - 1), labels.narrow(1, 1, length - 1));
    }
    out["logits"] = logits;
    return out;
  }
  const bool given = inputs.has("decoder_input_ids");
  const at::Tensor fed =
      given ? inputs.ids("decoder_input_ids", words)
            : nn::shifted_right(inputs.ids("labels", words, /*ignored=*/true),
                                config_.language.start_id, config_.language.pad_id);
  const at::Tensor encoded = net_->t5->encoder->forward(prompt.words, prompt.mask, {}, {}, {});
  const at::Tensor logits = net_->t5->logits(net_->t5->decode(
      net_->t5->embed(fed), inputs.mask("decoder_attention_mask", fed), encoded, prompt.mask, {}));
  out["logits"] = logits;
  out["language_model_outputs.logits"] = logits;
  out["language_model_outputs.encoder_last_hidden_state"] = encoded;
  if (inputs.has("labels")) {
    out["loss"] = mean_loss(logits, inputs.ids("labels", words, /*ignored=*/true));
    out["language_model_outputs.loss"] = out["loss"];
  }
  return out;
}

// Matching of pairs, or the likest query's cosine of all pictures with all texts. With an image's
// word in the config, the first ids are its places and are left out, as the class does.
Outputs Blip2Model::retrieval_reference(const Outputs& recorded) const {
  const ReferenceInputs inputs(
      recorded, {"pixel_values", "input_ids", "attention_mask", "use_image_text_matching_head"});
  at::Tensor ids = inputs.required("input_ids");
  at::Tensor mask = inputs.mask("attention_mask", ids);
  at::Tensor whole;
  const std::int64_t queries = config_.qformer.queries;
  if (config_.language.image_id >= 0) {
    if (ids.dim() != 2 || ids.size(1) <= queries) {
      refuse_reference("expected words behind the image's in input.input_ids");
    }
    ids = ids.slice(1, queries);
    whole = mask;  // of the queries in the ids' place, as the class takes it
    if (mask.defined()) mask = mask.slice(1, queries);
  }
  const std::map<std::string, at::Tensor> cut{{"input_ids", ids}};
  const Texts texts{
      ReferenceInputs(cut, {"input_ids"}).ids("input_ids", config_.qformer.vocab_size), mask};
  const at::Tensor rows = vision_rows(*net_->vision, inputs);
  Outputs out;
  add_vision(out, "vision_model_output.", *net_->vision, rows);
  if (inputs.flag("use_image_text_matching_head", false)) {
    const at::Tensor fused = fuse(texts, rows, {}, whole);
    out["itm_score"] = matching(fused);
    out["logits_per_image"] = out["itm_score"];
    out["image_embeds"] = rows;
    out["text_embeds"] = fused;
    out["text_model_output.last_hidden_state"] = fused;
    out["text_model_output.pooler_output"] = fused.select(1, 0);
  } else {
    const at::Tensor text = read(texts, {});
    const at::Tensor images = image_features(look(rows, {}).rows), feature = text_feature(text);
    out["image_embeds"] = images;
    out["text_embeds"] = feature;
    out["logits_per_image"] = at::matmul(images, feature.t()).amax(1);
    out["text_model_output.last_hidden_state"] = text;
    out["text_model_output.pooler_output"] = text.select(1, 0);
  }
  out["logits_per_text"] = out["logits_per_image"].t();
  return out;
}

// One step of the first stage in evaluation mode, on one rank: the gathered side of the contrast is
// detached, as the original's is.
Outputs Blip2Model::pretrain_reference(const Outputs& recorded) const {
  const ReferenceInputs inputs(recorded, {"pixel_values", "input_ids", "attention_mask",
                                          "itm_neg_image_idx", "itm_neg_text_idx"});
  const at::Tensor ids = inputs.ids("input_ids", config_.qformer.vocab_size);
  const Texts texts{ids, inputs.mask("attention_mask", ids)};
  const at::Tensor rows = vision_rows(*net_->vision, inputs);
  const std::int64_t size = ids.size(0);
  if (rows.size(0) != size || ids.size(1) < 2 || config_.qformer.bos_id < 0) {
    refuse_reference("expected as many pictures as texts, of 2 tokens or more, and a bos_token_id");
  }
  const Looked looked = look(rows, {}, /*keep=*/true);
  const objectives::QueryItc contrast = objectives::query_itc(
      image_features(looked.rows), text_feature(read(texts, {})), net_->temperature, dist::Mesh(),
      {.smoothing = config_.label_smoothing, .released = true});
  const at::Tensor wrong_text = inputs.rows("itm_neg_text_idx", size);
  const Texts wrong{ids.index_select(0, wrong_text),
                    texts.mask.defined() ? texts.mask.index_select(0, wrong_text) : at::Tensor()};
  const Paired wrong_pictures{texts, rows.index_select(0, inputs.rows("itm_neg_image_idx", size))};
  const LossTerm match = itm(texts, rows, wrong, wrong_pictures, {});
  const at::Tensor started = with_first(ids, config_.qformer.bos_id);
  const at::Tensor labels =
      started.masked_fill(started.eq(config_.qformer.pad_id), objectives::ignored);
  const double count = objectives::count_labels(labels.narrow(1, 1, labels.size(1) - 1));
  const LossTerm language = itg(texts, labels, count, looked, {});
  return {{"loss_itc", contrast.loss.sum / contrast.loss.count},
          {"loss_itm", match.sum / match.count},
          {"loss_lm", language.sum / language.count},
          {"state.temp", net_->temperature.detach()}};
}

Outputs Blip2Model::reference_outputs(const Outputs& inputs) {
  switch (kind_) {
    case Kind::pretrain:
      return pretrain_reference(inputs);
    case Kind::generation:
    case Kind::model:
      return generation_reference(inputs);
    case Kind::retrieval:
      return retrieval_reference(inputs);
  }
  throw Error(ErrorKind::internal, "[verify] no such class");
}

}  // namespace tandem::models::blip2
