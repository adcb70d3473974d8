// `tandem verify`: the classes of transformers' modeling_vilt.py, and the pre-training step of the
// original's ViLTransformerSS with its random choices given.

#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/where.h>

#include <set>

#include "models/reference_inputs.h"
#include "models/vilt/model.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::vilt {
namespace {

using Tensors = std::map<std::string, at::Tensor>;

const std::set<std::string>& known_inputs(bool base) {
  static const std::set<std::string> common{"input_ids",    "attention_mask", "token_type_ids",
                                            "pixel_values", "pixel_mask",     "inputs_embeds",
                                            "image_embeds", "labels"};
  static const std::set<std::string> of_base = [] {
    std::set<std::string> names = common;
    names.erase("labels");
    names.insert("image_token_type_idx");
    return names;
  }();
  return base ? of_base : common;
}

at::Tensor floats(const at::Tensor& given) {
  return given.defined() ? given.to(at::kFloat) : given;
}

void check_text(const at::Tensor& mask, std::int64_t batch, std::int64_t length,
                const std::string& name) {
  if (mask.defined() && (mask.dim() != 2 || mask.size(0) != batch || mask.size(1) != length)) {
    refuse_reference("expected input." + name + " to be [B, T] as the text");
  }
}

at::Tensor whole_numbers(const at::Tensor& given, std::int64_t below, const std::string& name) {
  if (at::isFloatingType(given.scalar_type()) || given.min().item<std::int64_t>() < 0 ||
      given.max().item<std::int64_t>() >= below) {
    refuse_reference("expected input." + name + " to be whole numbers below " +
                     std::to_string(below));
  }
  return given.to(at::kLong);
}

// Text side: ids or rows, and their masks.
PairInput read_text(const ReferenceInputs& inputs, const Config& config) {
  PairInput pair;
  if (inputs.has("input_ids") == inputs.has("inputs_embeds")) {
    refuse_reference("expected either input.input_ids or input.inputs_embeds");
  }
  if (inputs.has("input_ids")) {
    pair.text.ids = inputs.ids("input_ids", config.text.vocab_size);
  } else {
    pair.words = floats(inputs.required("inputs_embeds"));
    if (pair.words.dim() != 3 || pair.words.size(2) != config.width) {
      refuse_reference("expected input.inputs_embeds to be [B, T, D]");
    }
  }
  const at::Tensor& rows = pair.words.defined() ? pair.words : pair.text.ids;
  pair.text.mask = inputs.optional("attention_mask");
  check_text(pair.text.mask, rows.size(0), rows.size(1), "attention_mask");
  pair.types = inputs.optional("token_type_ids");
  check_text(pair.types, rows.size(0), rows.size(1), "token_type_ids");
  if (pair.types.defined()) {
    pair.types = whole_numbers(pair.types, config.text.types, "token_type_ids");
  }
  if (rows.size(1) > config.text.context_length) {
    refuse_reference("expected at most " + std::to_string(config.text.context_length) + " tokens");
  }
  return pair;
}

// What transformers takes where there is no mask: the square of its config, whatever the pictures.
at::Tensor default_mask(std::int64_t batch, const Config& config) {
  return at::ones({batch, config.image_size, config.image_size}, at::kLong);
}

// One picture of each pair: pixels [B, 3, H, W] or rows [B, M, D]; mask [B, ...] or undefined.
void set_picture(PairInput& pair, const at::Tensor& pixels, const at::Tensor& rows,
                 const at::Tensor& mask, const Config& config) {
  const std::int64_t batch = (pair.words.defined() ? pair.words : pair.text.ids).size(0);
  const at::Tensor& given = pixels.defined() ? pixels : rows;
  const bool good = pixels.defined()
                        ? pixels.dim() == 4 && pixels.size(1) == 3 && pixels.numel() > 0
                        : rows.dim() == 3 && rows.size(2) == config.width;
  if (!good || given.size(0) != batch) {
    refuse_reference("expected a picture of each text: [B, 3, H, W], or rows [B, M, D]");
  }
  pair.images.mask = mask.defined() ? mask : default_mask(batch, config);
  if (pair.images.mask.dim() != 3 || pair.images.mask.size(0) != batch) {
    refuse_reference("expected input.pixel_mask to be [B, H, W]");
  }
  if (pixels.defined()) {
    pair.images.pixels = floats(pixels);
    if (pixels.size(2) < config.patch_size || pixels.size(3) < config.patch_size) {
      refuse_reference("expected pictures of at least a patch");
    }
  } else {
    pair.patches = floats(rows);
    if (pair.images.mask[0].numel() != rows.size(1)) {
      refuse_reference("expected input.pixel_mask to have as many entries as input.image_embeds");
    }
  }
}

void check_picture_kind(const ReferenceInputs& inputs) {
  if (inputs.has("pixel_values") == inputs.has("image_embeds")) {
    refuse_reference("expected either input.pixel_values or input.image_embeds");
  }
}

at::Tensor mean_over(const at::Tensor& logits, const at::Tensor& labels) {
  return at::cross_entropy_loss(logits.reshape({-1, logits.size(-1)}),
                                labels.to(at::kLong).reshape({-1}));
}

// The mask that the original makes itself: what is not zero in sum.
at::Tensor mask_of(const ReferenceInputs& inputs, const std::string& name,
                   const at::Tensor& pixels) {
  const at::Tensor mask = inputs.optional(name);
  return (mask.defined() ? mask.ne(0) : pixels.sum(1).ne(0)).to(at::kLong);
}

at::Tensor padded_to(const at::Tensor& t, std::int64_t height, std::int64_t width) {
  return at::constant_pad_nd(t, {0, width - t.size(-1), 0, height - t.size(-2)}, 0);
}

}  // namespace

