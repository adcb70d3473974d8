#pragma once
// RMSNorm of one row, with or without a residual, by `lanes` threads: forward and backward. The
// order of casts is the twin's (nn/rms_norm.cpp). Between two functions of a row stands a sum over
// its lanes. See tensor/lanes.h.

#include "nn/cuda/rms_norm_kernel.h"
#include "tandem/tensor/lanes.h"

namespace tandem::nn {

// X, D, W: types of x, delta and weight. N: numbers of a pack; divides the width.
template <class X, class D, class W, int N>
struct RmsNormRow {
  const X* x;
  const D* delta;
  X* sum;
  const W* weight;
  W* out;
  int width;

  TANDEM_HD static RmsNormRow at(const RmsNormArguments& a, std::int64_t row) {
    const std::int64_t first = row * a.width;
    const bool adds = a.delta != nullptr;
    return {static_cast<const X*>(a.x) + first,
            adds ? static_cast<const D*>(a.delta) + first : nullptr,
            adds ? static_cast<X*>(a.sum) + first : nullptr,
            static_cast<const W*>(a.weight),
            static_cast<W*>(a.out) + first,
            static_cast<int>(a.width)};
  }

  // This lane's part of the sum of squares; writes x + delta.
  TANDEM_HD float squares(int lane, int lanes) const {
    float total = 0;
    for (int i = lane * N; i < width; i += lanes * N) {
      Pack<X, N> in = load<N>(x + i);
      if (delta != nullptr) {
        const Pack<D, N> more = load<N>(delta + i);
        for (int k = 0; k < N; ++k) {
          in.values[k] = static_cast<X>(fp32_of(in.values[k]) + fp32_of(more.values[k]));
        }
        store<N>(in, sum + i);
      }
      for (int k = 0; k < N; ++k) total += fp32_of(in.values[k]) * fp32_of(in.values[k]);
    }
    return total;
  }

  TANDEM_HD float rstd_of(float squares, float eps) const {
    return 1.0F / std::sqrt(squares / static_cast<float>(width) + eps);
  }

  // A lane reads of `sum` only what it has written itself.
  TANDEM_HD void write(float rstd, int lane, int lanes) const {
    const X* from = delta != nullptr ? sum : x;
    for (int i = lane * N; i < width; i += lanes * N) {
      const Pack<X, N> in = load<N>(from + i);
      const Pack<W, N> w = load<N>(weight + i);
      Pack<W, N> result;
      for (int k = 0; k < N; ++k) {
        const float normed = rounded<X>(fp32_of(in.values[k]) * rstd);
        result.values[k] = static_cast<W>(fp32_of(w.values[k]) * normed);
      }
      store<N>(result, out + i);
    }
  }
};

template <class X, class D, class W, int N>
struct RmsNormBackwardRow {
  const X* x;
  const W* weight;
  const W* grad;
  const X* grad_sum;
  X* grad_x;
  D* grad_delta;
  float rstd;
  int width;

  TANDEM_HD static RmsNormBackwardRow at(const RmsNormBackwardArguments& a, std::int64_t row) {
    const std::int64_t first = row * a.width;
    return {static_cast<const X*>(a.x) + first,
            static_cast<const W*>(a.weight),
            static_cast<const W*>(a.grad) + first,
            a.grad_sum != nullptr ? static_cast<const X*>(a.grad_sum) + first : nullptr,
            static_cast<X*>(a.grad_x) + first,
            a.grad_delta != nullptr ? static_cast<D*>(a.grad_delta) + first : nullptr,
            a.rstd[row],
            static_cast<int>(a.width)};
  }

  // Of the normed number: the product is a tensor of the weight's type, cast to x's.
  TANDEM_HD static float slope(W grad, W weight) {
    return rounded<X>(rounded<W>(fp32_of(grad) * fp32_of(weight)));
  }

