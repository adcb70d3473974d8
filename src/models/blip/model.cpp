#include "models/blip/model.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "models/blip/weights.h"
#include "models/pass.h"
#include "tandem/base/error.h"
#include "tandem/nn/init.h"
#include "tandem/nn/naming.h"

namespace tandem::models::blip {
namespace {

nn::Mask encoder_mask(const Texts& texts) {
  return texts.mask.defined() ? nn::padding_mask(texts.mask) : nn::no_mask();
}

nn::Mask decoder_mask(const Texts& texts) {
  return texts.mask.defined() ? nn::causal_padding_mask(texts.mask) : nn::causal_mask();
}

bool is_original(Kind kind) {
  return kind == Kind::pretrain || kind == Kind::reasoning || kind == Kind::matching;
}

}  // namespace

at::Tensor with_first(const at::Tensor& ids, std::int64_t first) {
  at::Tensor changed = ids.clone();
  changed.select(1, 0).fill_(first);
  return changed;
}

// --- Parts -----------------------------------------------------------------------------------

Blip::Blip(const Config& c) {
  const Kind kind = c.the_kind();
  vision = register_module(is_original(kind) ? "visual_encoder" : "vision_model",
                           std::make_shared<nn::Vit>(c.vision.shape(), names_of_vision(kind)));
  const bool encodes = kind != Kind::captioning && kind != Kind::reasoning;
  if (encodes) {
    encoder = register_module(kind == Kind::contrast ? "text_model" : "text_encoder",
                              std::make_shared<nn::BertModel>(c.text.shape(c.vision.width)));
  }
  const auto linear = [&](const std::string& name, std::int64_t in, std::int64_t out,
                          bool bias = true) {
    return nn::register_module_at(*this, name, std::make_shared<nn::Linear>(in, out, bias));
  };
  if (kind == Kind::pretrain || kind == Kind::retrieval || kind == Kind::matching) {
    vision_proj = linear("vision_proj", c.vision.width, c.embed_dim);
    text_proj = linear("text_proj", c.text.width, c.embed_dim);
    itm_head = linear("itm_head", c.text.width, 2);
  }
  if (kind == Kind::reasoning) {
    twin = register_module("text_encoder",
                           std::make_shared<TwinEncoder>(c.text.shape(c.vision.width)));
    cls0 = linear("cls_head.0", c.text.width, c.text.width);
    cls2 = linear("cls_head.2", c.text.width, 2);
  }
  if (kind == Kind::contrast) {
    pooler = linear("text_model.pooler.dense", c.text.width, c.text.width);
    vision_proj = linear("visual_projection", c.vision.width, c.projection_dim, false);
    text_proj = linear("text_projection", c.text.width, c.projection_dim, false);
    logit_scale = register_parameter("logit_scale", nn::make_parameter({}));
  }
  if (kind == Kind::pretrain || kind == Kind::captioning || kind == Kind::answering) {
    make_decoder(c, kind == Kind::pretrain);
  }
  if (c.copies()) temperature = register_parameter("temp", nn::make_parameter({}));
}

// "text_decoder.bert" and "text_decoder.cls.predictions". shared: everything but self-attention is
// the encoder's, not a copy of it.
void Blip::make_decoder(const Config& c, bool shared) {
  decoder =
      nn::register_module_at(*this, "text_decoder.bert",
                             std::make_shared<nn::BertModel>(c.text.shape(c.vision.width),
                                                             shared ? encoder.get() : nullptr));
  const at::Tensor words = decoder->embeddings->word_embeddings->weight;
  lm_head =
      nn::register_module_at(*this, "text_decoder.cls.predictions",
                             std::make_shared<nn::PredictionHead>(
                                 c.text.width, c.text.vocab_size, c.text.layer_norm_eps,
                                 nn::activation_of(c.text.activation),
                                 c.tied ? "bias" : "decoder.bias", c.tied ? words : at::Tensor()));
  if (!c.tied) {  // there in the files, and nothing reads it
    nn::register_parameter_at(*this, "text_decoder.cls.predictions.bias",
                              nn::make_parameter({c.text.vocab_size}));
  }
}

Copies::Copies(const Config& c) {
  vision =
      register_module("visual_encoder_m",
                      std::make_shared<nn::Vit>(c.vision.shape(), names_of_vision(Kind::pretrain)));
  vision_proj =
      register_module("vision_proj_m", std::make_shared<nn::Linear>(c.vision.width, c.embed_dim));
  encoder = register_module("text_encoder_m",
                            std::make_shared<nn::BertModel>(c.text.shape(c.vision.width)));
  text_proj =
      register_module("text_proj_m", std::make_shared<nn::Linear>(c.text.width, c.embed_dim));
}

BlipModel::BlipModel(const Config& config, Key init) : config_(config), kind_(config.the_kind()) {
  if (config.text.vocab_size < 1) {
    throw Error(ErrorKind::config, "[models] expected model.text.vocab_size", "",
                "give the model a tokenizer, or set it");
  }
  statistics_ = statistics_of(config.image);
  blip_ = std::make_shared<Blip>(config);
  initialize(*blip_, config, init);
  if (!config.copies()) return;
  copies_ = std::make_shared<Copies>(config);
  momentum_.pair(*blip_->vision, *copies_->vision);
  momentum_.pair(*blip_->vision_proj, *copies_->vision_proj);
  momentum_.pair(*blip_->encoder, *copies_->encoder);
  momentum_.pair(*blip_->text_proj, *copies_->text_proj);
  momentum_.copy();
  queues_ = FeatureQueues(config.embed_dim, config.queue, kind_ == Kind::matching, init);
}

// --- The roles -------------------------------------------------------------------------------

at::Tensor BlipModel::picture_rows(const at::Tensor& pixels,
                                   const nn::BlockContext& context) const {
  return blip_->vision->forward(nn::normalize_pixels(pixels, statistics_), context);
}

at::Tensor BlipModel::image_feature(const at::Tensor& rows) const {
  return unit_rows(blip_->vision_proj->forward(rows.select(1, 0)), 1e-12);
}

at::Tensor BlipModel::text_feature(const Texts& texts, const nn::BlockContext& context) const {
  const at::Tensor rows =
      blip_->encoder->forward(texts.ids, encoder_mask(texts), {}, nn::no_mask(), context);
  return unit_rows(blip_->text_proj->forward(rows.select(1, 0)), 1e-12);
}

at::Tensor BlipModel::matching(const Texts& texts, const at::Tensor& rows,
                               const nn::BlockContext& context) const {
  const at::Tensor ids = with_first(texts.ids, config_.text.enc_id);
  const at::Tensor fused =
      blip_->encoder->forward(ids, encoder_mask(texts), rows, nn::no_mask(), context);
  return blip_->itm_head->forward(fused.select(1, 0));
}

at::Tensor BlipModel::decode(const Texts& texts, const at::Tensor& rows,
                             const nn::BlockContext& context) const {
  const at::Tensor ids = with_first(texts.ids, config_.text.bos_id);
  return blip_->decoder->forward(ids, decoder_mask(texts), rows, nn::no_mask(), context);
}

// --- The model as others see it --------------------------------------------------------------

NamedTensors BlipModel::parameters() const { return parameters_of(*blip_); }

NamedTensors BlipModel::buffers() const {
  if (!copies_) return {};
  NamedTensors all = parameters_of(*copies_);
  all.emplace_back("image_queue", queues_.image);
  all.emplace_back("text_queue", queues_.text);
  if (queues_.pictures.defined()) all.emplace_back("idx_queue", queues_.pictures);
  all.emplace_back(kind_ == Kind::matching ? "ptr_queue" : "queue_ptr", queues_.next);
  return all;
}

void BlipModel::to(const at::Device& device) {
  blip_->to(device);
  if (!copies_) return;
  copies_->to(device);
  queues_.to(device);
}

void BlipModel::train(bool on) {
  blip_->train(on);
  if (copies_) copies_->train(on);  // the released code leaves their dropout on, too
}

Abilities BlipModel::abilities() {
  Abilities can;
  if (blip_->vision_proj && blip_->itm_head) {
    can.embed_image = [this](const Images& images) {
      const at::NoGradGuard no_grad;
      return image_feature(picture_rows(images.pixels, {}));
    };
    can.embed_text = [this](const Tokens& tokens) {
      const at::NoGradGuard no_grad;
      return text_feature({tokens.ids, tokens.mask}, {});
    };
    can.match = [this](const Batch& batch) {
      const at::NoGradGuard no_grad;
      return at::softmax(match_logits(batch).to(at::kFloat), 1).select(1, 1);
    };
    can.match_score = [this](const Batch& batch) {
      const at::NoGradGuard no_grad;
      return match_logits(batch).to(at::kFloat).select(1, 1);
    };
  }
  if (blip_->twin) {
    can.classify = [this](const Batch& batch) {
      const at::NoGradGuard no_grad;
      return reason_logits(batch, {}).to(at::kFloat);
    };
  }
  if (kind_ == Kind::answering) {
    can.generate = [this](const Batch& prompts, const GenerateOptions& o) {
      return write_answers(prompts, o);
    };
    can.rank = [this](const Batch& prompts, const Tokens& candidates, std::int64_t k) {
      return rank(prompts, candidates, k);
    };
  } else if (blip_->lm_head) {
    can.generate = [this](const Batch& prompts, const GenerateOptions& o) {
      return captions(prompts, o);
    };
    can.captions_only = true;
  }
  return can;
}

// Of a sentence's two pictures: the grounded encoder's [ENC] row, by two layers.
at::Tensor BlipModel::reason_logits(const Texts& texts, const at::Tensor& first,
                                    const at::Tensor& second,
                                    const nn::BlockContext& context) const {
  const at::Tensor fused = blip_->twin->forward(with_first(texts.ids, config_.text.enc_id),
                                                encoder_mask(texts), first, second, context);
  return blip_->cls2->forward(blip_->cls0->forward(fused.select(1, 0)).relu());
}

// Both pictures go through the encoder at once.
at::Tensor BlipModel::reason_logits(const Batch& batch, const StepContext& context) const {
  TANDEM_CHECK(batch.second.has_value(), "[nlvr2] expected a second picture");
  const at::Tensor pixels = at::cat({batch.images.value().pixels, batch.second->pixels});
  const auto rows = picture_rows(pixels, blocks_of(context, "image")).chunk(2);
  return reason_logits({batch.text.value().ids, batch.text->mask}, rows[0], rows[1],
                       blocks_of(context, "reasoning"));
}

at::Tensor BlipModel::match_logits(const Batch& batch) const {
  const Texts texts{batch.text.value().ids, batch.text->mask};
  return matching(texts, picture_rows(batch.images.value().pixels, {}), {});
}

// The decoder sees [DEC], the prompt and what it wrote so far. Without a cache: captions are short.
std::vector<std::vector<std::int64_t>> BlipModel::captions(const Batch& prompts,
                                                           const GenerateOptions& options) const {
  const at::NoGradGuard no_grad;
  const at::Tensor rows = picture_rows(prompts.images.value().pixels, {});
  at::Tensor begin =
      at::full({rows.size(0), 1}, config_.text.bos_id, rows.options().dtype(at::kLong));
  if (prompts.text) {
    if (prompts.text->mask.defined() && !prompts.text->mask.all().item<bool>()) {
      throw Error(ErrorKind::data, "[generate] expected prompts of one length");
    }
    begin = at::cat({begin, prompts.text->ids}, 1);
  }
  const NextLogits next = [&](const at::Tensor& ids, const at::Tensor& of) {
    const at::Tensor hidden = decode({ids, {}}, rows.index_select(0, of), {});
    return blip_->lm_head->forward(hidden.select(1, ids.size(1) - 1));
  };
  GenerateOptions bounded = options;
  bounded.max_length = std::min(options.max_length, config_.text.positions);
  auto texts = generate(next, begin, config_.text.sep_id, bounded);
  for (auto& text : texts) text.erase(text.begin(), text.begin() + begin.size(1));
  return texts;
}

}  // namespace tandem::models::blip
