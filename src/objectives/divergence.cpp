#include "tandem/objectives/divergence.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "tandem/base/error.h"
#include "tandem/objectives/lm.h"
#include "tandem/objectives/token_loss.h"

namespace tandem::objectives {
namespace {

constexpr std::int64_t most_bytes = std::int64_t{64} << 20;  // of the scores of one model

// log p of every word at these rows of [B x T]: [n, V].
at::Tensor log_words(const WordScores& scores, const at::Tensor& rows) {
  const at::Tensor hidden = scores.hidden.flatten(0, 1).index_select(0, rows);
  return at::log_softmax(at::linear(hidden, scores.head).to(at::kFloat), 1);
}

}  // namespace

at::Tensor answer_divergence(const WordScores& p, const WordScores& q, const at::Tensor& labels,
                             std::int64_t chunk) {
  const auto fits = [&](const WordScores& one) {
    return one.hidden.dim() == 3 && one.hidden.sizes().slice(0, 2) == labels.sizes() &&
           one.hidden.size(2) == one.head.size(1) && one.head.size(0) == p.head.size(0);
  };
  TANDEM_CHECK(labels.dim() == 2 && fits(p) && fits(q),
               "[divergence] expected hidden states [B, T, D], heads [V, D] and labels [B, T]");
  const at::NoGradGuard no_grad;
  const std::int64_t words = p.head.size(0);
  const std::int64_t step = chunk > 0 ? chunk : std::max<std::int64_t>(most_bytes / (4 * words), 1);
  const at::Tensor rows = shifted_labels(labels).flatten().ne(ignored).nonzero().squeeze(1);
  at::Tensor each = at::zeros({labels.numel()}, p.hidden.options().dtype(at::kFloat));
  for (std::int64_t first = 0; first < rows.size(0); first += step) {
    const at::Tensor some = rows.narrow(0, first, std::min(step, rows.size(0) - first));
    const at::Tensor own = log_words(p, some);
    const at::Tensor apart = (own.exp() * (own - log_words(q, some))).sum(1);
    each.index_copy_(0, some, apart.clamp_min(0));
  }
  return each.view(labels.sizes()).sum(1);
}

at::Tensor answer_tokens(const at::Tensor& labels) {
  return shifted_labels(labels).ne(ignored).sum(1);
}

}  // namespace tandem::objectives