// --- ViLTransformerSS ------------------------------------------------------------------------

Tensors ViltModel::reference_step(const Tensors& recorded) const {
  static const std::set<std::string> known{"input_ids",  "attention_mask",     "mlm_input_ids",
                                           "mlm_labels", "pixel_values",       "pixel_mask",
                                           "itm_labels", "false_pixel_values", "false_pixel_mask"};
  const ReferenceInputs inputs(recorded, known);
  Tokens text, masked;
  text.ids = inputs.ids("input_ids", config_.text.vocab_size);
  text.mask = inputs.has("attention_mask") ? inputs.required("attention_mask").ne(0).to(at::kLong)
                                           : at::ones(text.ids.sizes(), at::kLong);
  check_text(text.mask, text.ids.size(0), text.ids.size(1), "attention_mask");
  Images images;
  images.pixels = inputs.pixels();
  images.mask = mask_of(inputs, "pixel_mask", images.pixels);
  Tensors outputs;
  if (inputs.has("mlm_input_ids") && heads_->mlm_score) {
    masked.ids = inputs.ids("mlm_input_ids", config_.text.vocab_size);
    masked.labels = inputs.ids("mlm_labels", config_.text.vocab_size, /*ignored=*/true);
    masked.mask = text.mask;
    check_text(masked.ids, text.ids.size(0), text.ids.size(1), "mlm_input_ids");
    check_text(masked.labels, text.ids.size(0), text.ids.size(1), "mlm_labels");
    const LossTerm mlm = masked_words(masked, images, /*pack=*/false, {});
    outputs["loss_mlm"] = mlm.sum / mlm.count;
  }
  if (!inputs.has("itm_labels")) return outputs;
  MatchingPairs pairs;
  pairs.labels = inputs.required("itm_labels").to(at::kLong);
  const at::Tensor others = inputs.pixels("false_pixel_values");
  const at::Tensor other_mask = mask_of(inputs, "false_pixel_mask", others);
  if (pairs.labels.dim() != 1 || pairs.labels.size(0) != images.pixels.size(0) ||
      others.size(0) != images.pixels.size(0)) {
    refuse_reference("expected input.itm_labels [B] and a false picture of each pair");
  }
  const std::int64_t height = std::max(images.pixels.size(2), others.size(2));
  const std::int64_t width = std::max(images.pixels.size(3), others.size(3));
  const at::Tensor matches = pairs.labels.eq(1);
  pairs.images.pixels =
      at::where(matches.view({-1, 1, 1, 1}), padded_to(images.pixels, height, width),
                padded_to(others, height, width));
  pairs.images.mask = at::where(matches.view({-1, 1, 1}), padded_to(images.mask, height, width),
                                padded_to(other_mask, height, width));
  const LossTerms terms = matching(text, pairs, /*with_wpa=*/true, /*pack=*/false, {});
  outputs["loss_itm"] = terms.at("itm").sum / terms.at("itm").count;
  outputs["loss_wpa"] = terms.at("wpa").sum / terms.at("wpa").count * 0.1;  // the code's factor
  return outputs;
}

// --- transformers ----------------------------------------------------------------------------

