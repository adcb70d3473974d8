#include "models/vlmo/model.h"

#include <ATen/ops/constant_pad_nd.h>

#include <algorithm>
#include <cmath>

#include "models/pass.h"
#include "models/shared_key.h"
#include "tandem/base/error.h"
#include "tandem/nn/naming.h"
#include "tandem/objectives/itc.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::vlmo {
namespace {

constexpr double head_eps = 1e-12;

nn::BlockContext blocks_of(const StepContext& context) {
  return {.recompute = context.recompute, .key = context.key};
}

[[noreturn]] void lacks(const char* loss, const char* what) {
  throw Error(ErrorKind::config,
              std::string("[") + loss + "] expected " + what + "; got data without");
}

const Images& images_of(const Batch& batch, const char* loss) {
  if (!batch.images) lacks(loss, "pictures");
  return *batch.images;
}
const Tokens& text_of(const Batch& batch, const char* loss) {
  if (!batch.text) lacks(loss, "texts");
  return *batch.text;
}
const Tokens& masked_of(const Batch& batch, const char* loss) {
  if (!batch.masked) lacks(loss, "texts");
  return *batch.masked;
}
const at::Tensor& hidden_of(const Batch& batch) {
  const Images& images = images_of(batch, "mim");
  if (!images.hidden.defined()) lacks("mim", "pictures with hidden patches (model.parts: mim)");
  return images.hidden;
}

// What counts() knows from the host. Where the labels are on a GPU, counting them would wait for
// it, and nobody reads the count.
double counted(const at::Tensor& labels) {
  return labels.is_cpu() ? objectives::count_labels(labels) : 0;
}
double counted_patches(const at::Tensor& hidden) {
  if (!hidden.is_cpu()) return 0;
  return static_cast<double>(hidden.sum().item<std::int64_t>());
}

}  // namespace

Vlmo::Vlmo(const Config& c) : Backbone(c) {
  const auto linear = [&](const char* path, std::int64_t out, bool bias) {
    return nn::register_module_at(*this, path, std::make_shared<nn::Linear>(c.width, out, bias));
  };
  const auto scale = [&](const char* name) {
    return register_parameter(name, nn::make_parameter({}));
  };
  pooler = linear("pooler.dense", c.width, true);
  if (c.parts.mlm) {
    mlm_score =
        register_module("mlm_score", std::make_shared<nn::PredictionHead>(
                                         c.width, c.vocab_size, head_eps, nn::erf_gelu, "bias"));
  }
  if (c.parts.itm) itm_score = linear("itm_score.fc", 2, true);
  if (c.parts.itc) {
    itc_text = linear("itc_text_proj.fc", c.width, false);
    itc_image = linear("itc_image_proj.fc", c.width, false);
    logit_scale = scale("logit_scale");
  }
  if (c.parts.itc && c.parts.itc_vl) {
    itc_vl_text = linear("itc_vl_text_proj.fc", c.width, false);
    itc_vl_image = linear("itc_vl_image_proj.fc", c.width, false);
    logit_vl_scale = scale("logit_vl_scale");
  }
  if (c.parts.vqa || c.parts.nlvr2) {
    const std::int64_t in = c.parts.vqa ? c.width : 2 * c.width;
    classifier = register_module(c.parts.vqa ? "vqa_classifier" : "nlvr2_classifier",
                                 std::make_shared<nn::Classifier>(in, 2 * c.width, c.classes()));
  }
  if (c.parts.mim) {
    lm_head = linear("transformer.lm_head", c.codes, true);
    codes = register_module(
        "codes", std::make_shared<PatchCodes>(c.codes, c.patch_size, statistics_of(c.image)));
  }
}

VlmoModel::VlmoModel(const Config& config, Key init) : config_(config) {
  if (config.vocab_size < 1) {
    throw Error(ErrorKind::config, "[models] expected model.vocab_size", "",
                "give the model a tokenizer, or set it");
  }
  statistics_ = statistics_of(config.image);
  net_ = std::make_shared<Vlmo>(config);
  initialize(*net_, config, init);
}

at::Tensor VlmoModel::pixels_of(const Images& images) const {
  return nn::normalize_pixels(images.pixels, statistics_);
}

// --- The three stages -----------------------------------------------------------------------

