// Letters: B pairs of this rank, N = B W of all ranks, C rows of a chunk, D the width.
//
// With S = exp(log_scale) I T^t over all N pairs, P its softmax over rows and Q over columns, the
// loss is sum_k (log-sum-exp of row k + log-sum-exp of column k) / 2 - S_kk, and
//
//   d loss / d I_k = exp(log_scale) / 2 * sum_j (P_kj + Q_kj - 2 [k = j]) T_j,
//
// the same with I and T exchanged. A rank that knows all features and all log-sum-exps has its own
// rows of P and Q, so the exact gradient needs two small gathers and no reduction.

#include "tandem/objectives/itc.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/logaddexp.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "objectives/wide.h"
#include "tandem/base/error.h"
#include "tandem/tensor/shape.h"

namespace tandem::objectives {
namespace {

void check(const at::Tensor& image, const at::Tensor& text, const at::Tensor& log_scale) {
  if (image.dim() != 2 || text.dim() != 2 || image.sizes() != text.sizes()) {
    throw Error(ErrorKind::data, "[itc] expected image and text [B, D] with equal B; got " +
                                     shape_text(image) + " and " + shape_text(text));
  }
  TANDEM_CHECK(log_scale.numel() >= 1 && image.size(1) % log_scale.numel() == 0,
               "[itc] expected a log_scale for each path");
}

// Features of this rank and of all.
struct Side {
  at::Tensor local;  // [B, D], already times exp(log_scale)
  at::Tensor all;    // [N, D]
};

struct Problem {
  Side image, text;
  std::int64_t offset = 0;  // of this rank's rows in `all`
  std::int64_t chunk = 0;
  bool alone = false;  // one rank: columns of the image rows are the text rows
  std::int64_t rows() const { return image.local.size(0); }
};

at::Tensor gather(const dist::Mesh& mesh, const at::Tensor& t) {
  return mesh.size() == 1 ? t : dist::all_gather(mesh, t.contiguous()).flatten(0, 1);
}

Problem make_problem(const at::Tensor& image, const at::Tensor& text, const at::Tensor& scale,
                     const dist::Mesh& mesh, const ItcOptions& options) {
  Problem p;
  p.image = {image * scale, gather(mesh, image)};
  p.text = {text * scale, gather(mesh, text)};
  p.offset = mesh.rank() * image.size(0);
  p.alone = mesh.size() == 1;
  p.chunk = options.chunk > 0 ? std::min(options.chunk, p.rows()) : p.rows();
  return p;
}

at::Tensor logits_of(const at::Tensor& local, const at::Tensor& all, std::int64_t first,
                     std::int64_t rows) {
  return at::matmul(local.narrow(0, first, rows), all.t());  // [C, N]
}

// Calls with each run of rows [first, first + rows).
template <class Visit>
void each_chunk(const Problem& p, Visit visit) {
  for (std::int64_t first = 0; first < p.rows(); first += p.chunk) {
    visit(first, std::min(p.chunk, p.rows() - first));
  }
}

// Log-sum-exp of the local image rows and of the local text rows, [B] each. `kept` receives the
// image logits when they fit in one chunk.
struct Norms {
  at::Tensor image, text;
};

Norms norms_of(const Problem& p, at::Tensor& kept) {
  Norms norms{at::empty({p.rows()}, p.image.local.options()), {}};
  if (p.alone) {
    const double lowest = -std::numeric_limits<double>::infinity();
    norms.text = at::full({p.rows()}, lowest, p.image.local.options());
  } else {
    norms.text = at::empty({p.rows()}, p.image.local.options());
  }
  each_chunk(p, [&](std::int64_t first, std::int64_t rows) {
    const at::Tensor logits = logits_of(p.image.local, p.text.all, first, rows);
    norms.image.narrow(0, first, rows).copy_(at::logsumexp(logits, {1}));
    if (p.alone) {  // columns, streamed over the chunks
      norms.text = at::logaddexp(norms.text, at::logsumexp(logits, {0}));
    } else {
      norms.text.narrow(0, first, rows)
          .copy_(at::logsumexp(logits_of(p.text.local, p.image.all, first, rows), {1}));
    }
    if (rows == p.rows()) kept = logits;
  });
  return norms;
}

// P + Q - 2 [k = j] of rows [first, first + rows), in the place of `logits`.
at::Tensor slopes(at::Tensor logits, const at::Tensor& row_norms, const at::Tensor& column_norms,
                  std::int64_t first_diagonal) {
  at::Tensor p = (logits - row_norms.unsqueeze(1)).exp_();
  logits.sub_(column_norms.unsqueeze(0)).exp_();
  p.add_(logits);
  p.diagonal(first_diagonal).sub_(2);
  return p;
}

void solve_gradients(const Problem& p, const Norms& norms, const dist::Mesh& mesh,
                     const at::Tensor& half_scale, at::Tensor kept, ItcSolution& solution) {
  const at::Tensor image_norms = gather(mesh, norms.image), text_norms = gather(mesh, norms.text);
  solution.image_grad = at::empty(p.image.local.sizes(), p.image.local.options());
  solution.text_grad = at::zeros(p.text.local.sizes(), p.text.local.options());
  each_chunk(p, [&](std::int64_t first, std::int64_t rows) {
    at::Tensor logits =
        kept.defined() ? std::move(kept) : logits_of(p.image.local, p.text.all, first, rows);
    const at::Tensor slope =
        slopes(std::move(logits), norms.image.narrow(0, first, rows), text_norms, p.offset + first);
    solution.image_grad.narrow(0, first, rows).copy_(at::matmul(slope, p.text.all));
    if (p.alone) {
      solution.text_grad.addmm_(slope.t(), p.image.all.narrow(0, first, rows));
    } else {
      const at::Tensor of_text =
          slopes(logits_of(p.text.local, p.image.all, first, rows),
                 norms.text.narrow(0, first, rows), image_norms, p.offset + first);
      solution.text_grad.narrow(0, first, rows).copy_(at::matmul(of_text, p.image.all));
    }
  });
  solution.image_grad.mul_(half_scale);
  solution.text_grad.mul_(half_scale);
}

// The solution's gradients in the place of the loss's own.
struct Replay : torch::autograd::Function<Replay> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& image,
                            const at::Tensor& text, const at::Tensor& log_scale,
                            const at::Tensor& value, const at::Tensor& image_grad,
                            const at::Tensor& text_grad, const at::Tensor& scale_grad) {
    context->save_for_backward({image_grad.to(image.scalar_type()),
                                text_grad.to(text.scalar_type()),
                                scale_grad.to(log_scale.scalar_type()).view(log_scale.sizes())});
    return value.clone();
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    return {saved[0] * grads[0].to(saved[0].scalar_type()),
            saved[1] * grads[0].to(saved[1].scalar_type()),
            saved[2] * grads[0].to(saved[2].scalar_type()),
            {},
            {},
            {},
            {}};
  }
};

