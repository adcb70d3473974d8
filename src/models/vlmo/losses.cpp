// Section 2.3 of the paper and the code's objectives.py, as functions of a batch.

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include "models/pass.h"
#include "models/vlmo/model.h"
#include "tandem/objectives/hard_negatives.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::models::vlmo {
namespace {

at::Tensor first_row(const at::Tensor& x) { return x.select(1, 0); }

// The feature of path 1, and of path 2 beside it.
at::Tensor features_of(const Rows& rows, const nn::Linear& own, const nn::Linear* joint) {
  const at::Tensor first = unit_rows(own.forward(first_row(rows.own)));
  if (joint == nullptr) return first;
  return at::cat({first, unit_rows(joint->forward(first_row(rows.joint)))}, 1);
}

at::Tensor pooled(const Vlmo& net, const at::Tensor& rows) {
  return net.pooler->forward(first_row(rows)).tanh();
}

}  // namespace

Contrast contrast(const Vlmo& net, const at::Tensor& pixels, const Tokens& text,
                  const nn::BlockContext& context) {
  const bool joint = net.itc_vl_text != nullptr;
  Contrast features;
  if (pixels.defined()) {
    const Rows rows = net.image(net.image_rows(pixels), joint, nn::of_part(context, "itc image"));
    features.image = features_of(rows, *net.itc_image, net.itc_vl_image.get());
  }
  if (text.ids.defined()) {
    const nn::BlockContext own = nn::of_part(context, "itc text");
    const Rows rows = net.text(net.text_rows(text.ids, own), text.mask, joint, own);
    features.text = features_of(rows, *net.itc_text, net.itc_vl_text.get());
  }
  return features;
}

at::Tensor scales(const Vlmo& net) {
  if (!net.logit_vl_scale.defined()) return net.logit_scale.view({1});
  return at::stack({net.logit_scale, net.logit_vl_scale});
}

Negatives draw_negatives(const Vlmo& net, const Candidates& among, std::int64_t size, Key key) {
  const at::NoGradGuard no_grad;
  const std::int64_t width = net.itc_text->weight.size(0), first = among.first;
  const at::Tensor image = among.features.image.slice(1, 0, width);  // [N, D]
  const at::Tensor text = among.features.text.slice(1, 0, width);
  const at::Tensor own = at::arange(first, first + size, image.options().dtype(at::kLong));
  // A column of each of the rank's rows against all rows of the other kind, never its own.
  const auto drawn = [&](const at::Tensor& rows, const at::Tensor& columns, const char* purpose) {
    const at::Tensor logits =
        at::matmul(rows.narrow(0, first, size), columns.t()) * net.logit_scale.exp();  // [B, N]
    at::Tensor shares = at::softmax(logits.to(at::kFloat), 1);
    shares.scatter_(1, own.unsqueeze(1), 0);
    return objectives::draw_columns(shares, own, key.fold(purpose), first);
  };
  return {drawn(text, image, "hard picture"), drawn(image, text, "hard text")};
}

LossTerm matching(const Vlmo& net, const at::Tensor& pixels, const Tokens& text,
                  const at::Tensor& hard_pixels, const Tokens& hard_text, std::int64_t split,
                  const nn::BlockContext& context) {
  const nn::BlockContext own = nn::of_part(context, "itm");
  const at::Tensor words = net.text_rows(text.ids, own);  // [B, T, D]
  const at::Tensor hard_words = net.text_rows(hard_text.ids, nn::of_part(own, "hard"));
  const at::Tensor patches = net.image_rows(pixels), hard_patches = net.image_rows(hard_pixels);
  const at::Tensor rows =
      net.pair(at::cat({words, words, hard_words}), at::cat({patches, hard_patches, patches}),
               at::cat({text.mask, text.mask, hard_text.mask}), split, own);
  const at::Tensor logits = net.itm_score->forward(pooled(net, rows));  // [3 B, 2]
  const std::int64_t batch = text.ids.size(0);
  at::Tensor labels = at::zeros({3 * batch}, text.ids.options());
  labels.narrow(0, 0, batch).fill_(1);
  return objectives::cross_entropy(logits, labels, static_cast<double>(3 * batch));
}

LossTerm masked_language(const Vlmo& net, const at::Tensor& pixels, const Tokens& text,
                         std::int64_t split, double count, const nn::BlockContext& context) {
  const nn::BlockContext own = nn::of_part(context, "mlm");
  const at::Tensor rows =
      net.pair(net.text_rows(text.ids, own), net.image_rows(pixels), text.mask, split, own);
  const at::Tensor words = rows.slice(1, 0, text.ids.size(1));  // [B, T, D]
  return objectives::cross_entropy(net.mlm_score->forward(words), text.labels, count);
}

LossTerm masked_text(const Vlmo& net, const Tokens& text, double count,
                     const nn::BlockContext& context) {
  const nn::BlockContext own = nn::of_part(context, "text_mlm");
  const Rows rows = net.text(net.text_rows(text.ids, own), text.mask, /*joint=*/false, own);
  return objectives::cross_entropy(net.mlm_score->forward(rows.own), text.labels, count);
}

LossTerm masked_image(const Vlmo& net, const at::Tensor& pixels, const HiddenPatches& patches,
                      double count, const nn::BlockContext& context) {
  const at::Tensor& hidden = patches.hidden;
  const Rows rows =
      net.image(net.image_rows(pixels, hidden), /*joint=*/false, nn::of_part(context, "mim"));
  // The hidden patches of each picture first; the few that are not hidden there count nothing.
  const at::Tensor order = hidden.to(at::kLong)
                               .argsort(/*stable=*/true, 1, /*descending=*/true)
                               .slice(1, 0, patches.most);
  const at::Tensor codes = patches.codes.gather(1, order);  // [B, M]
  const at::Tensor labels = codes.masked_fill(hidden.gather(1, order).eq(0), objectives::ignored);
  const at::Tensor seen = rows.own.slice(1, 1);  // without the class token
  const at::Tensor chosen =
      seen.gather(1, order.unsqueeze(-1).expand({-1, -1, seen.size(2)}));  // [B, M, D]
  return objectives::cross_entropy(net.lm_head->forward(chosen), labels, count);
}

at::Tensor match_probability(const Vlmo& net, const at::Tensor& pixels, const Tokens& text) {
  const at::Tensor rows = net.pair(net.text_rows(text.ids, {}), net.image_rows(pixels), text.mask,
                                   text.ids.size(1), {});
  return at::softmax(net.itm_score->forward(pooled(net, rows)), 1).select(1, 1);
}

}  // namespace tandem::models::vlmo
