#include "tandem/objectives/classification.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/softmax.h>

#include <string>

#include "objectives/wide.h"
#include "tandem/base/error.h"
#include "tandem/tensor/shape.h"

namespace tandem::objectives {
namespace {

void expect_rows(const at::Tensor& logits, const at::Tensor& given, const char* name) {
  if (logits.dim() == 2 && logits.sizes() == given.sizes()) return;
  throw Error(ErrorKind::data, "[classification] expected logits and " + std::string(name) +
                                   " [B, C]; got " + shape_text(logits) + " and " +
                                   shape_text(given));
}

// fp64 stays.
}  // namespace

LossTerm answer_scores(const at::Tensor& logits, const at::Tensor& scores) {
  expect_rows(logits, scores, "scores");
  const AutocastOff off(logits.device().type());
  const at::Tensor rows = wide(logits);
  return {at::binary_cross_entropy_with_logits(rows, scores.to(rows.scalar_type()), {}, {},
                                               at::Reduction::Sum),
          static_cast<double>(logits.size(0))};
}

LossTerm soft_cross_entropy(const at::Tensor& logits, const at::Tensor& given) {
  expect_rows(logits, given, "given logits");
  const AutocastOff off(logits.device().type());
  const at::Tensor target = at::softmax(wide(given.detach()), 1);
  return {-(at::log_softmax(wide(logits), 1) * target).sum(), static_cast<double>(logits.size(0))};
}

}  // namespace tandem::objectives