ItcSolution solve_path(const at::Tensor& image, const at::Tensor& text, const at::Tensor& log_scale,
                       const dist::Mesh& mesh, const ItcOptions& options, bool gradients) {
  const at::Tensor scale = wide(log_scale.detach()).reshape({}).exp();
  const Problem p = make_problem(wide(image.detach()), wide(text.detach()), scale, mesh, options);
  at::Tensor kept;
  const Norms norms = norms_of(p, kept);
  ItcSolution solution;
  solution.rows = p.rows();
  // S_kk of the local pairs, without the matrix.
  const at::Tensor own = p.text.all.narrow(0, p.offset, p.rows());
  const at::Tensor diagonal = (p.image.local * own).sum(1);
  solution.sum = ((norms.image + norms.text) * 0.5 - diagonal).sum();
  if (!gradients) return solution;
  solve_gradients(p, norms, mesh, scale * 0.5, std::move(kept), solution);
  // Since S = exp(log_scale) I T^t, the scale's slope is sum_k I_k (d loss / d I_k).
  solution.scale_grad = (p.image.all.narrow(0, p.offset, p.rows()) * solution.image_grad).sum();
  if (options.released) {
    solution.image_grad.div_(mesh.size());
    solution.text_grad.div_(mesh.size());
  }
  return solution;
}

ItcSolution solve(const at::Tensor& image, const at::Tensor& text, const at::Tensor& log_scale,
                  const dist::Mesh& mesh, const ItcOptions& options, bool gradients) {
  check(image, text, log_scale);
  const at::NoGradGuard no_grad;
  const AutocastOff autocast_off(image.device().type());
  const std::int64_t paths = log_scale.numel();
  if (paths == 1) return solve_path(image, text, log_scale, mesh, options, gradients);
  const auto images = image.chunk(paths, 1), texts = text.chunk(paths, 1);
  const auto scales = log_scale.reshape({-1}).unbind(0);
  std::vector<at::Tensor> image_grads, text_grads, scale_grads;
  ItcSolution all;
  all.rows = image.size(0);
  for (std::size_t i = 0; i < scales.size(); ++i) {
    const ItcSolution one = solve_path(images[i], texts[i], scales[i], mesh, options, gradients);
    all.sum = all.sum.defined() ? all.sum + one.sum : one.sum;
    if (!gradients) continue;
    image_grads.push_back(one.image_grad);
    text_grads.push_back(one.text_grad);
    scale_grads.push_back(one.scale_grad);
  }
  const double share = 1 / static_cast<double>(paths);
  all.sum = all.sum * share;
  if (!gradients) return all;
  all.image_grad = at::cat(image_grads, 1) * share;
  all.text_grad = at::cat(text_grads, 1) * share;
  all.scale_grad = at::stack(scale_grads) * share;
  return all;
}

}  // namespace

ItcSolution solve_itc(const at::Tensor& image, const at::Tensor& text, const at::Tensor& log_scale,
                      const dist::Mesh& mesh, const ItcOptions& options) {
  return solve(image, text, log_scale, mesh, options, true);
}

LossTerm replay_itc(const at::Tensor& image, const at::Tensor& text, const at::Tensor& log_scale,
                    const ItcSolution& solution, std::int64_t first) {
  check(image, text, log_scale);
  const std::int64_t rows = image.size(0);
  TANDEM_CHECK(first >= 0 && first + rows <= solution.rows,
               "[itc] expected rows of the solution; got [" + std::to_string(first) + ", " +
                   std::to_string(first + rows) + ") of " + std::to_string(solution.rows));
  const double share = static_cast<double>(rows) / static_cast<double>(solution.rows);
  return {Replay::apply(image, text, log_scale, solution.sum * share,
                        solution.image_grad.narrow(0, first, rows),
                        solution.text_grad.narrow(0, first, rows), solution.scale_grad * share),
          static_cast<double>(rows)};
}

LossTerm itc(const at::Tensor& image, const at::Tensor& text, const at::Tensor& log_scale,
             const dist::Mesh& mesh, const ItcOptions& options) {
  const bool gradients =
      at::GradMode::is_enabled() &&
      (image.requires_grad() || text.requires_grad() || log_scale.requires_grad());
  const ItcSolution solution = solve(image, text, log_scale, mesh, options, gradients);
  if (!gradients) return {solution.sum, static_cast<double>(solution.rows)};
  return replay_itc(image, text, log_scale, solution, 0);
}

}  // namespace tandem::objectives
