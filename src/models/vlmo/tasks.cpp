// Fine-tuned as a fusion encoder: answers of a closed list (VQA), true or false of two pictures
// (NLVR2). Retrieval is the contrast alone, as a dual encoder.
// Source: Bao et al. 2022, section 3.1; microsoft/unilm:vlmo, objectives.py, compute_vqa and
// compute_nlvr2.

#include <ATen/ops/cat.h>

#include "models/pass.h"
#include "models/vlmo/model.h"
#include "tandem/base/error.h"
#include "tandem/objectives/classification.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::vlmo {
namespace {

// kind: of the picture's tokens.
at::Tensor pooled_pair(const Vlmo& net, const at::Tensor& pixels, const Tokens& text,
                       std::int64_t kind, const nn::BlockContext& context) {
  const at::Tensor rows =
      net.pair(net.text_rows(text.ids, context), net.image_rows(pixels, {}, kind), text.mask,
               text.ids.size(1), context);
  return net.pooler->forward(rows.select(1, 0)).tanh();
}

}  // namespace

at::Tensor answer_logits(const Vlmo& net, const at::Tensor& pixels, const Tokens& text,
                         const nn::BlockContext& context) {
  return net.classifier->forward(pooled_pair(net, pixels, text, 1, nn::of_part(context, "answer")));
}

at::Tensor reason_logits(const Vlmo& net, const at::Tensor& left, const at::Tensor& right,
                         const Tokens& text, const nn::BlockContext& context) {
  return net.classifier->forward(
      at::cat({pooled_pair(net, left, text, 1, nn::of_part(context, "left")),
               pooled_pair(net, right, text, 2, nn::of_part(context, "right"))},
              1));
}

at::Tensor VlmoModel::task_logits(const Batch& batch, const nn::BlockContext& context) const {
  const Tokens& text = batch.text.value();
  const at::Tensor pixels = pixels_of(batch.images.value());
  if (config_.parts.vqa) return answer_logits(*net_, pixels, text, context);
  TANDEM_CHECK(batch.second.has_value(), "[nlvr2] expected a second picture");
  return reason_logits(*net_, pixels, pixels_of(*batch.second), text, context);
}

void VlmoModel::add_task(const Batch& batch, const LossRequest& request,
                         const nn::BlockContext& context, LossTerms& terms) const {
  if (!asks(request, "vqa") && !asks(request, "nlvr2")) return;
  const at::Tensor logits = task_logits(batch, context);
  if (config_.parts.vqa) {
    terms["vqa"] = objectives::answer_scores(logits, batch.scores);
    return;
  }
  // It is divided by what counts() said: a GPU's labels are not waited for.
  const double count = batch.labels.is_cpu() ? objectives::count_labels(batch.labels) : 1;
  terms["nlvr2"] = objectives::cross_entropy(logits, batch.labels, count);
}

}  // namespace tandem::models::vlmo
