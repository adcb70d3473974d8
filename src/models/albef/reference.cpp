// `tandem verify`: one training step of the original's ALBEF in evaluation mode, on recorded inputs
// and recorded choices: the temperature clamped, the copies moved, the losses, the queues written.

#include <set>

#include "models/albef/model.h"
#include "models/reference_inputs.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::albef {
namespace {

std::set<std::string> known(Kind kind) {
  std::set<std::string> names{"pixel_values",      "input_ids",        "attention_mask",
                              "itm_neg_image_idx", "itm_neg_text_idx", "alpha"};
  if (kind == Kind::pretrain) names.insert({"mlm_input_ids", "mlm_labels"});
  if (kind == Kind::retrieval) names.insert("idx");
  return names;
}

at::Tensor pictures_of(const ReferenceInputs& inputs, std::int64_t batch) {
  const at::Tensor& given = inputs.required("idx");
  if (given.numel() != batch || at::isFloatingType(given.scalar_type())) {
    refuse_reference("expected input.idx to be numbers of pictures [B]");
  }
  return given.to(at::kLong).view({-1});
}

// The text that stands under `name`; all three of them have the shape of input_ids.
at::Tensor tokens(const ReferenceInputs& inputs, const std::string& name, const Config& config,
                  bool labels = false) {
  const at::Tensor ids = inputs.ids(name, config.text.vocab_size, labels);
  if (ids.sizes() != inputs.required("input_ids").sizes()) {
    refuse_reference("expected input." + name + " of the shape of input.input_ids");
  }
  if (ids.size(1) > config.text.positions) {
    refuse_reference("expected input." + name + " of at most " +
                     std::to_string(config.text.positions) + " tokens");
  }
  return ids;
}

double number(const ReferenceInputs& inputs, const std::string& name, double fallback) {
  const at::Tensor given = inputs.optional(name);
  if (!given.defined()) return fallback;
  if (given.numel() != 1) refuse_reference("expected input." + name + " to be one number");
  return given.item<double>();
}

at::Tensor pixels_of(const ReferenceInputs& inputs, std::int64_t batch, const Config& config) {
  at::Tensor pixels = inputs.pixels();
  const std::int64_t side = config.vision.image_size;
  if (pixels.size(0) != batch || pixels.size(2) != side || pixels.size(3) != side) {
    refuse_reference("expected input.pixel_values of as many pictures as texts, with sides of " +
                     std::to_string(side));
  }
  return pixels;
}

}  // namespace

std::map<std::string, at::Tensor> AlbefModel::reference_outputs(
    const std::map<std::string, at::Tensor>& recorded) {
  const ReferenceInputs inputs(recorded, known(kind_));
  const at::Tensor ids = tokens(inputs, "input_ids", config_);
  const at::Tensor mask = inputs.mask("attention_mask", ids);
  const std::int64_t batch = ids.size(0);
  const at::Tensor pixels = pixels_of(inputs, batch, config_);
  const Negatives negatives{inputs.rows("itm_neg_image_idx", batch),
                            inputs.rows("itm_neg_text_idx", batch)};
  const bool learns_words = kind_ == Kind::pretrain;
  const Texts texts(ids, mask),
      hidden(learns_words ? tokens(inputs, "mlm_input_ids", config_) : ids, mask);
  const at::Tensor labels = learns_words ? tokens(inputs, "mlm_labels", config_, true) : ids;
  const at::Tensor pictures = learns_words ? at::Tensor() : pictures_of(inputs, batch);
  const bool distills = learns_words || config_.distill;
  const double alpha = distills ? number(inputs, "alpha", config_.alpha) : 0;

  begin_step();
  const StepContext context;
  Pass pass;
  pass.image = albef_->encode_image(pixels, {});
  pass.image_copy = copy_of_image(pixels, context);
  pass.text = albef_->encode_text(texts, {});
  const Contrast c = contrast(pass, texts, albef_->temperature, pictures, alpha, context);
  const auto mean = [](const LossTerm& term) { return term.sum / term.count; };
  std::map<std::string, at::Tensor> outputs{
      {"loss_itc", mean(c.itc.loss)}, {"loss_itm", mean(itm(pass, texts, negatives, context))}};
  if (learns_words) {
    const double count = objectives::count_labels(labels);
    outputs["loss_mlm"] = mean(mlm(pass, hidden, labels, count, alpha, context));
  }

  queues_.write(c.image_copy, c.text_copy, pictures);
  outputs["state.temp"] = albef_->temperature.detach().clone();
  for (const auto& [name, value] : buffers()) outputs["state." + name] = value.detach().clone();
  if (!learns_words) return outputs;
  // Tied tensors stand in the original's state under both names.
  const std::string head = "state.text_encoder_m.cls.predictions.";
  outputs[head + "decoder.weight"] =
      outputs["state.text_encoder_m.bert.embeddings.word_embeddings.weight"];
  outputs[head + "decoder.bias"] = outputs[head + "bias"];
  return outputs;
}

}  // namespace tandem::models::albef