  // This lane's part of the dot product of the normed row with its gradient.
  TANDEM_HD float dot(int lane, int lanes) const {
    float total = 0;
    for (int i = lane * N; i < width; i += lanes * N) {
      const Pack<X, N> in = load<N>(x + i);
      const Pack<W, N> w = load<N>(weight + i), g = load<N>(grad + i);
      for (int k = 0; k < N; ++k) {
        total += slope(g.values[k], w.values[k]) * (fp32_of(in.values[k]) * rstd);
      }
    }
    return total;
  }

  // Writes the gradients of x and delta, and adds the row's part of the weight's to `sums` [width];
  // null: it is not wanted. A lane touches the same places of `sums` in every row.
  TANDEM_HD void write(float dot, float* sums, int lane, int lanes) const {
    const float back = dot / static_cast<float>(width);
    for (int i = lane * N; i < width; i += lanes * N) {
      const Pack<X, N> in = load<N>(x + i);
      const Pack<W, N> w = load<N>(weight + i), g = load<N>(grad + i);
      Pack<X, N> result;
      for (int k = 0; k < N; ++k) {
        const float normed = fp32_of(in.values[k]) * rstd;
        const float value = rstd * (slope(g.values[k], w.values[k]) - normed * back);
        result.values[k] = static_cast<X>(value);
        if (sums != nullptr) sums[i + k] += rounded<W>(fp32_of(g.values[k]) * rounded<X>(normed));
      }
      if (grad_sum != nullptr) {
        const Pack<X, N> more = load<N>(grad_sum + i);
        for (int k = 0; k < N; ++k) {
          result.values[k] = static_cast<X>(fp32_of(result.values[k]) + fp32_of(more.values[k]));
        }
      }
      store<N>(result, grad_x + i);
      if (grad_delta == nullptr) continue;
      Pack<D, N> of_delta;
      for (int k = 0; k < N; ++k) of_delta.values[k] = static_cast<D>(fp32_of(result.values[k]));
      store<N>(of_delta, grad_delta + i);
    }
  }
};

// A pack is as long as 16 bytes of x allow where the width and every pointer let it be, else 1.
template <class X, class D, class W>
bool rms_norm_packs(const RmsNormArguments& a) {
  constexpr int n = pack_of<X>();
  return a.width % n == 0 && packed<X, n>(a.x) && packed<D, n>(a.delta) && packed<X, n>(a.sum) &&
         packed<W, n>(a.weight) && packed<W, n>(a.out);
}
template <class X, class D, class W>
bool rms_norm_packs(const RmsNormBackwardArguments& a) {
  constexpr int n = pack_of<X>();
  return a.width % n == 0 && packed<X, n>(a.x) && packed<W, n>(a.weight) && packed<W, n>(a.grad) &&
         packed<X, n>(a.grad_sum) && packed<X, n>(a.grad_x) && packed<D, n>(a.grad_delta);
}

// run.template operator()<X, D, W, N>(arguments) for the types that the arguments name. Bf16 and
// F16: the compiler's types of these numbers. -1: types that are not served.
template <class Bf16, class F16, class Arguments, class Run>
int rms_norm_by_type(const Arguments& a, Run run) {
  const auto with = [&](auto x, auto delta, auto weight) {
    using X = decltype(x);
    using D = decltype(delta);
    using W = decltype(weight);
    return rms_norm_packs<X, D, W>(a) ? run.template operator()<X, D, W, pack_of<X>()>(a)
                                      : run.template operator()<X, D, W, 1>(a);
  };
  const auto half = [&](auto x, Number type) {
    if (a.delta_type != Number::none && a.delta_type != type) return -1;
    if (a.weight_type == Number::f32) return with(x, x, float{});
    return a.weight_type == type ? with(x, x, x) : -1;
  };
  if (a.x_type == Number::bf16) return half(Bf16{}, Number::bf16);
  if (a.x_type == Number::f16) return half(F16{}, Number::f16);
  if (a.x_type != Number::f32 || a.weight_type != Number::f32) return -1;
  if (a.delta_type == Number::bf16) return with(float{}, Bf16{}, float{});
  if (a.delta_type == Number::f16) return with(float{}, F16{}, float{});
  return with(float{}, float{}, float{});
}

}  // namespace tandem::nn
