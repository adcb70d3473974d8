#include "tandem/objectives/query_itc.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/matmul.h>

#include "objectives/wide.h"
#include "tandem/base/error.h"

namespace tandem::objectives {
namespace {

// The likest of each picture's features: [A, Q, D] and [C, D] -> [A, C].
at::Tensor likest(const at::Tensor& pictures, const at::Tensor& texts) {
  return at::matmul(pictures, texts.t()).amax(1);
}

at::Tensor sum_of_rows(const at::Tensor& logits, std::int64_t first, double smoothing) {
  const at::Tensor own =
      at::arange(first, first + logits.size(0), logits.options().dtype(at::kLong));
  return at::cross_entropy_loss(logits, own, {}, at::Reduction::Sum, -100, smoothing);
}

// All ranks' rows without gradient, `own` among them as it is.
at::Tensor joined(const at::Tensor& own, const dist::Mesh& mesh) {
  const at::Tensor all = dist::all_gather(mesh, own.detach().contiguous()).flatten(0, 1);
  const std::int64_t size = own.size(0), first = mesh.rank() * size;
  return at::cat(
      {all.narrow(0, 0, first), own, all.narrow(0, first + size, all.size(0) - first - size)});
}

}  // namespace

QueryItc query_itc(const at::Tensor& given_image, const at::Tensor& given_text,
                   const at::Tensor& temperature, const dist::Mesh& mesh,
                   const QueryItcOptions& options) {
  TANDEM_CHECK(
      given_image.dim() == 3 && given_text.dim() == 2 && given_image.size(0) == given_text.size(0),
      "[itc] expected image [B, Q, D] and text [B, D] with equal B");
  const AutocastOff autocast_off(given_image.device().type());
  const at::Tensor image = wide(given_image), text = wide(given_text);
  const std::int64_t size = image.size(0), first = mesh.rank() * size;
  const bool alone = mesh.size() == 1;
  const at::Tensor images = alone ? image : joined(image, mesh);
  const at::Tensor texts = alone ? text : joined(text, mesh);
  QueryItc out;
  out.image_to_text = likest(image, options.released ? texts.detach() : texts) / temperature;
  out.text_to_image = likest(options.released ? images.detach() : images, text).t() / temperature;
  out.loss = {(sum_of_rows(out.image_to_text, first, options.smoothing) +
               sum_of_rows(out.text_to_image, first, options.smoothing)) /
                  2,
              static_cast<double>(size)};
  if (alone || options.released) return out;
  // What the other ranks' rows say of these features: their value is not this rank's to count.
  const at::Tensor fixed = temperature.detach();
  const auto others = [&](const at::Tensor& logits) {
    at::Tensor sum = sum_of_rows(logits, 0, options.smoothing);
    return sum - sum_of_rows(logits.narrow(0, first, size), first, options.smoothing);
  };
  const at::Tensor more =
      (others(likest(images, texts) / fixed) + others(likest(images, texts).t() / fixed)) / 2;
  out.loss.sum = out.loss.sum + more - more.detach();
  return out;
}

}  // namespace tandem::objectives
