#include "tandem/nn/rms_norm.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "nn/fused_rms_norm.h"
#include "tandem/nn/linear.h"

namespace tandem::nn {
namespace {

namespace ag = torch::autograd;

// Gradients of the weight are summed in so many parts, whatever the number of threads.
constexpr std::int64_t parts = 32;

struct Rows {
  std::int64_t count = 0, width = 0;
};

Rows rows_of(const at::Tensor& x) { return {x.numel() / x.size(-1), x.size(-1)}; }

bool on_cpu(const at::Tensor& x, const at::Tensor& weight) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && weight.scalar_type() == at::kFloat &&
         x.numel() > 0;
}

// sum of term(i): in 16 sums side by side, which the compiler turns into vectors.
template <class Term>
float sum_of(std::int64_t count, Term term) {
  std::array<float, 16> sums{};
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    for (std::int64_t k = 0; k < 16; ++k) sums[static_cast<std::size_t>(k)] += term(i + k);
  }
  float total = 0;
  for (; i < count; ++i) total += term(i);
  for (const float sum : sums) total += sum;
  return total;
}

// One pass over x where the plain formula makes five. rstd: [rows]
void forward_cpu(const at::Tensor& x, const at::Tensor& weight, double eps, const at::Tensor& y,
                 const at::Tensor& rstd) {
  const Rows rows = rows_of(x);
  const auto *in = x.const_data_ptr<float>(), *w = weight.const_data_ptr<float>();
  auto *out = y.mutable_data_ptr<float>(), *scale = rstd.mutable_data_ptr<float>();
  at::parallel_for(0, rows.count, 16, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      const float* row = in + r * rows.width;
      const float square = sum_of(rows.width, [&](std::int64_t i) { return row[i] * row[i]; });
      const float mean = square / static_cast<float>(rows.width);
      const float s = 1 / std::sqrt(mean + static_cast<float>(eps));
      scale[r] = s;
      float* to = out + r * rows.width;
      for (std::int64_t i = 0; i < rows.width; ++i) to[i] = w[i] * (row[i] * s);
    }
  });
}

// Of one part of the rows: gradients of x, and those of the weight added up in `sum` [width].
void backward_rows(const float* x, const float* w, const float* rstd, const float* grad, float* out,
                   float* sum, Rows rows) {
  const auto width = static_cast<float>(rows.width);
  for (std::int64_t r = 0; r < rows.count; ++r) {
    const std::int64_t at = r * rows.width;
    const float dot =
        sum_of(rows.width, [&](std::int64_t i) { return grad[at + i] * w[i] * x[at + i]; });
    const float s = rstd[r], back = dot * s * s / width;
    for (std::int64_t i = 0; i < rows.width; ++i) {
      out[at + i] = s * (grad[at + i] * w[i] - x[at + i] * back);
      sum[i] += grad[at + i] * x[at + i] * s;
    }
  }
}

ag::variable_list backward_cpu(const at::Tensor& x, const at::Tensor& weight,
                               const at::Tensor& rstd, const at::Tensor& grad) {
  const Rows rows = rows_of(x);
  at::Tensor out = at::empty_like(x);
  at::Tensor sums = at::zeros({parts, rows.width}, x.options());
  const std::int64_t each = (rows.count + parts - 1) / parts;
  const auto *in = x.const_data_ptr<float>(), *w = weight.const_data_ptr<float>();
  const auto *s = rstd.const_data_ptr<float>(), *g = grad.const_data_ptr<float>();
  auto *to = out.mutable_data_ptr<float>(), *sum = sums.mutable_data_ptr<float>();
  at::parallel_for(0, parts, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t p = first; p < last; ++p) {
      const std::int64_t begin = std::min(p * each, rows.count);
      const std::int64_t end = std::min(begin + each, rows.count), at = begin * rows.width;
      backward_rows(in + at, w, s + begin, g + at, to + at, sum + p * rows.width,
                    {end - begin, rows.width});
    }
  });
  return {out, sums.sum(0)};
}

at::Tensor widened(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat);
}

struct RmsNormFunction : ag::Function<RmsNormFunction> {
  static at::Tensor forward(ag::AutogradContext* context, const at::Tensor& given,
                            const at::Tensor& weight, double eps) {
    const at::Tensor x = given.contiguous();
    if (on_cpu(x, weight)) {
      at::Tensor y = at::empty_like(x);
      const at::Tensor rstd = at::empty({rows_of(x).count}, x.options());
      forward_cpu(x, weight, eps, y, rstd);
      context->save_for_backward({x, weight, rstd});
      return y;
    }
    const at::Tensor wide = widened(x);
    const at::Tensor rstd = at::rsqrt(wide.pow(2).mean(-1, /*keepdim=*/true) + eps);
    context->save_for_backward({x, weight, rstd});
    return weight * (wide * rstd).to(x.scalar_type());
  }

  static ag::variable_list backward(ag::AutogradContext* context, const ag::variable_list& grads) {
    const ag::variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &rstd = saved[2];
    if (on_cpu(x, weight)) {
      const auto both = backward_cpu(x, weight, rstd, grads[0].contiguous());
      return {both[0], both[1], at::Tensor()};
    }
    const at::Tensor normed = widened(x) * rstd;
    const at::Tensor of_weight =
        (grads[0] * normed.to(x.scalar_type())).reshape({-1, x.size(-1)}).sum(0);
    const at::Tensor of_normed = widened((grads[0] * weight).to(x.scalar_type()));
    const at::Tensor back = (of_normed * normed).mean(-1, /*keepdim=*/true);
    return {(rstd * (of_normed - normed * back)).to(x.scalar_type()),
            of_weight.to(weight.scalar_type()), at::Tensor()};
  }
};

}  // namespace

RmsNorm::RmsNorm(std::int64_t width, double eps) : eps(eps) {
  weight = register_parameter("weight", make_parameter({width}));
}

at::Tensor RmsNorm::forward(const at::Tensor& x) const {
  if (const auto fused = fused_rms_norm(x, {}, weight, eps)) return fused->out;
  return RmsNormFunction::apply(x, weight, eps);
}

std::pair<at::Tensor, at::Tensor> RmsNorm::forward_sum(const at::Tensor& x,
                                                       const at::Tensor& delta) const {
  if (const auto fused = fused_rms_norm(x, delta, weight, eps)) return {fused->sum, fused->out};
  const at::Tensor sum = x + delta;
  return {sum, forward(sum)};
}

}  // namespace tandem::nn
