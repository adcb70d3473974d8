#include "tandem/objectives/momentum_itc.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros_like.h>

namespace tandem::objectives {
namespace {

at::Tensor hard_targets(const MomentumItcInput& in, const at::Tensor& logits) {
  if (in.same.defined()) {
    const at::Tensor same = in.same.to(at::kFloat);
    return same / same.sum(1, /*keepdim=*/true);
  }
  at::Tensor targets = at::zeros_like(logits);
  targets.narrow(1, 0, logits.size(0)).fill_diagonal_(1);
  return targets;
}

at::Tensor rows_loss(const at::Tensor& logits, const at::Tensor& targets) {
  return -(at::log_softmax(logits, 1) * targets).sum();
}

}  // namespace

MomentumItc momentum_itc(const MomentumItcInput& in) {
  // Columns of both kinds, [E, B + Q]. The queue is constant within a step.
  const at::Tensor images =
      at::cat({in.image_copy.t(), in.image_queue.to(in.image_copy.scalar_type())}, 1);
  const at::Tensor texts =
      at::cat({in.text_copy.t(), in.text_queue.to(in.text_copy.scalar_type())}, 1);
  MomentumItc out;
  out.image_to_text = at::matmul(in.image.to(at::kFloat), texts.to(at::kFloat)) / in.temperature;
  out.text_to_image = at::matmul(in.text.to(at::kFloat), images.to(at::kFloat)) / in.temperature;
  at::Tensor image_targets, text_targets;
  {
    const at::NoGradGuard no_grad;
    const at::Tensor hard = hard_targets(in, out.image_to_text);
    const at::Tensor soft_i2t = at::softmax(
        at::matmul(in.image_copy.to(at::kFloat), texts.to(at::kFloat)) / in.temperature, 1);
    const at::Tensor soft_t2i = at::softmax(
        at::matmul(in.text_copy.to(at::kFloat), images.to(at::kFloat)) / in.temperature, 1);
    image_targets = soft_i2t * in.alpha + hard * (1 - in.alpha);
    text_targets = soft_t2i * in.alpha + hard * (1 - in.alpha);
  }
  out.loss.sum =
      (rows_loss(out.image_to_text, image_targets) + rows_loss(out.text_to_image, text_targets)) /
      2;
  out.loss.count = static_cast<double>(in.image.size(0));
  return out;
}

}  // namespace tandem::objectives
