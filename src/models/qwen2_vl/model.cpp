#include "models/qwen2_vl/model.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/index_copy.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/nonzero_static.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include "models/language_config.h"
#include "models/pass.h"
#include "tandem/base/error.h"
#include "tandem/models/generate_steps.h"
#include "tandem/nn/init.h"
#include "tandem/nn/kv_cache.h"
#include "tandem/objectives/lm.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::qwen2_vl {

// --- Parts -------------------------------------------------------------------------------------

Qwen2Vl::Qwen2Vl(const Config& config) {
  visual = register_module(
      "visual", std::make_shared<Tower>(config.vision, config.version, config.text.width));
  model = register_module("model", std::make_shared<nn::Decoder>(config.decoder_shape()));
  if (config.text.tied) return;
  lm_head = register_module(
      "lm_head", std::make_shared<nn::Linear>(config.text.width, config.text.vocab_size, false));
}

at::Tensor Qwen2Vl::head() const { return head_matrix(lm_head.get(), *model); }

Qwen2VlModel::Qwen2VlModel(const Config& config, Key init)
    : config_(config), statistics_(statistics_of(config.image)) {
  if (config.text.vocab_size < 1 || config.marks.image < 0 || config.marks.video < 0) {
    throw Error(ErrorKind::config, "[models] expected model.text.vocab_size and model.marks", "",
                "give the model a tokenizer, or set them");
  }
  model_ = std::make_shared<Qwen2Vl>(config);
  initialize(*model_, init);
  read_pretrained(*model_, config);
  if (config.preference.reference != "copy") return;
  reference_ = std::make_shared<DecoderAndHead>(config.decoder_shape(), config.text.tied);
  freeze_copy(*reference_, *model_);
}

NamedTensors Qwen2VlModel::parameters() const { return parameters_of(*model_); }

NamedTensors Qwen2VlModel::buffers() const { return buffers_of(reference_.get()); }

void Qwen2VlModel::to(const at::Device& device) {
  model_->to(device);
  if (reference_ != nullptr) reference_->to(device);
}

std::vector<Grid> grids_of(const at::Tensor& grid_thw) {
  TANDEM_CHECK(grid_thw.dim() == 2 && grid_thw.size(1) == 3 && grid_thw.is_cpu(),
               "[qwen2_vl] expected grids [N, 3] on the host");
  const at::Tensor rows = grid_thw.to(at::kLong).contiguous();
  const auto* at = rows.const_data_ptr<std::int64_t>();
  std::vector<Grid> grids;
  for (std::int64_t i = 0; i < rows.size(0); ++i, at += 3) grids.push_back({at[0], at[1], at[2]});
  return grids;
}

at::Tensor tensor_of(const Positions& positions) {
  std::vector<at::Tensor> axes;
  for (const auto& axis : positions.axes) axes.push_back(at::tensor(axis, at::kLong));
  return at::stack(axes).unsqueeze(1);
}

// --- The pass ----------------------------------------------------------------------------------

at::Tensor Qwen2VlModel::look(const std::optional<PackedPatches>& patches,
                              const nn::BlockContext& context) const {
  if (!patches || patches->patches.size(0) == 0) return {};
  // A patch is [3, frames x patch, patch] to the statistics.
  const at::Tensor pixels =
      patches->patches.view({patches->patches.size(0), 3, -1, config_.vision.patch.patch});
  const at::Tensor normal = nn::normalize_pixels(pixels, statistics_).flatten(1);
  return model_->visual->forward(normal, grids_of(patches->grid_thw), context);
}

at::Tensor Qwen2VlModel::embed(const nn::Decoder& decoder, const at::Tensor& ids,
                               const at::Tensor& looks) const {
  const at::Tensor words = decoder.embed(ids);
  if (!looks.defined()) return words;
  const at::Tensor places = ids.eq(config_.marks.image).logical_or(ids.eq(config_.marks.video));
  // As many as there are tokens of pictures: known without asking the device.
  const at::Tensor rows = at::nonzero_static(places.flatten(), looks.size(0)).squeeze(1);
  return at::index_copy(words.flatten(0, 1), 0, rows, looks.to(words.scalar_type()))
      .view(words.sizes());
}

at::Tensor Qwen2VlModel::read(const nn::Decoder& decoder, const Tokens& tokens,
                              const at::Tensor& looks, const nn::BlockContext& context) const {
  const nn::Rotary rotary = nn::make_rotary(config_.rope_shape(), tokens.positions);
  const nn::Mask mask =
      tokens.segments.defined() ? nn::packed_mask(ends_of_pack(tokens), true) : nn::causal_mask();
  return decoder.forward(embed(decoder, tokens.ids, looks), rotary, mask, context);
}

std::map<std::string, double> Qwen2VlModel::counts(const Batch& batch,
                                                   const LossRequest& request) const {
  const Tokens& text = batch.text.value();
  TANDEM_CHECK(text.labels.defined(), "[lm] expected labels");
  std::int64_t tokens = 0;
  if (batch.patches) {
    for (const Grid& grid : grids_of(batch.patches->grid_thw)) {
      tokens += vision::tokens_of(grid, config_.vision.patch.merge);
    }
  }
  const auto places = [&](std::int64_t id) { return text.ids.eq(id).sum().item<std::int64_t>(); };
  const std::int64_t found = places(config_.marks.image) + places(config_.marks.video);
  if (found != tokens) {
    throw Error(ErrorKind::data, "[qwen2_vl] expected " + std::to_string(tokens) +
                                     " places for the pictures; got " + std::to_string(found));
  }
  std::map<std::string, double> all{
      {"lm", objectives::count_labels(objectives::shifted_labels(text.labels))}};
  if (asks(request, "dpo")) all["dpo"] = count_preferences(batch);
  return all;
}

