// `tandem verify`: one training step of the original's VLMo in evaluation mode, with the recorded
// choices. There is no Hugging Face class; the names are those of DESIGN section 7.

#include <ATen/ops/ones_like.h>

#include <set>

#include "models/reference_inputs.h"
#include "models/vlmo/model.h"
#include "tandem/objectives/itc.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::vlmo {
namespace {

using Inputs = std::map<std::string, at::Tensor>;

const std::set<std::string>& known() {
  static const std::set<std::string> names{
      "pixel_values",      "input_ids",        "attention_mask",  "mlm_input_ids", "mlm_labels",
      "itm_neg_image_idx", "itm_neg_text_idx", "bool_masked_pos", "visual_codes"};
  return names;
}

// The code's factor of the loss on pairs.
constexpr double mlm_factor = 0.25;

class Recorded {
 public:
  Recorded(const Inputs& inputs, const Config& config) : in_(inputs, known()), config_(config) {
    if (in_.has("pixel_values")) {
      pixels = in_.pixels();
      if (pixels.size(2) != config.image_size || pixels.size(3) != config.image_size) {
        refuse_reference("expected input.pixel_values of " + std::to_string(config.image_size) +
                         " pixels a side");
      }
      rows_ = pixels.size(0);
    }
    if (in_.has("input_ids")) text = tokens("input_ids");
    if (in_.has("mlm_input_ids") || in_.has("mlm_labels")) {
      masked = tokens("mlm_input_ids");
      masked.labels = in_.ids("mlm_labels", config.vocab_size, /*ignored=*/true);
      if (masked.labels.sizes() != masked.ids.sizes()) {
        refuse_reference("expected input.mlm_labels of the shape of input.mlm_input_ids");
      }
    }
    if (in_.has("itm_neg_image_idx") || in_.has("itm_neg_text_idx")) {
      negatives.image = indices("itm_neg_image_idx");
      negatives.text = indices("itm_neg_text_idx");
    }
    if (in_.has("bool_masked_pos") || in_.has("visual_codes")) hide();
    if (!text.ids.defined() && !masked.ids.defined() && !patches.hidden.defined()) {
      refuse_reference(
          "expected input.input_ids, input.mlm_input_ids or input.bool_masked_pos, which are "
          "missing");
    }
  }

  at::Tensor pixels;    // undefined: the language stage
  Tokens text, masked;  // ids undefined: not recorded
  Negatives negatives;
  HiddenPatches patches;  // hidden undefined: not recorded

 private:
  void hide() {
    if (!pixels.defined()) refuse_reference("expected input.pixel_values, which is missing");
    const auto all = [&](const char* name, std::int64_t below) {
      const at::Tensor found = in_.ids(name, below);
      if (found.size(0) != rows_ || found.size(1) != config_.patches()) {
        refuse_reference(std::string("expected input.") + name + " of each patch of the pictures");
      }
      return found;
    };
    patches.hidden = all("bool_masked_pos", 2);
    patches.codes = all("visual_codes", config_.codes);
    patches.most = patches.hidden.sum(1).max().item<std::int64_t>();
  }

  Tokens tokens(const std::string& name) {
    Tokens found;
    found.ids = in_.ids(name, config_.vocab_size);
    if (found.ids.size(1) > config_.context_length) {
      refuse_reference("expected input." + name + " of at most " +
                       std::to_string(config_.context_length) + " tokens");
    }
    if (rows_ >= 0 && found.ids.size(0) != rows_) {
      refuse_reference("expected as many rows of input." + name + " as pictures");
    }
    rows_ = found.ids.size(0);
    const at::Tensor mask = in_.optional("attention_mask");
    if (mask.defined() && mask.sizes() != found.ids.sizes()) {
      refuse_reference("expected input.attention_mask of the shape of input." + name);
    }
    found.mask = mask.defined() ? mask.ne(0).to(at::kLong) : at::ones_like(found.ids);
    return found;
  }

  at::Tensor indices(const std::string& name) const {
    const at::Tensor given = in_.required(name);
    if (given.dim() != 1 || given.size(0) != rows_ || at::isFloatingType(given.scalar_type()) ||
        given.min().item<std::int64_t>() < 0 || given.max().item<std::int64_t>() >= rows_) {
      refuse_reference("expected input." + name + " to be [B] rows of the batch");
    }
    return given.to(at::kLong);
  }

  ReferenceInputs in_;
  const Config& config_;
  std::int64_t rows_ = -1;
};

at::Tensor mean(const LossTerm& term) { return term.sum / term.count; }

}  // namespace

std::map<std::string, at::Tensor> VlmoModel::reference_outputs(const Inputs& inputs) {
  const Recorded in(inputs, config_);
  // The original splits a pair there, however long its text is.
  const std::int64_t split = config_.context_length;
  std::map<std::string, at::Tensor> outputs;
  const bool pictures = in.pixels.defined();
  if (pictures && in.text.ids.defined() && config_.parts.itc && config_.parts.itc_vl) {
    const Contrast found = contrast(*net_, in.pixels, in.text, {});
    outputs["loss_itc"] =
        mean(objectives::itc(found.image, found.text, scales(*net_), dist::Mesh()));
  }
  if (pictures && in.text.ids.defined() && in.negatives.image.defined() && config_.parts.itm) {
    const Tokens hard{in.text.ids.index_select(0, in.negatives.text),
                      in.text.mask.index_select(0, in.negatives.text)};
    const at::Tensor hard_pixels = in.pixels.index_select(0, in.negatives.image);
    outputs["loss_itm"] = mean(matching(*net_, in.pixels, in.text, hard_pixels, hard, split, {}));
  }
  if (in.masked.ids.defined() && config_.parts.mlm) {
    const double count = objectives::count_labels(in.masked.labels);
    if (pictures) {
      outputs["loss_mlm"] =
          mean(masked_language(*net_, in.pixels, in.masked, split, count, {})) * mlm_factor;
    }
    outputs["loss_text_mlm"] = mean(masked_text(*net_, in.masked, count, {}));
  }
  if (in.patches.hidden.defined() && config_.parts.mim) {
    const auto count = static_cast<double>(in.patches.hidden.sum().item<std::int64_t>());
    if (count < 1) refuse_reference("expected input.bool_masked_pos that hides a patch");
    outputs["loss_mim"] = mean(masked_image(*net_, in.pixels, in.patches, count, {}));
  }
  return outputs;
}

}  // namespace tandem::models::vlmo
