#include "tandem/objectives/lm.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/nonzero_static.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "objectives/softmax_loss.h"
#include "tandem/base/error.h"
#include "tandem/objectives/token_loss.h"
#include "tandem/tensor/autocast.h"

namespace tandem::objectives {
namespace {

namespace ag = torch::autograd;

at::ScalarType compute_type(const at::Tensor& hidden) {
  const AutocastSetting autocast = autocast_setting(hidden.device().type());
  return autocast.on ? autocast.type : hidden.scalar_type();
}

// What a pass works on: the rows that have a label, in the type of the products.
struct Work {
  at::Tensor rows;     // int64 [n], places among the N rows
  at::Tensor hidden;   // [n, D]
  at::Tensor weight;   // [V, D]
  at::Tensor labels;   // int64 [n]
  at::Tensor counted;  // fp32 [n], 1 or 0; undefined: all of them are counted
  std::int64_t chunk = 0;

  std::int64_t size() const { return labels.size(0); }
};

std::int64_t chunk_of(const LmOptions& options, const at::Tensor& weight) {
  if (options.chunk > 0) return options.chunk;
  // Fewer rows at once would read the table more often than the products take.
  const std::int64_t bytes = (weight.is_cpu() ? 160 : 256) << 20;
  return std::clamp<std::int64_t>(bytes / (4 * weight.size(0)) / 32 * 32, 32, 4096);
}

Work work_of(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& labels,
             std::int64_t count, at::ScalarType type, const LmOptions& options) {
  Work work;
  work.weight = weight.to(type);
  work.chunk = chunk_of(options, weight);
  const at::Tensor counted = labels.ne(ignored);
  if (count < 0) {
    work.rows = at::arange(labels.size(0), labels.options());
    work.hidden = hidden.to(type);
    work.labels = labels.masked_fill(counted.logical_not(), 0);
    work.counted = counted.to(at::kFloat);
    return work;
  }
  work.rows = at::nonzero_static(counted, count, 0).squeeze(1);
  work.hidden = hidden.index_select(0, work.rows).to(type);
  work.labels = labels.index_select(0, work.rows);
  return work;
}

// hidden [n, D], weight [V, D] -> the scores of all words, [n, V]. On a CPU some words at a time:
// MKL copies what a product reads into an order of its own, and half the table would double the
// memory.
at::Tensor scores_of(const at::Tensor& hidden, const at::Tensor& weight) {
  constexpr std::int64_t block = 16384;
  const std::int64_t words = weight.size(0);
  if (!weight.is_cpu() || words <= block) return at::mm(hidden, weight.t());
  const at::Tensor scores = at::empty({hidden.size(0), words}, hidden.options());
  for (std::int64_t first = 0; first < words; first += block) {
    const std::int64_t count = std::min(block, words - first);
    at::Tensor some = scores.narrow(1, first, count);
    at::mm_out(some, hidden, weight.narrow(0, first, count).t());
  }
  return scores;
}

// One piece: -log p of each row and, where asked for, the gradient of each row's loss with respect
// to its scores, times its share, which takes the scores' place. Smoothing as in cross_entropy.
struct Asked {
  double smoothing = 0;
  bool slopes = false;
  at::Tensor shares{};  // fp32 [n]; undefined: 1
};

SoftmaxLoss piece_of(const Work& work, std::int64_t first, std::int64_t rows, const Asked& asked) {
  const auto of_piece = [&](const at::Tensor& each) {
    return each.defined() ? each.narrow(0, first, rows) : each;
  };
  SoftmaxLossInput in;
  in.labels = work.labels.narrow(0, first, rows);
  in.counted = of_piece(work.counted);
  in.shares = of_piece(asked.shares);
  in.smoothing = asked.smoothing;
  in.slopes = asked.slopes;
  return softmax_loss(scores_of(work.hidden.narrow(0, first, rows), work.weight), in);
}

// Gradients that grow piece by piece.
struct Gradients {
  at::Tensor hidden;  // [n, D] of the rows with a label, in the type of the products
  at::Tensor weight;  // [V, D] fp32