LossTerms VlmoModel::losses(const Batch& batch, const LossRequest& request,
                            const StepContext& context) {
  const nn::BlockContext blocks = blocks_of(context);
  LossTerms terms;
  if (asks(request, "mim")) {
    const at::Tensor& pixels = images_of(batch, "mim").pixels;
    const at::Tensor& hidden = hidden_of(batch);
    prepare_codes(pixels, context);
    const HiddenPatches patches{hidden, net_->codes->codes(pixels),
                                config_.patch_masking.most(config_.patches())};
    terms["mim"] =
        masked_image(*net_, pixels_of(*batch.images), patches, counted_patches(hidden), blocks);
  }
  if (asks(request, "text_mlm")) {
    const Tokens& masked = masked_of(batch, "text_mlm");
    terms["text_mlm"] = masked_text(*net_, masked, counted(masked.labels), blocks);
  }
  if (asks(request, "mlm")) {
    const Tokens& masked = masked_of(batch, "mlm");
    terms["mlm"] = masked_language(*net_, pixels_of(images_of(batch, "mlm")), masked,
                                   masked.ids.size(1), counted(masked.labels), blocks);
  }
  if (asks(request, "itc") || asks(request, "itm")) contrastive(batch, request, context, terms);
  add_task(batch, request, blocks, terms);
  return terms;
}

// ITM draws its negatives by ITC's similarities; without ITC they are computed for that alone.
void VlmoModel::contrastive(const Batch& batch, const LossRequest& request,
                            const StepContext& context, LossTerms& terms) const {
  const nn::BlockContext blocks = blocks_of(context);
  const char* name = asks(request, "itc") ? "itc" : "itm";
  const at::Tensor pixels = pixels_of(images_of(batch, name));
  const Tokens& text = text_of(batch, name);
  Contrast features;
  {
    const at::AutoGradMode grad(at::GradMode::is_enabled() && asks(request, "itc"));
    features = contrast(*net_, pixels, text, blocks);
  }
  if (asks(request, "itc")) {
    terms["itc"] = context.contrast != nullptr
                       ? objectives::replay_itc(features.image, features.text, scales(*net_),
                                                *context.contrast, context.contrast_first)
                       : objectives::itc(features.image, features.text, scales(*net_),
                                         mesh_of(context), itc_options(request));
  }
  if (asks(request, "itm")) {
    terms["itm"] = match_loss(batch, {features.image.detach(), features.text.detach()}, context);
  }
}

namespace {

// The tokens at a length that all ranks have.
Tokens padded(const Tokens& text, std::int64_t length, std::int64_t pad_id) {
  const std::int64_t missing = length - text.ids.size(1);
  return {at::constant_pad_nd(text.ids, {0, missing}, pad_id),
          at::constant_pad_nd(text.mask, {0, missing}, 0)};
}

// The samples of all ranks, in global order.
Candidates gathered(const Candidates& own, const dist::Mesh& mesh) {
  const auto all = [&](const at::Tensor& rows) {
    return dist::all_gather(mesh, rows.contiguous()).flatten(0, 1);
  };
  return {{all(own.features.image), all(own.features.text)},
          all(own.pixels),
          {all(own.text.ids), all(own.text.mask)},
          mesh.rank() * own.pixels.size(0)};
}

}  // namespace

LossTerm VlmoModel::match_loss(const Batch& batch, const Contrast& features,
                               const StepContext& context) const {
  const dist::Mesh& mesh = mesh_of(context);
  const std::int64_t size = batch.images->pixels.size(0);
  Candidates among{features, batch.images->pixels, *batch.text, 0};
  const Key own_key = context.key.fold("itm negatives");
  Key key(own_key.bits());
  if (mesh.size() > 1 && config_.negatives == "global") {
    among.text =
        padded(among.text, config_.context_length, std::max<std::int64_t>(config_.pad_id, 0));
    among = gathered(among, mesh);
    key = shared_key(own_key, mesh);
  }
  const Negatives drawn = draw_negatives(*net_, among, size, key);
  const auto own = [&](const at::Tensor& rows) { return rows.narrow(0, among.first, size); };
  const Tokens text{own(among.text.ids), own(among.text.mask)};
  const Tokens hard{among.text.ids.index_select(0, drawn.text),
                    among.text.mask.index_select(0, drawn.text)};
  const at::Tensor hard_pixels = among.pixels.index_select(0, drawn.image);
  return matching(*net_, pixels_of(*batch.images), text,
                  nn::normalize_pixels(hard_pixels, statistics_), hard, text.ids.size(1),
                  blocks_of(context));
}

Features VlmoModel::features(const Batch& batch, const LossRequest& request,
                             const StepContext& context) {
  if (!asks(request, "itc")) return {};
  const Contrast found = contrast(*net_, pixels_of(images_of(batch, "itc")), text_of(batch, "itc"),
                                  blocks_of(context));
  return {found.image, found.text};
}

