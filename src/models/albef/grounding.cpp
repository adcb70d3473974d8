// Where in the picture the words stand: Grad-CAM of one layer's cross-attention, of a model that
// has seen no box. Source: Li et al. 2021, section 5.5; salesforce/ALBEF:Grounding.py.

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/softmax.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "models/albef/model.h"
#include "tandem/nn/attention.h"

namespace tandem::models::albef {
namespace {

// What is left of a layer behind its cross-attention's probabilities [B, H, T, S].
at::Tensor behind(const nn::BertLayer& layer, const at::Tensor& x, const at::Tensor& probabilities,
                  const at::Tensor& values) {
  const nn::BertAttention& cross = *layer.crossattention;
  const at::Tensor seen = at::matmul(probabilities, values).transpose(1, 2).flatten(2);
  const at::Tensor y = cross.norm->forward(x + cross.dense->forward(seen));
  return layer.norm->forward(
      y + layer.output->forward(layer.activation(layer.intermediate->forward(y))));
}

}  // namespace

// The third layer that fuses, as in the original, or the last one of fewer.
at::Tensor AlbefModel::locate(const Batch& batch) const {
  const Texts texts(batch.text.value().ids, batch.text->mask);
  const nn::BertEncoder& encoder = *albef_->bert->encoder;
  const auto count = static_cast<std::int64_t>(encoder.layers.size());
  const std::int64_t chosen = std::min(albef_->fusion_layer + 2, count - 1);
  const nn::BertLayer& layer = *encoder.layers[static_cast<std::size_t>(chosen)];
  at::Tensor image, x, probabilities, values;
  {
    const at::NoGradGuard no_grad;
    image =
        albef_->encode_image(nn::normalize_pixels(batch.images.value().pixels, statistics_), {});
    x = encoder.forward(albef_->encode_text(texts, {}), texts.mask, image, nn::no_mask(), {},
                        albef_->fusion_layer, chosen);
    x = layer.attention->forward(x, x, texts.mask);
    const nn::BertAttention& cross = *layer.crossattention;
    const auto heads = [&](const at::Tensor& rows) {
      return nn::split_heads(rows, 1, cross.heads)[0];
    };
    const at::Tensor q = heads(cross.query->forward(x)), k = heads(cross.key->forward(image));
    values = heads(cross.value->forward(image));
    const double scale = 1 / std::sqrt(static_cast<double>(q.size(3)));
    probabilities = at::softmax(at::matmul(q, k.transpose(2, 3)) * scale, 3);
  }
  const at::AutoGradMode grad(true);
  probabilities.set_requires_grad(true);
  const at::Tensor fused = encoder.forward(behind(layer, x, probabilities, values), texts.mask,
                                           image, nn::no_mask(), {}, chosen + 1, count);
  const at::Tensor match = albef_->itm_head->forward(fused.select(1, 0)).select(1, 1).sum();
  const at::Tensor slope = torch::autograd::grad({match}, {probabilities})[0];
  const at::NoGradGuard no_grad;
  const at::Tensor mask =
      batch.text->mask.defined() ? batch.text->mask : at::ones_like(batch.text->ids);
  const at::Tensor map = probabilities * slope.clamp_min(0) * mask.unsqueeze(1).unsqueeze(-1);
  const std::int64_t side = config_.vision.shape().grid();
  return map.narrow(3, 1, map.size(3) - 1).mean(at::IntArrayRef{1, 2}).view({-1, side, side});
}

}  // namespace tandem::models::albef
