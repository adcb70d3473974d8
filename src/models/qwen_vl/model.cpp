#include "models/qwen_vl/model.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/language_config.h"
#include "models/pass.h"
#include "models/tower_text.h"
#include "tandem/base/error.h"
#include "tandem/models/generate_steps.h"
#include "tandem/objectives/lm.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::qwen_vl {
namespace {

nn::DecoderShape shape_of(const LanguageConfig& c) {
  nn::DecoderShape shape;
  shape.width = c.width;
  shape.layers = c.layers;
  shape.heads = c.heads;
  shape.kv_heads = c.heads;
  shape.head_dim = c.head_dim();
  shape.hidden = c.mlp;
  shape.vocab_size = c.vocab_size;
  shape.eps = c.rms_norm_eps;
  shape.qkv_bias = true;
  shape.out_bias = shape.mlp_bias = c.bias;
  return shape;
}

// w2 is the gate, w1 what it lets through.
nn::DecoderNames names() {
  nn::DecoderNames names;
  names.embed = "wte";
  names.layers = "h";
  names.norm = "ln_f";
  names.input_norm = "ln_1";
  names.post_norm = "ln_2";
  names.qkv = "attn.c_attn";
  names.out = "attn.c_proj";
  names.gate = "mlp.w2";
  names.up = "mlp.w1";
  names.down = "mlp.c_proj";
  return names;
}

}  // namespace

double ntk_alpha(std::int64_t length, std::int64_t seq_length) {
  const double times = static_cast<double>(length) / static_cast<double>(seq_length);
  return std::max(std::exp2(std::ceil(std::log(times) / std::log(2.0) + 1)) - 1, 1.0);
}

nn::Rotary rotary_of(const LanguageConfig& c, std::int64_t first, std::int64_t tokens, double alpha,
                     bool logn, const at::Device& device) {
  const auto dim = static_cast<double>(c.head_dim());
  nn::RopeShape shape;
  shape.head_dim = c.head_dim();
  shape.theta = c.rotary_base * std::pow(alpha, dim / (dim - 2));
  const at::Tensor positions =
      at::arange(first, first + tokens, at::TensorOptions().dtype(at::kLong).device(device));
  nn::Rotary rotary = nn::make_rotary(shape, positions.unsqueeze(0));
  if (logn && first + tokens > c.seq_length) {
    const at::Tensor scale =
        (positions + 1).to(at::kDouble).log() / std::log(static_cast<double>(c.seq_length));
    rotary.query_scale = scale.clamp_min(1).to(at::kFloat).view({1, tokens, 1});
  }
  return rotary;
}

nn::Mask released_mask(const at::Tensor& mask, std::int64_t tokens) {
  const std::int64_t length = mask.size(1);
  const auto lowest = static_cast<double>(std::numeric_limits<float>::lowest());
  const auto options = mask.options().dtype(at::kFloat);
  at::Tensor bias = at::zeros({mask.size(0), 1, 1, length}, options)
                        .masked_fill_(mask.eq(0).unsqueeze(1).unsqueeze(1), lowest);
  if (tokens > 1)
    bias = bias +
           at::full({length, length}, lowest, options).triu(1).narrow(0, length - tokens, tokens);
  return {bias};
}

at::Tensor inside_pictures(const at::Tensor& ids, std::int64_t start, std::int64_t end) {
  const at::Tensor opened = ids.eq(start), closed = ids.eq(end);
  const at::Tensor depth = opened.to(at::kLong).cumsum(1) - closed.to(at::kLong).cumsum(1);
  return depth.gt(0).logical_and(opened.logical_not());
}

QwenVl::QwenVl(const Config& c) {
  transformer =
      register_module("transformer", std::make_shared<nn::Decoder>(shape_of(c.language), names()));
  visual = transformer->register_module("visual", std::make_shared<VisionTower>(c));
  if (!c.language.tied) {
    lm_head = register_module(
        "lm_head", std::make_shared<nn::Linear>(c.language.width, c.language.vocab_size, false));
  }
}