std::map<std::string, ChanceLevel> Qwen2VlModel::chance_levels(std::int64_t) const {
  std::map<std::string, ChanceLevel> levels{{"lm", chance_among(config_.text.vocab_size)}};
  if (config_.preference.kind == "sigmoid") levels["dpo"] = chance_among(2);
  return levels;
}

LossTerms Qwen2VlModel::losses(const Batch& batch, const LossRequest& request,
                               const StepContext& context) {
  const Tokens& text = batch.text.value();
  const at::Tensor looks = look(batch.patches, blocks_of(context, "vision"));
  const at::Tensor hidden = read(*model_->model, text, looks, blocks_of(context, "text"));
  LossTerms terms;
  if (asks(request, "lm")) {
    const at::Tensor labels = objectives::shifted_labels(text.labels);
    terms["lm"] =
        objectives::lm_loss(hidden, model_->head(), labels, objectives::host_count(labels));
  }
  if (asks(request, "dpo")) {
    terms["dpo"] = preference_loss(reader_of(), config_.preference, batch, looks, hidden,
                                   blocks_of(context, "rejected"));
  }
  return terms;
}

// A sample has the pictures whose tokens fill its places.
std::vector<std::int64_t> Qwen2VlModel::picture_ends(const Batch& batch) const {
  const std::vector<Grid> grids = grids_of(batch.patches->grid_thw);
  const Tokens& text = *batch.text;
  const std::vector<std::int64_t> rows =
      text.segments.defined() ? ends_of_pack(text) : std::vector<std::int64_t>();
  std::vector<std::int64_t> ends{0};
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(count_preferences(batch)); ++i) {
    const auto at = static_cast<std::size_t>(i);
    const at::Tensor own =
        rows.empty() ? text.ids[i] : text.ids.narrow(1, rows[at], rows[at + 1] - rows[at]);
    auto left = own.eq(config_.marks.image)
                    .logical_or(own.eq(config_.marks.video))
                    .sum()
                    .item<std::int64_t>();
    std::int64_t next = ends.back();
    while (left > 0) {
      left -=
          vision::tokens_of(grids.at(static_cast<std::size_t>(next++)), config_.vision.patch.merge);
    }
    ends.push_back(next);
  }
  return ends;
}

// Chosen and rejected answers stand behind the same pictures, which are looked at once.
AnswerReader Qwen2VlModel::reader_of() {
  const auto with = [this](const nn::Decoder* decoder, const nn::Linear* head) -> AnswerModel {
    return {[this, decoder](const Tokens& tokens, const at::Tensor& looks,
                            const nn::BlockContext& context) {
              return read(*decoder, tokens, looks, context);
            },
            [decoder, head] { return head_matrix(head, *decoder); }};
  };
  AnswerModel of_copy;
  if (reference_ != nullptr) of_copy = with(reference_->decoder.get(), reference_->head.get());
  return {*model_,
          with(model_->model.get(), model_->lm_head.get()),
          reference_.get(),
          of_copy,
          [this](const Batch& batch) { return look(batch.patches, {}); },
          &kept_,
          [this] { return to_config_json(config_); },
          [this](const Batch& batch) { return picture_ends(batch); }};
}

// --- Replies -----------------------------------------------------------------------------------

// Behind a prompt time, height and width go on together, from its largest position.
std::vector<std::vector<std::int64_t>> Qwen2VlModel::write(const Batch& prompts,
                                                           const GenerateOptions& options) const {
  const at::NoGradGuard no_grad;
  const Tokens& text = prompts.text.value();
  const nn::RopeShape rope = config_.rope_shape();
  const at::Tensor head = model_->head();
  nn::KvCache cache(config_.text.layers);
  at::Tensor mask = text.mask.defined() ? text.mask : at::ones_like(text.ids);
  at::Tensor next_position = text.positions.amax({0, 2}) + 1;  // [N]
  const auto next = [&](const GenerationStep& step) {
    at::Tensor embeds, positions = text.positions;
    if (step.first) {
      embeds = embed(*model_->model, text.ids, look(prompts.patches, {}));
    } else {
      if (step.from.defined()) {
        cache.reorder(step.from);
        mask = mask.index_select(0, step.from);
        next_position = next_position.index_select(0, step.from);
      }
      mask = at::cat({mask, at::ones({mask.size(0), 1}, mask.options())}, 1);
      embeds = model_->model->embed(step.ids.narrow(1, step.ids.size(1) - 1, 1));
      positions = next_position.view({1, -1, 1}).expand({3, -1, 1});
      next_position = next_position + 1;
    }
    const std::int64_t tokens = embeds.size(1);
    const at::Tensor hidden = model_->model->forward(embeds, nn::make_rotary(rope, positions),
                                                     nn::decoder_mask(mask, tokens), {}, &cache);
    return at::linear(hidden.select(1, tokens - 1), head);
  };
  const std::vector<std::int64_t> ends{config_.marks.end};
  return generate_steps(next, text.ids, ends, options);
}

Abilities Qwen2VlModel::abilities() {
  Abilities can;
  can.generate = [this](const Batch& prompts, const GenerateOptions& options) {
    return write(prompts, options);
  };
  can.prefer = [this](const Batch& batch) {
    return preferred(reader_of(), config_.preference, batch);
  };
  return can;
}

}  // namespace tandem::models::qwen2_vl