Tensors ViltModel::reference_head(const PairOutput& seen, const at::Tensor& labels) const {
  Tensors outputs;
  if (heads_->mlm_score) {
    outputs["logits"] = heads_->mlm_score->forward(seen.text());
  } else if (heads_->token_classifier) {
    outputs["logits"] = heads_->token_classifier->forward(seen.text());
  } else if (heads_->rank_output) {
    if (labels.defined()) refuse_reference("input.labels: this class has no loss");
    outputs["logits"] = heads_->rank_output->forward(heads_->vilt->pool(seen));
  } else {
    const at::Tensor logits = heads_->classifier->forward(heads_->vilt->pool(seen));
    outputs["logits"] = logits;
    if (labels.defined()) {
      if (labels.sizes() != logits.sizes()) {
        refuse_reference("expected input.labels to be scores [B, labels]");
      }
      outputs["loss"] = at::binary_cross_entropy_with_logits(logits, floats(labels)) *
                        static_cast<double>(labels.size(1));
    }
    return outputs;
  }
  if (labels.defined()) outputs["loss"] = mean_over(outputs["logits"], labels);
  return outputs;
}

Tensors ViltModel::reference_outputs(const Tensors& recorded) {
  if (config_.has("itm")) return reference_step(recorded);
  const bool base = config_.parts.empty(), pairs = config_.has("nlvr2");
  const ReferenceInputs inputs(recorded, known_inputs(base));
  check_picture_kind(inputs);
  PairInput pair = read_text(inputs, config_);
  at::Tensor pixels = inputs.optional("pixel_values"), rows = inputs.optional("image_embeds");
  const at::Tensor mask = inputs.optional("pixel_mask"), labels = inputs.optional("labels");
  if (!pairs) {
    if (inputs.has("image_token_type_idx")) {
      const at::Tensor given = inputs.required("image_token_type_idx");
      pair.modality =
          whole_numbers(given, config_.modalities, "image_token_type_idx").item<std::int64_t>();
    }
    set_picture(pair, pixels, rows, mask, config_);
    const PairOutput seen = heads_->vilt->forward(pair, {});
    if (!base) return reference_head(seen, labels);
    Tensors outputs{{"last_hidden_state", seen.rows}, {"pooler_output", heads_->vilt->pool(seen)}};
    if (pixels.defined()) outputs["picture_mask"] = seen.layout.picture_mask;
    return outputs;
  }
  if (pixels.defined() && pixels.dim() == 4) pixels = pixels.unsqueeze(1);
  if (rows.defined() && rows.dim() == 3) rows = rows.unsqueeze(1);
  const at::Tensor& all = pixels.defined() ? pixels : rows;
  if (all.dim() < 4 || all.size(1) != config_.pictures ||
      (mask.defined() && (mask.dim() != 4 || mask.size(1) != config_.pictures))) {
    refuse_reference("expected " + std::to_string(config_.pictures) + " pictures of each text");
  }
  std::vector<at::Tensor> pooled;
  for (std::int64_t i = 0; i < config_.pictures; ++i) {
    const auto one = [i](const at::Tensor& t) { return t.defined() ? t.select(1, i) : t; };
    pair.modality = i + 1;
    set_picture(pair, one(pixels), one(rows), one(mask), config_);
    pooled.push_back(heads_->vilt->pool(heads_->vilt->forward(pair, {})));
  }
  Tensors outputs{{"logits", heads_->classifier->forward(at::cat(pooled, -1))}};
  if (labels.defined()) outputs["loss"] = mean_over(outputs["logits"], labels);
  return outputs;
}

// transformers draws the order of a picture's rows, and which cells stand in for padding.
at::Tensor ViltModel::reference_aligned(const std::string& name, const Tensors& outputs,
                                        const at::Tensor& recorded) {
  const at::Tensor ours = outputs.at(name);
  const auto mask = outputs.find("picture_mask");
  if (name != "last_hidden_state" || mask == outputs.end() || recorded.sizes() != ours.sizes()) {
    return ours;
  }
  const at::NoGradGuard no_grad;
  at::Tensor moved = ours.detach().clone();
  const std::int64_t first = ours.size(1) - mask->second.size(1) + 1;  // behind the class token
  for (std::int64_t b = 0; b < ours.size(0); ++b) {
    const std::int64_t seen = mask->second[b].sum().item<std::int64_t>() - 1;
    // The original puts what is seen first. Each row to the nearest that is still free.
    at::Tensor free = ours[b].narrow(0, first, seen).detach();
    for (std::int64_t n = 0; n < seen; ++n) {
      const at::Tensor wanted = recorded[b][first + n].to(at::kFloat);
      const std::int64_t best = (free - wanted).square().sum(1).argmin().item<std::int64_t>();
      moved[b][first + n].copy_(free[best]);
      free = at::cat({free.narrow(0, 0, best), free.narrow(0, best + 1, free.size(0) - best - 1)});
    }
    const std::int64_t padding = ours.size(1) - first - seen;
    if (padding > 0) {
      moved[b].narrow(0, first + seen, padding).copy_(recorded[b].narrow(0, first + seen, padding));
    }
  }
  return moved;
}

}  // namespace tandem::models::vilt