at::Tensor QwenVl::head() const { return head_matrix(lm_head.get(), *transformer); }

QwenVlModel::QwenVlModel(const Config& config, Key init) : config_(config) {
  if (config.language.vocab_size < 1 || config.image_start < 0) {
    throw Error(ErrorKind::config,
                "[models] expected model.language.vocab_size and model.image_start", "",
                "give the model a tokenizer, or set them");
  }
  statistics_ = statistics_of(config.image);
  net_ = std::make_shared<QwenVl>(config);
  initialize(*net_, config, init);
}

// --- The pass --------------------------------------------------------------------------------

at::Tensor QwenVlModel::image_features(const at::Tensor& pixels,
                                       const nn::BlockContext& context) const {
  const at::Tensor patches =
      tower_rows(pixels, net_->is_training(), [&](const at::Tensor& some) {  // [N, P, V]
        return net_->visual->patches(nn::normalize_pixels(some, statistics_), context);
      });
  return net_->visual->resampled(patches);  // [N, Q, D]
}

TowerPart QwenVlModel::tower_part() const {
  const VisionConfig& c = config_.vision;
  const std::int64_t side = c.image_size / c.patch_size;
  TowerPart part{.rows = side * side, .width = c.width};
  for (const auto& item : net_->visual->named_parameters()) {
    const std::string& name = item.key();
    if (name.starts_with("attn_pool.") || name.starts_with("ln_post.") || name == "proj") continue;
    part.weights.emplace_back("transformer.visual." + name, item.value());
  }
  part.settings = tower_text({.width = c.width,
                              .layers = c.layers,
                              .heads = c.heads,
                              .mlp = c.hidden(),
                              .activation = "gelu"},
                             c.patch_size, config_.image_settings());
  return part;
}

at::Tensor QwenVlModel::embeds(const at::Tensor& ids, const at::Tensor& features) const {
  const at::Tensor words = net_->transformer->embed(ids);  // [B, T, D]
  if (!features.defined()) return words;
  // The n-th token of a picture in the batch is row n of all features; no count leaves the device.
  const at::Tensor inside = inside_pictures(ids, config_.image_start, config_.image_end());
  const at::Tensor rows = features.flatten(0, 1);  // [N Q, D]
  const at::Tensor order =
      (inside.flatten().to(at::kLong).cumsum(0) - 1).clamp(0, rows.size(0) - 1);
  const at::Tensor placed = rows.index_select(0, order).view_as(words).to(words.scalar_type());
  return at::where(inside.unsqueeze(-1), placed, words);
}

namespace {

// Of a pack: each sample's tokens turn as in a row of their own.
nn::Rotary at_positions(const nn::Rotary& rows, const at::Tensor& positions) {
  const auto at = [&](const at::Tensor& table) {
    return table.defined() ? table.index_select(1, positions.flatten()) : table;
  };
  return {at(rows.cos), at(rows.sin), at(rows.query_scale)};
}

}  // namespace

nn::Rotary QwenVlModel::rotary(std::int64_t length, const at::Device& device) const {
  const LanguageConfig& c = config_.language;
  const bool evaluates = !net_->is_training();
  const double alpha = evaluates && c.dynamic_ntk ? ntk_alpha(length, c.seq_length) : 1;
  return rotary_of(c, 0, length, alpha, evaluates && c.logn, device);
}

LossTerms QwenVlModel::losses(const Batch& batch, const LossRequest&, const StepContext& context) {
  const Tokens& text = batch.text.value();
  at::Tensor features;
  if (batch.images && batch.images->pixels.size(0) > 0)
    features = image_features(batch.images->pixels, blocks_of(context, "image"));
  nn::Mask mask = nn::causal_mask();  // hides padding, which stands behind the text
  nn::Rotary turned;
  if (text.segments.defined()) {
    const std::vector<std::int64_t> ends = ends_of_pack(text);
    std::int64_t longest = 0;
    for (std::size_t i = 1; i < ends.size(); ++i) {
      longest = std::max(longest, ends[i] - ends[i - 1]);
    }
    mask = nn::packed_mask(ends, true);
    turned = at_positions(rotary(longest, text.ids.device()), text.positions);
  } else {
    turned = rotary(text.ids.size(1), text.ids.device());
  }
  const at::Tensor hidden = net_->transformer->forward(embeds(text.ids, features), turned, mask,
                                                       blocks_of(context, "text"));
  const at::Tensor labels = objectives::shifted_labels(text.labels);
  return {
      {"lm", objectives::lm_loss(hidden, net_->head(), labels, objectives::host_count(labels))}};
}

