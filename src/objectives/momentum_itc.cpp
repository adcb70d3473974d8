#include "tandem/objectives/momentum_itc.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros_like.h>

#include <string>

#include "objectives/wide.h"
#include "tandem/base/error.h"

namespace tandem::objectives {
namespace {

void check(const MomentumItcInput& in) {
  const auto features = [&](const at::Tensor& t) {
    return t.dim() == 2 && t.sizes() == in.image.sizes();
  };
  const auto queue = [&](const at::Tensor& t) {
    return t.dim() == 2 && t.size(0) == in.image.size(1) && t.sizes() == in.image_queue.sizes();
  };
  if (!features(in.image) || !features(in.text) || !features(in.image_copy) ||
      !features(in.text_copy)) {
    throw Error(ErrorKind::data, "[itc] expected image, text and their copies [B, E], all equal");
  }
  if (!queue(in.image_queue) || !queue(in.text_queue)) {
    throw Error(ErrorKind::data,
                "[itc] expected both queues [E, Q], E = " + std::to_string(in.image.size(1)));
  }
}

// Targets are the same for rows of pictures and of texts but for the copies' share.
at::Tensor hard_targets(const MomentumItcInput& in, const at::Tensor& logits) {
  if (in.same.defined()) {
    const at::Tensor same = in.same.to(logits.scalar_type());
    return same / same.sum(1, /*keepdim=*/true);
  }
  at::Tensor targets = at::zeros_like(logits);
  targets.narrow(1, 0, logits.size(0)).fill_diagonal_(1);
  return targets;
}

at::Tensor targets_of(const MomentumItcInput& in, const at::Tensor& hard, const at::Tensor& copy,
                      const at::Tensor& columns) {
  if (in.alpha == 0) return hard;
  const at::Tensor soft = at::softmax(at::matmul(copy, columns) / in.temperature, 1);
  return soft * in.alpha + hard * (1 - in.alpha);
}

at::Tensor rows_loss(const at::Tensor& logits, const at::Tensor& targets) {
  return -(at::log_softmax(logits, 1) * targets).sum();
}

}  // namespace

MomentumItc momentum_itc(const MomentumItcInput& in) {
  check(in);
  const AutocastOff fp32(in.image.device().type());
  const at::Tensor image = wide(in.image), text = wide(in.text);
  const at::Tensor image_copy = wide(in.image_copy.detach()),
                   text_copy = wide(in.text_copy.detach());
  // Columns of both kinds, [E, B + Q]. The queue is constant within a step.
  const auto columns = [](const at::Tensor& copy, const at::Tensor& queue) {
    return at::cat({copy.t(), queue.detach().to(copy.scalar_type())}, 1);
  };
  const at::Tensor images = columns(image_copy, in.image_queue);
  const at::Tensor texts = columns(text_copy, in.text_queue);
  MomentumItc out;
  out.image_to_text = at::matmul(image, texts) / in.temperature;
  out.text_to_image = at::matmul(text, images) / in.temperature;
  at::Tensor image_targets, text_targets;
  {
    const at::NoGradGuard no_grad;
    const at::Tensor hard = hard_targets(in, out.image_to_text);
    image_targets = targets_of(in, hard, image_copy, texts);
    text_targets = targets_of(in, hard, text_copy, images);
  }
  out.loss.sum =
      (rows_loss(out.image_to_text, image_targets) + rows_loss(out.text_to_image, text_targets)) /
      2;
  out.loss.count = static_cast<double>(in.image.size(0));
  return out;
}

}  // namespace tandem::objectives