  Gradients(const Work& work, bool of_hidden, bool of_weight) {
    if (of_hidden) hidden = at::empty_like(work.hidden);
    if (of_weight) weight = at::zeros(work.weight.sizes(), work.weight.options().dtype(at::kFloat));
  }
  void add(const Work& work, std::int64_t first, const at::Tensor& slopes) {
    const at::Tensor cast = slopes.to(work.weight.scalar_type());
    if (hidden.defined()) {
      at::Tensor rows = hidden.narrow(0, first, slopes.size(0));
      at::mm_out(rows, cast, work.weight);
    }
    if (!weight.defined()) return;
    const at::Tensor seen = work.hidden.narrow(0, first, slopes.size(0));
    if (cast.scalar_type() == at::kFloat) {
      weight.addmm_(cast.t(), seen);
    } else {
      weight.add_(at::mm(cast.t(), seen));
    }
  }
};

// The gradient of all N rows from that of the rows with a label.
at::Tensor spread(const at::Tensor& rows, const at::Tensor& gradient, const at::Tensor& like) {
  return at::zeros_like(like).index_copy_(0, rows, gradient.to(like.scalar_type()));
}

// What waits for backward.
struct Kept : torch::CustomClassHolder {
  at::Tensor hidden, weight;
};

struct ChunkedLoss : ag::Function<ChunkedLoss> {
  static at::Tensor forward(ag::AutogradContext* context, const at::Tensor& hidden,
                            const at::Tensor& weight, const at::Tensor& labels, std::int64_t count,
                            double smoothing, std::int64_t chunk, bool of_hidden, bool of_weight) {
    LmOptions options;
    options.chunk = chunk;
    const at::ScalarType type = compute_type(hidden);
    const AutocastOff guard(hidden.device().type());
    const Work work = work_of(hidden, weight, labels, count, type, options);
    const Asked asked{smoothing, of_hidden || of_weight};
    Gradients gradients(work, of_hidden, of_weight);
    at::Tensor sum = at::zeros({}, hidden.options().dtype(at::kFloat));
    for (std::int64_t first = 0; first < work.size(); first += work.chunk) {
      const std::int64_t rows = std::min(work.chunk, work.size() - first);
      const SoftmaxLoss piece = piece_of(work, first, rows, asked);
      sum.add_(piece.smoothed.sum());
      if (piece.slopes.defined()) gradients.add(work, first, piece.slopes);
    }
    auto kept = c10::make_intrusive<Kept>();
    if (of_hidden) kept->hidden = spread(work.rows, gradients.hidden, hidden);
    if (of_weight) kept->weight = gradients.weight.to(weight.scalar_type());
    context->saved_data["kept"] = c10::IValue::make_capsule(std::move(kept));
    return sum;
  }

  static ag::variable_list backward(ag::AutogradContext* context, const ag::variable_list& grads) {
    const auto kept =
        c10::static_intrusive_pointer_cast<Kept>(context->saved_data["kept"].toCapsule());
    ag::variable_list result(8);
    // In place: a second copy of [V, D] would be the largest tensor of the step.
    if (kept->hidden.defined()) {
      result[0] = std::exchange(kept->hidden, at::Tensor()).mul_(grads[0]);
    }
    if (kept->weight.defined()) {
      result[1] = std::exchange(kept->weight, at::Tensor()).mul_(grads[0]);
    }
    return result;
  }
};

struct TokenLosses : ag::Function<TokenLosses> {
  static at::Tensor forward(ag::AutogradContext* context, const at::Tensor& hidden,
                            const at::Tensor& weight, const at::Tensor& labels, std::int64_t count,
                            std::int64_t chunk) {
    LmOptions options;
    options.chunk = chunk;
    context->save_for_backward({hidden, weight, labels});
    context->saved_data["count"] = count;
    context->saved_data["chunk"] = chunk;
    const at::ScalarType type = compute_type(hidden);
    context->saved_data["type"] = static_cast<std::int64_t>(type);
    const AutocastOff guard(hidden.device().type());
    const Work work = work_of(hidden, weight, labels, count, type, options);
    at::Tensor losses = at::zeros(labels.sizes(), hidden.options().dtype(at::kFloat));
    for (std::int64_t first = 0; first < work.size(); first += work.chunk) {
      const std::int64_t rows = std::min(work.chunk, work.size() - first);
      losses.index_copy_(0, work.rows.narrow(0, first, rows),
                         piece_of(work, first, rows, {}).losses);
    }
    return losses;
  }

