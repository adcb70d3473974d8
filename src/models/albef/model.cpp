#include "models/albef/model.h"

#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/softmax.h>

#include "models/pass.h"
#include "tandem/base/error.h"
#include "tandem/nn/naming.h"

namespace tandem::models::albef {

Texts::Texts(at::Tensor ids, const at::Tensor& given, bool causal) : ids(std::move(ids)) {
  if (!given.defined() && !causal) return;
  const at::Tensor tokens = given.defined() ? given : at::ones_like(this->ids);
  at::Tensor visible = tokens.to(at::kFloat).unsqueeze(1).unsqueeze(1);  // [B, 1, 1, T]
  const std::int64_t length = this->ids.size(1);
  if (causal) visible = visible * at::ones({length, length}, visible.options()).tril();
  mask = {(1 - visible) * -10000.0};
}

// --- Parts: figure 1 -------------------------------------------------------------------------

Encoders::Encoders(const Config& c, const std::string& suffix) : fusion_layer(c.text.fusion_layer) {
  vision = register_module("visual_encoder" + suffix,
                           std::make_shared<nn::Vit>(c.vision.shape(), nn::timm_vit_names()));
  const Kind kind = c.the_kind();
  const std::string text = "text_encoder" + suffix;
  const nn::BertShape shape = c.text_shape();
  bert = nn::register_module_at(*this, text + (kind == Kind::pretrain ? ".bert" : ""),
                                std::make_shared<nn::BertModel>(shape));
  if (kind != Kind::pretrain && kind != Kind::retrieval) return;
  if (kind == Kind::pretrain) make_head(text, shape);
  vision_proj = register_module("vision_proj" + suffix,
                                std::make_shared<nn::Linear>(c.vision.width, c.embed_dim));
  text_proj = register_module("text_proj" + suffix,
                              std::make_shared<nn::Linear>(c.text.width, c.embed_dim));
}

void Encoders::make_head(const std::string& text, const nn::BertShape& shape) {
  head = nn::register_module_at(*this, text + ".cls.predictions",
                                std::make_shared<nn::PredictionHead>(
                                    shape.width, shape.vocab_size, shape.eps, shape.activation,
                                    "bias", bert->embeddings->word_embeddings->weight));
}

at::Tensor Encoders::encode_image(const at::Tensor& pixels, const nn::BlockContext& context) const {
  return vision->forward(pixels, context);
}

at::Tensor Encoders::encode_text(const Texts& texts, const nn::BlockContext& context) const {
  return bert->encoder->forward(bert->embed(texts.ids, context), texts.mask, {}, nn::no_mask(),
                                context, 0, fusion_layer);
}

at::Tensor Encoders::fuse(const at::Tensor& text, const nn::Mask& mask, const at::Tensor& image,
                          const nn::BlockContext& context) const {
  return bert->encoder->forward(text, mask, image, nn::no_mask(), context, fusion_layer);
}

at::Tensor Encoders::fuse(const at::Tensor& text, const nn::Mask& mask,
                          const std::vector<at::Tensor>& images,
                          const nn::BlockContext& context) const {
  at::Tensor x = text;
  const auto layers = static_cast<std::int64_t>(bert->encoder->layers.size());
  for (std::int64_t i = fusion_layer; i < layers; ++i) {
    const auto turn = static_cast<std::size_t>(i - fusion_layer) % images.size();
    x = bert->encoder->forward(x, mask, images[turn], nn::no_mask(), context, i, i + 1);
  }
  return x;
}

at::Tensor Encoders::image_feature(const at::Tensor& rows) const {
  return unit_rows(vision_proj->forward(rows.select(1, 0)), 1e-12);
}

at::Tensor Encoders::text_feature(const at::Tensor& rows) const {
  return unit_rows(text_proj->forward(rows.select(1, 0)), 1e-12);
}

void share_pictures(const nn::BertEncoder& encoder, std::int64_t first) {
  for (auto i = static_cast<std::size_t>(first); i + 1 < encoder.layers.size(); i += 2) {
    nn::BertAttention& one = *encoder.layers[i]->crossattention;
    const nn::BertAttention& other = *encoder.layers[i + 1]->crossattention;
    one.key = other.key;
    one.value = other.value;
    torch::nn::Module& self = nn::module_at(one, "self");
    self.replace_module("key", one.key);
    self.replace_module("value", one.value);
  }
}

Albef::Albef(const Config& c) : Encoders(c, "") {
  temperature = register_parameter("temp", nn::make_parameter({}));
  itm_head = register_module("itm_head", std::make_shared<nn::Linear>(c.text.width, 2));
}

AlbefModel::AlbefModel(const Config& config, Key init) : config_(config), kind_(config.the_kind()) {
  if (config.text.vocab_size < 1) {
    throw Error(ErrorKind::config, "[models] expected model.text.vocab_size", "",
                "give the model a tokenizer, or set it");
  }
  statistics_ = statistics_of(config.image);
  albef_ = std::make_shared<Albef>(config);
  initialize(*albef_, config, init);
  copies_ = std::make_shared<Encoders>(config, "_m");
  momentum_.pair(*albef_->vision, *copies_->vision);
  momentum_.pair(*albef_->vision_proj, *copies_->vision_proj);
  momentum_.pair(*albef_->bert, *copies_->bert);
  if (albef_->head) momentum_.pair(*albef_->head, *copies_->head);
  momentum_.pair(*albef_->text_proj, *copies_->text_proj);
  momentum_.copy();
  queues_ = FeatureQueues(config.embed_dim, config.queue, kind_ == Kind::retrieval, init);
}

// --- The model as others see it --------------------------------------------------------------

NamedTensors AlbefModel::parameters() const { return parameters_of(*albef_); }

NamedTensors AlbefModel::buffers() const {
  NamedTensors all = parameters_of(*copies_);
  all.emplace_back("image_queue", queues_.image);
  all.emplace_back("text_queue", queues_.text);
  if (queues_.pictures.defined()) all.emplace_back("idx_queue", queues_.pictures);
  all.emplace_back("queue_ptr", queues_.next);
  return all;
}

void AlbefModel::to(const at::Device& device) {
  albef_->to(device);
  copies_->to(device);
  queues_.to(device);
}

void AlbefModel::train(bool on) {
  training_ = on;
  albef_->train(on);
  copies_->train(on);  // the released code leaves their dropout on, too
}

at::Tensor AlbefModel::match_logits(const Batch& batch) const {
  const at::NoGradGuard no_grad;
  const Texts texts(batch.text.value().ids, batch.text->mask);
  const at::Tensor pixels = nn::normalize_pixels(batch.images.value().pixels, statistics_);
  const at::Tensor fused = albef_->fuse(albef_->encode_text(texts, {}), texts.mask,
                                        albef_->encode_image(pixels, {}), {});
  return albef_->itm_head->forward(fused.select(1, 0));
}

Abilities AlbefModel::abilities() {
  Abilities can;
  can.embed_image = [this](const Images& images) {
    const at::NoGradGuard no_grad;
    const at::Tensor pixels = nn::normalize_pixels(images.pixels, statistics_);
    return albef_->image_feature(albef_->encode_image(pixels, {}));
  };
  can.embed_text = [this](const Tokens& tokens) {
    const at::NoGradGuard no_grad;
    return albef_->text_feature(albef_->encode_text(Texts(tokens.ids, tokens.mask), {}));
  };
  can.match = [this](const Batch& batch) {
    return at::softmax(match_logits(batch).to(at::kFloat), 1).select(1, 1);
  };
  can.match_score = [this](const Batch& batch) {
    return match_logits(batch).to(at::kFloat).select(1, 1);
  };
  if (config_.text.fusion_layer < config_.text.layers) {
    can.locate = [this](const Batch& batch) { return locate(batch); };
  }
  return can;
}

}  // namespace tandem::models::albef
