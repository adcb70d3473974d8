#pragma once
// Rotary positions of one token, all its heads, by `lanes` threads. Products and their sum are
// rounded to the type of x, as in the twin (nn/rotary.cpp). See tensor/lanes.h.

#include "nn/cuda/rotate_kernel.h"
#include "tandem/tensor/lanes.h"

namespace tandem::nn {

// N: pairs that a lane turns at once; divides d / 2. A pair is read whole before it is written, and
// by one lane only: `out` may be `x`.
template <class T, int N>
struct RotateToken {
  const T* x;
  T* out;
  const float *cos, *sin;
  std::int64_t x_head, out_head;  // from a head to the next
  int heads, half;
  bool backward;

  // token: of B T, those of a text together.
  TANDEM_HD static RotateToken at(const RotateArguments& a, std::int64_t token) {
    const std::int64_t b = token / a.tokens, t = token % a.tokens;
    const std::int64_t table = b * a.table_stride + t * a.width;
    return {static_cast<const T*>(a.x) + b * a.x_strides.batch + t * a.x_strides.token,
            static_cast<T*>(a.out) + b * a.out_strides.batch + t * a.out_strides.token,
            a.cos + table,
            a.sin + table,
            a.x_strides.head,
            a.out_strides.head,
            static_cast<int>(a.heads),
            static_cast<int>(a.width / 2),
            a.backward};
  }

  // x cos + y sin, each a tensor of type T.
  TANDEM_HD static T turned(T x, float cos, T y, float sin) {
    return static_cast<T>(rounded<T>(fp32_of(x) * rounded<T>(cos)) +
                          rounded<T>(fp32_of(y) * rounded<T>(sin)));
  }

  TANDEM_HD void write(int lane, int lanes) const {
    const int in_head = half / N;
    for (int item = lane; item < heads * in_head; item += lanes) {
      const int head = item / in_head, i = item % in_head * N;
      const T* from = x + head * x_head + i;
      const Pack<T, N> first = load<N>(from), second = load<N>(from + half);
      const auto first_cos = load<N>(cos + i), second_cos = load<N>(cos + half + i);
      const auto first_sin = load<N>(sin + i), second_sin = load<N>(sin + half + i);
      Pack<T, N> low, high;
      for (int k = 0; k < N; ++k) {
        // Forward, the first half gets -second sin(first), the second one first sin(second);
        // backward each sends to the other what it got from it.
        const float to_low = backward ? second_sin.values[k] : -first_sin.values[k];
        const float to_high = backward ? -first_sin.values[k] : second_sin.values[k];
        low.values[k] = turned(first.values[k], first_cos.values[k], second.values[k], to_low);
        high.values[k] = turned(second.values[k], second_cos.values[k], first.values[k], to_high);
      }
      T* to = out + head * out_head + i;
      store<N>(low, to);
      store<N>(high, to + half);
    }
  }
};

template <class T, int N>
bool rotate_packs(const RotateArguments& a) {
  for (const HeadStrides& s : {a.x_strides, a.out_strides}) {
    if (s.batch % N != 0 || s.head % N != 0 || s.token % N != 0) return false;
  }
  return a.width / 2 % N == 0 && packed<T, N>(a.x) && packed<T, N>(a.out) &&
         packed<float, N>(a.cos) && packed<float, N>(a.sin);
}

// run.template operator()<T, N>(arguments); see by_number.
template <class Bf16, class F16, class Run>
int rotate_by_type(const RotateArguments& a, Run run) {
  return by_number<Bf16, F16>(a.type, [&](auto x) {
    using T = decltype(x);
    constexpr int n = pack_of<T>();
    return rotate_packs<T, n>(a) ? run.template operator()<T, n>(a)
                                 : run.template operator()<T, 1>(a);
  });
}

}  // namespace tandem::nn
