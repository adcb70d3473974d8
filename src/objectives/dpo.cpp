#include "tandem/objectives/dpo.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/zeros_like.h>

#include "tandem/base/error.h"

namespace tandem::objectives {
namespace {

void check(const DpoOptions& options) {
  if (!(options.beta > 0)) {
    throw Error(ErrorKind::config, "[dpo] expected beta above 0; got another");
  }
  const bool robust = options.kind == DpoKind::robust;
  if (!(options.smoothing >= 0) || options.smoothing > 1 || (robust && options.smoothing >= 0.5)) {
    throw Error(ErrorKind::config, robust ? "[dpo] expected smoothing of 0 to below 0.5"
                                          : "[dpo] expected smoothing of 0 to 1");
  }
}

at::Tensor of_reference(const at::Tensor& value, const at::Tensor& like,
                        const DpoOptions& options) {
  return options.reference_free ? at::zeros_like(like) : value.detach().to(like.scalar_type());
}

at::Tensor losses_of(const at::Tensor& h, const DpoOptions& options) {
  if (options.kind == DpoKind::ipo) return (h - 1 / (2 * options.beta)).square();
  const at::Tensor right = at::log_sigmoid(h * options.beta);
  if (options.smoothing == 0) return right.neg();
  const at::Tensor wrong = at::log_sigmoid(h * -options.beta);
  const double e = options.smoothing;
  if (options.kind == DpoKind::robust) return (wrong * e - right * (1 - e)) / (1 - 2 * e);
  return right * (e - 1) - wrong * e;
}

}  // namespace

at::Tensor answer_log_probs(const at::Tensor& hidden, const at::Tensor& head,
                            const at::Tensor& labels, double count, const LmOptions& options) {
  return token_losses(hidden, head, shifted_labels(labels), count, options).sum(1).neg();
}

DpoTerm dpo_loss(const at::Tensor& chosen, const at::Tensor& rejected,
                 const at::Tensor& reference_chosen, const at::Tensor& reference_rejected,
                 const DpoOptions& options) {
  check(options);
  TANDEM_CHECK(chosen.dim() == 1 && chosen.sizes() == rejected.sizes() &&
                   (options.reference_free || (reference_chosen.sizes() == chosen.sizes() &&
                                               reference_rejected.sizes() == chosen.sizes())),
               "[dpo] expected log-probabilities [P] of both answers and of the reference");
  const at::Tensor of_chosen = chosen - of_reference(reference_chosen, chosen, options);
  const at::Tensor of_rejected = rejected - of_reference(reference_rejected, rejected, options);
  DpoTerm term;
  term.loss = {losses_of(of_chosen - of_rejected, options).sum(),
               static_cast<double>(chosen.size(0))};
  term.chosen_reward = of_chosen.detach() * options.beta;
  term.rejected_reward = of_rejected.detach() * options.beta;
  return term;
}

}  // namespace tandem::objectives
