#include "models/blip2/model.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>

#include <algorithm>

#include "models/blip2/weights.h"
#include "models/pass.h"
#include "models/tower_text.h"
#include "tandem/base/error.h"
#include "tandem/nn/decoder.h"
#include "tandem/nn/init.h"
#include "tandem/nn/naming.h"

namespace tandem::models::blip2 {
namespace {

nn::Mask padding(const at::Tensor& mask) {
  return mask.defined() ? nn::padding_mask(mask) : nn::no_mask();
}

QFormerShape shape_of(const Config& c) {
  QFormerShape s;
  s.width = c.qformer.width;
  s.layers = c.qformer.layers;
  s.heads = c.qformer.heads;
  s.hidden = c.qformer.hidden();
  s.cross_every = c.qformer.cross_every;
  s.image_width = c.vision.width;
  s.text = !c.writes() && c.qformer.text;
  s.eps = c.qformer.layer_norm_eps;
  s.dropout = c.qformer.dropout;
  s.attention_dropout = c.qformer.attention_dropout;
  s.activation = nn::activation_of(c.qformer.activation);
  return s;
}

// A part that is not trained runs as in evaluation: without dropout.
void train_where_learned(torch::nn::Module& part, bool on) {
  const auto parameters = part.parameters();
  const bool learned = std::any_of(parameters.begin(), parameters.end(),
                                   [](const at::Tensor& p) { return p.requires_grad(); });
  part.train(on && learned);
}

}  // namespace

at::Tensor with_first(const at::Tensor& ids, std::int64_t first) {
  at::Tensor changed = ids.clone();
  changed.select(1, 0).fill_(first);
  return changed;
}

at::Tensor with_queries(const Texts& texts, std::int64_t queries) {
  const at::Tensor mask = texts.mask.defined() ? texts.mask.to(at::kLong)
                                               : at::ones(texts.ids.sizes(), texts.ids.options());
  return at::cat({at::ones({mask.size(0), queries}, mask.options()), mask}, 1);
}

// --- Parts -----------------------------------------------------------------------------------

Blip2::Blip2(const Config& c) {
  vision = register_module(
      "vision_model", std::make_shared<nn::Vit>(c.vision.shape(), nn::hugging_face_vit_names()));
  query_tokens = register_parameter("query_tokens",
                                    nn::make_parameter({1, c.qformer.queries, c.qformer.width}));
  const std::int64_t width = c.qformer.width;
  if (!c.writes()) {
    words = register_module(
        "embeddings", std::make_shared<QWords>(c.qformer.vocab_size, c.qformer.positions, width,
                                               c.qformer.pad_id));
  }
  qformer = register_module("qformer", std::make_shared<QFormer>(shape_of(c)));
  const auto linear = [&](const char* name, std::int64_t out) {
    return register_module(name, std::make_shared<nn::Linear>(width, out));
  };
  if (c.writes()) {
    language_projection = linear("language_projection", c.language.width);
    if (c.language.is_t5()) {
      t5 = register_module("language_model", std::make_shared<nn::T5>(c.language.t5()));
    } else {
      opt = register_module("language_model", std::make_shared<nn::Opt>(c.language.opt()));
    }
    return;
  }
  vision_proj = linear("vision_projection", c.embed_dim);
  text_proj = linear("text_projection", c.embed_dim);
  itm_head = linear("itm_head", 2);
  if (c.the_kind() != Kind::pretrain) return;
  lm_head = nn::register_module_at(
      *this, "cls.predictions",
      std::make_shared<nn::PredictionHead>(width, c.qformer.vocab_size, c.qformer.layer_norm_eps,
                                           nn::activation_of(c.qformer.activation), "bias",
                                           words->word_embeddings->weight));
  temperature = register_parameter("temp", nn::make_parameter({}));
}

Blip2Model::Blip2Model(const Config& config, Key init) : config_(config), kind_(config.the_kind()) {
  if ((config.writes() ? config.language.vocab_size : config.qformer.vocab_size) < 1) {
    throw Error(ErrorKind::config, "[models] expected the number of words, vocab_size", "",
                "give the model a tokenizer, or set it");
  }
  statistics_ = statistics_of(config.image);
  net_ = std::make_shared<Blip2>(config);
  initialize(*net_, config, init);
  read_pretrained(*net_, config);
}

TowerPart Blip2Model::tower_part() const {
  const VisionConfig& c = config_.vision;
  const vision::AugmentSettings& a = config_.augment;
  TowerPart part{.rows = 1 + c.shape().grid() * c.shape().grid(), .width = c.width};
  for (const auto& item : net_->vision->named_parameters()) {
    if (item.key().starts_with("post_layernorm.")) continue;
    part.weights.emplace_back("vision_model." + item.key(), item.value());
  }
  part.settings = tower_text({.width = c.width,
                              .layers = c.layers,
                              .heads = c.heads,
                              .mlp = c.mlp,
                              .activation = c.activation,
                              .layer_norm_eps = c.layer_norm_eps},
                             c.patch_size, config_.image_settings());
  part.views = std::max<std::int64_t>(config_.views, 1);
  const bool drawn = a.min_scale != 1 || a.max_scale != 1 || a.min_ratio != 1 || a.max_ratio != 1 ||
                     a.flip != 0 || a.use_rand_augment;
  if (drawn && config_.views == 0) {
    part.drawn_anew =
        "set model.views, or model.augment with scales and ratios of 1, no flip and no "
        "rand_augment";
  }
  return part;
}

at::Tensor Blip2Model::unnormed_rows(const at::Tensor& pixels,
                                     const nn::BlockContext& context) const {
  return tower_rows(pixels, net_->is_training(), [&](const at::Tensor& some) {
    return net_->vision->forward_blocks(nn::normalize_pixels(some, statistics_), context);
  });
}

at::Tensor Blip2Model::picture_rows(const at::Tensor& pixels,
                                    const nn::BlockContext& context) const {
  return net_->vision->norm->forward(unnormed_rows(pixels, context));
}

Looked Blip2Model::look(const at::Tensor& rows, const nn::BlockContext& context, bool keep) const {
  Looked out;
  const at::Tensor queries = net_->query_tokens.expand({rows.size(0), -1, -1});
  out.rows = net_->qformer->forward(queries, queries.size(1), nn::no_mask(), rows, context, nullptr,
                                    keep ? &out.inputs : nullptr);
  return out;
}

at::Tensor Blip2Model::read(const Texts& texts, const nn::BlockContext& context) const {
  return net_->qformer->forward(net_->words->forward(texts.ids), 0, padding(texts.mask), {},
                                context);
}

at::Tensor Blip2Model::image_features(const at::Tensor& looked) const {
  return unit_rows(net_->vision_proj->forward(looked), 1e-12);
}

at::Tensor Blip2Model::text_feature(const at::Tensor& read) const {
  return unit_rows(net_->text_proj->forward(read.select(1, 0)), 1e-12);
}

at::Tensor Blip2Model::fuse(const Texts& texts, const at::Tensor& rows,
                            const nn::BlockContext& context, const at::Tensor& whole) const {
  const std::int64_t queries = config_.qformer.queries;
  const at::Tensor x = at::cat(
      {net_->query_tokens.expand({texts.ids.size(0), -1, -1}), net_->words->forward(texts.ids)}, 1);
  at::Tensor seen = whole;
  if (!whole.defined() && texts.mask.defined()) seen = with_queries(texts, queries);
  const nn::Mask mask = seen.defined() ? nn::padding_mask(seen) : nn::no_mask();
  return net_->qformer->forward(x, queries, mask, rows, context);
}

at::Tensor Blip2Model::matching(const at::Tensor& fused) const {
  return net_->itm_head->forward(fused.narrow(1, 0, config_.qformer.queries)).mean(1);
}

at::Tensor Blip2Model::write(const Texts& texts, const LayerInputs& queries,
                             const nn::BlockContext& context) const {
  const nn::Mask mask =
      nn::decoder_mask(with_queries(texts, config_.qformer.queries), texts.ids.size(1));
  return net_->qformer->forward(net_->words->forward(texts.ids), 0, mask, {}, context, &queries);
}

at::Tensor Blip2Model::match_logits(const Batch& batch) const {
  const Texts texts{batch.text.value().ids, batch.text->mask};
  return matching(fuse(texts, picture_rows(batch.images.value().pixels, {}), {}));
}

at::Tensor Blip2Model::as_words(const at::Tensor& pixels, const nn::BlockContext& context) const {
  const at::Tensor looked = look(picture_rows(pixels, context), context).rows;
  return net_->language_projection->forward(looked);
}

// --- The model as others see it --------------------------------------------------------------

NamedTensors Blip2Model::parameters() const { return parameters_of(*net_); }

void Blip2Model::to(const at::Device& device) { net_->to(device); }

void Blip2Model::train(bool on) {
  net_->train(on);
  for (const auto& block : net_->vision->blocks) train_where_learned(*block, on);
  train_where_learned(*net_->qformer, on);
  if (net_->opt) train_where_learned(*net_->opt, on);
  if (net_->t5) train_where_learned(*net_->t5, on);
}

std::vector<std::string> Blip2Model::losses_known() const {
  if (kind_ == Kind::pretrain) return {"itc", "itm", "lm"};
  if (net_->opt) return {"lm"};
  if (net_->t5) return {"prefix_lm"};
  return {};
}

LossTerms Blip2Model::losses(const Batch& batch, const LossRequest& request,
                             const StepContext& context) {
  if (net_->is_training()) train(true);  // what is frozen may have changed since
  return kind_ == Kind::pretrain ? first_stage(batch, request, context)
                                 : second_stage(batch, context);
}

Abilities Blip2Model::abilities() {
  Abilities can;
  if (net_->itm_head) {
    can.embed_image = [this](const Images& images) {
      const at::NoGradGuard no_grad;
      return image_features(look(picture_rows(images.pixels, {}), {}).rows);
    };
    can.embed_text = [this](const Tokens& tokens) {
      const at::NoGradGuard no_grad;
      return text_feature(read({tokens.ids, tokens.mask}, {}));
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
  if (config_.writes() || net_->lm_head) {
    can.captions_only = net_->lm_head != nullptr;
    can.generate = [this](const Batch& prompts, const GenerateOptions& options) {
      const at::NoGradGuard no_grad;
      return generated(prompts, options);
    };
  }
  return can;
}

}  // namespace tandem::models::blip2