std::shared_ptr<const objectives::ItcSolution> VlmoModel::solve(const Features& features,
                                                                const LossRequest& request,
                                                                const StepContext& context) {
  return std::make_shared<objectives::ItcSolution>(objectives::solve_itc(
      features.image, features.text, scales(*net_), mesh_of(context), itc_options(request)));
}

// Where no stage trained a codebook, it is made once, from the pictures of the stage's first
// micro-batch on all ranks.
void VlmoModel::prepare_codes(const at::Tensor& pixels, const StepContext& context) {
  if (!training_ || context.step != 0 || context.micro_batch != 0) return;
  if (net_->codes->trained.item<std::uint8_t>() != 0) return;
  // The key is the micro-batch's and differs between ranks; the draws must not.
  net_->codes->train_centers(pixels, mesh_of(context), Key(0).fold("codes"));
}

// --- The model as others see it -------------------------------------------------------------

std::vector<std::string> VlmoModel::losses_known() const {
  std::vector<std::string> known;
  if (config_.parts.itc) known.emplace_back("itc");
  if (config_.parts.itc && config_.parts.itm) known.emplace_back("itm");
  if (config_.parts.mlm) known.insert(known.end(), {"mlm", "text_mlm"});
  if (config_.parts.mim) known.emplace_back("mim");
  if (config_.parts.vqa) known.emplace_back("vqa");
  if (config_.parts.nlvr2) known.emplace_back("nlvr2");
  return known;
}

std::map<std::string, ChanceLevel> VlmoModel::chance_levels(std::int64_t batch) const {
  // One pair in three belongs together.
  const double thirds = std::log(3.0) - 2.0 / 3 * std::log(2.0);
  return {{"itc", chance_among(batch)},
          {"itm", {thirds, "one true pair in three"}},
          {"mlm", chance_among(config_.vocab_size)},
          {"text_mlm", chance_among(config_.vocab_size)},
          {"nlvr2", chance_among(2)},
          {"mim", chance_among(config_.codes)}};
}

std::map<std::string, double> VlmoModel::counts(const Batch& batch,
                                                const LossRequest& request) const {
  std::map<std::string, double> counts;
  const auto pairs = [&](const char* name) {
    text_of(batch, name);
    return static_cast<double>(images_of(batch, name).pixels.size(0));
  };
  if (asks(request, "itc")) counts["itc"] = pairs("itc");
  if (asks(request, "itm")) counts["itm"] = 3 * pairs("itm");
  if (asks(request, "vqa")) counts["vqa"] = pairs("vqa");
  if (asks(request, "nlvr2")) counts["nlvr2"] = objectives::count_labels(batch.labels);
  for (const char* name : {"mlm", "text_mlm"}) {
    if (asks(request, name)) counts[name] = objectives::count_labels(masked_of(batch, name).labels);
  }
  if (asks(request, "mim")) counts["mim"] = counted_patches(hidden_of(batch));
  return counts;
}

NamedTensors VlmoModel::parameters() const { return parameters_of(*net_); }

NamedTensors VlmoModel::buffers() const {
  NamedTensors all;
  for (const auto& item : net_->named_buffers()) all.emplace_back(item.key(), item.value());
  return all;
}

void VlmoModel::to(const at::Device& device) {
  net_->to(device);
  net_->place(device);
}

void VlmoModel::train(bool on) {
  training_ = on;
  net_->train(on);
}

Abilities VlmoModel::abilities() {
  Abilities can;
  const std::int64_t width = config_.width;
  if (config_.parts.itc) {  // path 1: the dual encoder
    can.embed_image = [this, width](const Images& images) {
      const at::NoGradGuard no_grad;
      return contrast(*net_, pixels_of(images), {}, {}).image.slice(1, 0, width);
    };
    can.embed_text = [this, width](const Tokens& tokens) {
      const at::NoGradGuard no_grad;
      return contrast(*net_, {}, tokens, {}).text.slice(1, 0, width);
    };
  }
  if (config_.parts.vqa || config_.parts.nlvr2) {
    can.classify = [this](const Batch& batch) {
      const at::NoGradGuard no_grad;
      return task_logits(batch, {}).to(at::kFloat);
    };
  }
  if (config_.parts.itm) {
    can.match = [this](const Batch& batch) {
      const at::NoGradGuard no_grad;
      return match_probability(*net_, pixels_of(images_of(batch, "match")),
                               text_of(batch, "match"));
    };
  }
  return can;
}

}  // namespace tandem::models::vlmo