  static ag::variable_list backward(ag::AutogradContext* context, const ag::variable_list& grads) {
    const ag::variable_list saved = context->get_saved_variables();
    const std::int64_t count = context->saved_data["count"].toInt();
    LmOptions options;
    options.chunk = context->saved_data["chunk"].toInt();
    const auto type = static_cast<at::ScalarType>(context->saved_data["type"].toInt());
    const AutocastOff guard(saved[0].device().type());
    const Work work = work_of(saved[0], saved[1], saved[2], count, type, options);
    const Asked asked{0, true, grads[0].index_select(0, work.rows)};
    const bool of_hidden = saved[0].requires_grad(), of_weight = saved[1].requires_grad();
    Gradients gradients(work, of_hidden, of_weight);
    for (std::int64_t first = 0; first < work.size(); first += work.chunk) {
      const std::int64_t rows = std::min(work.chunk, work.size() - first);
      gradients.add(work, first, piece_of(work, first, rows, asked).slopes);
    }
    ag::variable_list result(5);
    if (of_hidden) result[0] = spread(work.rows, gradients.hidden, saved[0]);
    if (of_weight) result[1] = gradients.weight.to(saved[1].scalar_type());
    return result;
  }
};

void check(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& labels,
           double count) {
  TANDEM_CHECK(hidden.dim() == labels.dim() + 1 && hidden.size(-1) == weight.size(1) &&
                   hidden.sizes().slice(0, labels.dim()) == labels.sizes(),
               "[lm] expected hidden states [..., D], a head [V, D] and labels [...]");
  if (count >= 0 && labels.is_cpu() && count_labels(labels) != count) {
    throw Error(ErrorKind::data, "[lm] expected the number of labels; got another");
  }
}

}  // namespace

LossTerm lm_loss(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& labels,
                 double count, const LmOptions& options) {
  check(hidden, weight, labels, count);
  const at::Tensor rows = hidden.reshape({-1, hidden.size(-1)}), flat = labels.reshape({-1});
  const bool on = at::GradMode::is_enabled();
  return {
      ChunkedLoss::apply(rows, weight, flat, static_cast<std::int64_t>(count), options.smoothing,
                         options.chunk, on && rows.requires_grad(), on && weight.requires_grad()),
      count};
}

double host_count(const at::Tensor& labels) { return labels.is_cpu() ? count_labels(labels) : -1; }

LossTerm lm_loss_plain(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& labels,
                       double count, const LmOptions& options) {
  return cross_entropy(at::linear(hidden, weight), labels, count, options.smoothing);
}

at::Tensor shifted_labels(const at::Tensor& labels) {
  const at::Tensor last = at::full({labels.size(0), 1}, ignored, labels.options());
  return at::cat({labels.narrow(1, 1, labels.size(1) - 1), last}, 1);
}

at::Tensor token_losses(const at::Tensor& hidden, const at::Tensor& weight,
                        const at::Tensor& labels, double count, const LmOptions& options) {
  check(hidden, weight, labels, count);
  const at::Tensor rows = hidden.reshape({-1, hidden.size(-1)}), flat = labels.reshape({-1});
  return TokenLosses::apply(rows, weight, flat, static_cast<std::int64_t>(count), options.chunk)
      .view(labels.sizes());
}

}  // namespace tandem::objectives
