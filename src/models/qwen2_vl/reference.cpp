// What `tandem verify` calls: the forward of transformers' Qwen2VLForConditionalGeneration and
// Qwen2_5_VLForConditionalGeneration on recorded inputs.

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/diff.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <limits>

#include "models/qwen2_vl/model.h"
#include "models/reference_inputs.h"
#include "tandem/base/error.h"
#include "tandem/base/log.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::qwen2_vl {
namespace {

using Outputs = std::map<std::string, at::Tensor>;

std::vector<Grid> grids_in(const ReferenceInputs& inputs, const std::string& name,
                           const VisionConfig& config) {
  const at::Tensor given = inputs.optional(name);
  if (!given.defined()) return {};
  const bool whole = given.dim() == 2 && given.size(1) == 3 && given.size(0) > 0 &&
                     !at::isFloatingType(given.scalar_type());
  if (!whole) refuse_reference("expected input." + name + " to be integers [N, 3]");
  std::vector<Grid> grids = grids_of(given);
  for (const Grid& grid : grids) {
    if (grid.t < 1 || grid.h < 1 || grid.w < 1 || grid.h % config.patch.merge != 0 ||
        grid.w % config.patch.merge != 0) {
      refuse_reference("expected input." + name + " of whole cells");
    }
  }
  return grids;
}

at::Tensor patches_in(const ReferenceInputs& inputs, const std::string& name,
                      const std::vector<Grid>& grids, const VisionConfig& config) {
  const at::Tensor given = inputs.optional(name);
  if (!given.defined()) return {};
  std::int64_t patches = 0;
  for (const Grid& grid : grids) patches += grid.patches();
  if (patches == 0 || given.numel() != patches * config.numbers()) {
    refuse_reference("expected input." + name + " to hold the patches of its grids, " +
                     std::to_string(config.numbers()) + " numbers each");
  }
  return given.to(at::kFloat).view({patches, config.numbers()});
}

// Embeddings in the places of `mark`, [C, D] in their order.
at::Tensor spliced(const at::Tensor& words, const at::Tensor& ids, std::int64_t mark,
                   const at::Tensor& looks) {
  if (!looks.defined()) return words;
  const at::Tensor places = ids.eq(mark);
  if (places.sum().item<std::int64_t>() != looks.size(0)) {
    refuse_reference("expected " + std::to_string(looks.size(0)) + " places of id " +
                     std::to_string(mark) + " in input.input_ids");
  }
  return words.masked_scatter(places.unsqueeze(-1), looks);
}

// Of every sample's tokens where the mask is 1. Elsewhere 1 in Qwen's code, which knows where a
// text behind a video goes on, and 0 in transformers. [3, B, T]
at::Tensor positions_of(const at::Tensor& ids, const at::Tensor& mask, Visuals visuals,
                        const PositionRule& rule) {
  const bool qwen = !visuals.videos.empty() && rule.after_video == AfterVideo::qwen;
  const at::Tensor out = at::full({3, ids.size(0), ids.size(1)}, qwen ? 1 : 0, at::kLong);
  for (std::int64_t row = 0; row < ids.size(0); ++row) {
    const at::Tensor seen = mask[row].nonzero().squeeze(1);
    const at::Tensor own = ids[row].index_select(0, seen).contiguous();
    const auto* first = own.const_data_ptr<std::int64_t>();
    Positions positions;
    try {
      positions = token_positions({first, static_cast<std::size_t>(own.numel())}, visuals, rule);
    } catch (const Error& error) {
      refuse_reference(error.message());
    }
    out.select(1, row).index_copy_(1, seen, tensor_of(positions).squeeze(1));
  }
  return out;
}

Visuals visuals_in(const ReferenceInputs& inputs, const std::vector<Grid>& images,
                   const std::vector<Grid>& videos) {
  Visuals visuals;
  visuals.images = images;
  visuals.videos = videos;
  const at::Tensor seconds = inputs.optional("second_per_grid_ts");
  if (!seconds.defined()) return visuals;
  visuals.single = seconds.scalar_type() != at::kDouble;
  const at::Tensor wide = seconds.reshape({-1}).to(at::kDouble).contiguous();
  const auto* first = wide.const_data_ptr<double>();
  visuals.seconds.assign(first, first + wide.numel());
  return visuals;
}

// Recorded positions: [B, T], [3, B, T], or [4, B, T] whose first axis counts within the texts of a
// pack.
struct RecordedPositions {
  at::Tensor positions;  // [3, B, T]
  at::Tensor packs;      // [B, T]; undefined: one text a row
};
RecordedPositions recorded_positions(const at::Tensor& given, const at::Tensor& ids) {
  const auto fits = [&](const at::Tensor& p) {
    return p.sizes().slice(p.dim() - 2) == ids.sizes();
  };
  if (given.dim() == 2 && fits(given)) return {given.to(at::kLong).expand({3, -1, -1}), {}};
  if (given.dim() == 3 && fits(given) && given.size(0) == 3) return {given.to(at::kLong), {}};
  if (given.dim() != 3 || !fits(given) || given.size(0) != 4) {
    refuse_reference("expected input.position_ids to be [B, T], [3, B, T] or [4, B, T]");
  }
  return {given.narrow(0, 1, 3).to(at::kLong), given[0].to(at::kLong)};
}

// Tokens see those before them in the same text of a pack: texts begin where the count does not go
// on by one.
nn::Mask pack_mask(const at::Tensor& counts) {
  const at::Tensor begins = at::diff(counts, 1, 1, counts.narrow(1, 0, 1) - 1).ne(1);
  const at::Tensor text = begins.cumsum(1);  // [B, T]
  const at::Tensor other = text.unsqueeze(1).ne(text.unsqueeze(2));
  const at::Tensor place = at::arange(counts.size(1));
  const at::Tensor later = place.unsqueeze(0).gt(place.unsqueeze(1));  // [T, T]
  const at::Tensor hidden = other.logical_or(later).unsqueeze(1);      // [B, 1, T, T]
  return {at::zeros(hidden.sizes(), at::kFloat)
              .masked_fill(hidden, std::numeric_limits<float>::lowest()),
          false,
          {}};
}

// The class looks for packs only where it keeps no cache, which it does unless told otherwise.
nn::Mask visible(const ReferenceInputs& inputs, const RecordedPositions& given,
                 const at::Tensor& mask) {
  const bool masked = inputs.has("attention_mask");
  const at::Tensor cache = inputs.optional("use_cache");
  const bool packs =
      given.packs.defined() && !masked && cache.defined() && cache.eq(0).all().item<bool>();
  if (packs) return pack_mask(given.packs);
  return nn::decoder_mask(mask, mask.size(1), /*every_token=*/!masked);
}

at::Tensor kept_rows(const at::Tensor& hidden, const at::Tensor& keep) {
  if (!keep.defined()) return hidden;
  if (keep.numel() > 1) return hidden.index_select(1, keep.to(at::kLong));
  const auto count = keep.item<std::int64_t>();
  if (count <= 0 || count >= hidden.size(1)) return hidden;
  return hidden.narrow(1, hidden.size(1) - count, count);
}

at::Tensor mean_loss(const at::Tensor& logits, const at::Tensor& labels) {
  const std::int64_t length = labels.size(1) - 1;
  const at::Tensor shifted = labels.narrow(1, 1, length);
  const LossTerm term = objectives::cross_entropy(logits.narrow(1, 0, length), shifted,
                                                  objectives::count_labels(shifted));
  return term.sum / term.count;
}

void add_windows(Outputs& out, const std::vector<Grid>& grids, const VisionConfig& config) {
  const Windows all = windows(grids, config.patch.merge, config.window_side());
  out["window_index"] = at::tensor(all.order, at::kLong);
  out["cu_window_seqlens"] = at::tensor(all.ends, at::kInt);
}

}  // namespace

