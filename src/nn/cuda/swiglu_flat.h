#pragma once
// silu(gate) up, and its gradients, of N neighbouring numbers. silu(gate) and the gradient with
// respect to it are rounded to the type of the numbers, as in the twin (nn/mlp.cpp). See
// tensor/lanes.h.

#include "nn/cuda/swiglu_kernel.h"
#include "tandem/tensor/lanes.h"

namespace tandem::nn {

template <class T>
struct SwigluNumber {
  TANDEM_HD static T forward(T gate, T up) {
    const float x = fp32_of(gate);
    return static_cast<T>(rounded<T>(x / (1.0F + std::exp(-x))) * fp32_of(up));
  }
  TANDEM_HD static void backward(T gate, T up, T grad, T* of_gate, T* of_up) {
    const float x = fp32_of(gate), g = fp32_of(grad);
    const float sigmoid = 1.0F / (1.0F + std::exp(-x));
    const float of_silu = rounded<T>(g * fp32_of(up));
    *of_up = static_cast<T>(g * rounded<T>(x / (1.0F + std::exp(-x))));
    *of_gate = static_cast<T>(of_silu * sigmoid * (1.0F + x * (1.0F - sigmoid)));
  }
};

// The pack that begins at `first`, a multiple of N; what is left of the last one, number by number.
template <class T, int N>
TANDEM_HD void swiglu_at(const SwigluArguments& a, std::int64_t first) {
  const T *gate = static_cast<const T*>(a.gate), *up = static_cast<const T*>(a.up);
  T* out = static_cast<T*>(a.out);
  if (first + N <= a.count) {
    const Pack<T, N> g = load<N>(gate + first), u = load<N>(up + first);
    Pack<T, N> result;
    for (int k = 0; k < N; ++k) {
      result.values[k] = SwigluNumber<T>::forward(g.values[k], u.values[k]);
    }
    return store<N>(result, out + first);
  }
  for (std::int64_t i = first; i < a.count; ++i) {
    out[i] = SwigluNumber<T>::forward(gate[i], up[i]);
  }
}

template <class T, int N>
TANDEM_HD void swiglu_backward_at(const SwigluBackwardArguments& a, std::int64_t first) {
  const T *gate = static_cast<const T*>(a.gate), *up = static_cast<const T*>(a.up);
  const T* grad = static_cast<const T*>(a.grad);
  T *of_gate = static_cast<T*>(a.grad_gate), *of_up = static_cast<T*>(a.grad_up);
  if (first + N <= a.count) {
    const Pack<T, N> x = load<N>(gate + first), u = load<N>(up + first), g = load<N>(grad + first);
    Pack<T, N> to_gate, to_up;
    for (int k = 0; k < N; ++k) {
      SwigluNumber<T>::backward(x.values[k], u.values[k], g.values[k], &to_gate.values[k],
                                &to_up.values[k]);
    }
    store<N>(to_gate, of_gate + first);
    return store<N>(to_up, of_up + first);
  }
  for (std::int64_t i = first; i < a.count; ++i) {
    SwigluNumber<T>::backward(gate[i], up[i], grad[i], of_gate + i, of_up + i);
  }
}

template <class T, int N>
bool swiglu_packs(const SwigluArguments& a) {
  return packed<T, N>(a.gate) && packed<T, N>(a.up) && packed<T, N>(a.out);
}
template <class T, int N>
bool swiglu_packs(const SwigluBackwardArguments& a) {
  return packed<T, N>(a.gate) && packed<T, N>(a.up) && packed<T, N>(a.grad) &&
         packed<T, N>(a.grad_gate) && packed<T, N>(a.grad_up);
}

// run.template operator()<T, N>(arguments); see by_number.
template <class Bf16, class F16, class Arguments, class Run>
int swiglu_by_type(const Arguments& a, Run run) {
  return by_number<Bf16, F16>(a.type, [&](auto x) {
    using T = decltype(x);
    constexpr int n = pack_of<T>();
    return swiglu_packs<T, n>(a) ? run.template operator()<T, n>(a)
                                 : run.template operator()<T, 1>(a);
  });
}

}  // namespace tandem::nn