// --- Replies -----------------------------------------------------------------------------------

// As the released code does with its cache: the base of the rotation stays that of the prompt.
std::vector<std::vector<std::int64_t>> QwenVlModel::write(const Batch& prompts,
                                                          const GenerateOptions& options) const {
  const at::NoGradGuard no_grad;
  const LanguageConfig& c = config_.language;
  const Tokens& text = prompts.text.value();
  const at::Tensor head = net_->head();
  const double alpha = c.dynamic_ntk ? ntk_alpha(text.ids.size(1), c.seq_length) : 1;
  nn::KvCache cache(c.layers);
  at::Tensor mask = text.mask.defined() ? text.mask : at::ones_like(text.ids);
  const auto next = [&](const GenerationStep& step) {
    at::Tensor x;
    if (step.first) {
      const bool shown = prompts.images && prompts.images->pixels.size(0) > 0;
      x = embeds(text.ids, shown ? image_features(prompts.images->pixels, {}) : at::Tensor());
    } else {
      if (step.from.defined()) {
        cache.reorder(step.from);
        mask = mask.index_select(0, step.from);
      }
      mask = at::cat({mask, at::ones({mask.size(0), 1}, mask.options())}, 1);
      x = embeds(step.ids.narrow(1, step.ids.size(1) - 1, 1), {});
    }
    const std::int64_t tokens = x.size(1), first = mask.size(1) - tokens;
    const nn::Rotary rotary = rotary_of(c, first, tokens, alpha, c.logn, x.device());
    const at::Tensor hidden =
        net_->transformer->forward(x, rotary, released_mask(mask, tokens), {}, &cache);
    return at::linear(hidden.select(1, tokens - 1), head);
  };
  std::vector<std::int64_t> ends;
  for (const std::int64_t id : {config_.eos_id, config_.stop_id}) {
    if (id >= 0) ends.push_back(id);
  }
  return generate_steps(next, text.ids, ends, options);
}

// --- The model as others see it ----------------------------------------------------------------

NamedTensors QwenVlModel::parameters() const { return parameters_of(*net_); }

NamedTensors QwenVlModel::buffers() const {
  NamedTensors all;
  for (const auto& item : net_->named_buffers()) all.emplace_back(item.key(), item.value());
  return all;
}

std::map<std::string, double> QwenVlModel::counts(const Batch& batch, const LossRequest&) const {
  const Tokens& text = batch.text.value();
  TANDEM_CHECK(text.labels.defined(), "[lm] expected labels");
  const std::int64_t pictures = batch.images ? batch.images->pixels.size(0) : 0;
  const at::Tensor inside = inside_pictures(text.ids, config_.image_start, config_.image_end());
  const auto places = inside.sum().item<std::int64_t>();
  if (places != pictures * config_.picture_tokens()) {
    throw Error(ErrorKind::data, "[models] expected " +
                                     std::to_string(pictures * config_.picture_tokens()) +
                                     " places for " + std::to_string(pictures) + " pictures; got " +
                                     std::to_string(places));
  }
  return {{"lm", objectives::count_labels(text.labels.narrow(1, 1, text.labels.size(1) - 1))}};
}

void QwenVlModel::to(const at::Device& device) { net_->to(device); }

void QwenVlModel::train(bool on) { net_->train(on); }

Abilities QwenVlModel::abilities() {
  Abilities can;
  can.generate = [this](const Batch& prompts, const GenerateOptions& options) {
    return write(prompts, options);
  };
  return can;
}

}  // namespace tandem::models::qwen_vl