Outputs Qwen2VlModel::reference_outputs(const Outputs& recorded) {
  const ReferenceInputs inputs(
      recorded, {"pixel_values", "image_grid_thw", "pixel_values_videos", "video_grid_thw",
                 "second_per_grid_ts", "input_ids", "attention_mask", "position_ids", "labels",
                 "mm_token_type_ids", "logits_to_keep", "use_cache"});
  const VisionConfig& vision = config_.vision;
  const at::Tensor ids = inputs.ids("input_ids", config_.text.vocab_size);
  const at::Tensor mask = inputs.has("attention_mask") ? inputs.required("attention_mask").ne(0)
                                                       : at::ones_like(ids).ne(0);
  if (mask.sizes() != ids.sizes()) refuse_reference("expected input.attention_mask [B, T]");
  const std::vector<Grid> images = grids_in(inputs, "image_grid_thw", vision);
  const std::vector<Grid> videos = grids_in(inputs, "video_grid_thw", vision);
  const at::Tensor pixels = patches_in(inputs, "pixel_values", images, vision);
  const at::Tensor frames = patches_in(inputs, "pixel_values_videos", videos, vision);

  Outputs out;
  if (pixels.defined()) {
    out["image_embeds"] = out["image_features"] = model_->visual->forward(pixels, images, {});
  }
  if (frames.defined()) out["video_embeds"] = model_->visual->forward(frames, videos, {});
  at::Tensor embeds = model_->model->embed(ids);
  embeds = spliced(embeds, ids, config_.marks.image, out["image_embeds"]);
  embeds = spliced(embeds, ids, config_.marks.video, out["video_embeds"]);
  std::erase_if(out, [](const auto& item) { return !item.second.defined(); });

  RecordedPositions given;
  if (inputs.has("position_ids")) {
    given = recorded_positions(inputs.required("position_ids"), ids);
  } else {
    given.positions =
        positions_of(ids, mask, visuals_in(inputs, images, videos), config_.position_rule());
    if (!videos.empty()) {
      log_info("[verify] text after a video: rope_after_video: " + config_.rope_after_video);
    }
  }
  const at::Tensor longest = given.positions.amax({0, 2}, /*keepdim=*/true).squeeze(0);  // [B, 1]
  out["position_ids"] = given.positions;
  out["rope_deltas"] = longest + 1 - mask.sum(1, /*keepdim=*/true);
  const auto& grids = images.empty() ? videos : images;
  if (config_.version == Version::two_five && !grids.empty()) add_windows(out, grids, vision);

  // Texts alone: the class counts padding too, which turns nothing against anything but itself.
  const bool text_only = images.empty() && videos.empty() && !inputs.has("position_ids");
  const nn::Rotary rotary =
      nn::make_rotary(config_.rope_shape(),
                      text_only ? at::arange(ids.size(1)).expand({3, 1, -1}) : given.positions);
  const at::Tensor hidden = model_->model->forward(embeds, rotary, visible(inputs, given, mask));
  const at::Tensor logits =
      at::linear(kept_rows(hidden, inputs.optional("logits_to_keep")), model_->head());
  out["last_hidden_state"] = hidden;
  out["logits"] = logits;
  if (inputs.has("labels")) {
    const at::Tensor labels = inputs.ids("labels", config_.text.vocab_size, /*ignored=*/true);
    if (labels.sizes() != ids.sizes() || logits.size(1) != labels.size(1) || labels.size(1) < 2) {
      refuse_reference("expected input.labels of the shape of the ids, and all logits");
    }
    out["loss"] = mean_loss(logits, labels);
  }
  return out;
}

}  // namespace tandem::models::qwen2_vl
