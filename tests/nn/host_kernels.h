#pragma once
// The kernels of src/nn/cuda as loops on the CPU: the arithmetic is theirs, the places of blocks
// and threads are what the .cu files do.

#include <functional>

#include "../support/host_lanes.h"
#include "nn/cuda/rms_norm_rows.h"
#include "nn/cuda/rotate_pairs.h"
#include "nn/cuda/swiglu_flat.h"
#include "nn/kernels.h"

namespace tandem::nn {

struct HostRmsNorm {
  template <class X, class D, class W, int N>
  int operator()(const RmsNormArguments& a) const {
    const int lanes = lanes_for((a.width + N - 1) / N, 512);
    for (std::int64_t r = 0; r < a.rows; ++r) {
      const auto row = RmsNormRow<X, D, W, N>::at(a, r);
      const float squares = joined_on_host(lanes, 0.0F, std::plus<float>(),
                                           [&](int lane) { return row.squares(lane, lanes); });
      a.rstd[r] = row.rstd_of(squares, a.eps);
      for_each_lane(lanes, [&](int lane) { row.write(a.rstd[r], lane, lanes); });
    }
    return 0;
  }
};

struct HostRmsNormBackward {
  template <class X, class D, class W, int N>
  int operator()(const RmsNormBackwardArguments& a) const {
    const int lanes = lanes_for((a.width + N - 1) / N, 512);
    for (std::int64_t part = 0; part < a.parts; ++part) {
      float* const sums = a.partials == nullptr ? nullptr : a.partials + part * a.width;
      for (std::int64_t i = 0; sums != nullptr && i < a.width; ++i) sums[i] = 0;
      for (std::int64_t r = part; r < a.rows; r += a.parts) {
        const auto row = RmsNormBackwardRow<X, D, W, N>::at(a, r);
        const float dot = joined_on_host(lanes, 0.0F, std::plus<float>(),
                                         [&](int lane) { return row.dot(lane, lanes); });
        for_each_lane(lanes, [&](int lane) { row.write(dot, sums, lane, lanes); });
      }
    }
    return 0;
  }
};

struct HostRotate {
  template <class T, int N>
  int operator()(const RotateArguments& a) const {
    const int lanes = lanes_for(a.heads * (a.width / 2) / N, 256);
    for (std::int64_t t = 0; t < a.batch * a.tokens; ++t) {
      const auto token = RotateToken<T, N>::at(a, t);
      for_each_lane(lanes, [&](int lane) { token.write(lane, lanes); });
    }
    return 0;
  }
};

struct HostSwiglu {
  template <class T, int N>
  int operator()(const SwigluArguments& a) const {
    for (std::int64_t first = 0; first < a.count; first += N) swiglu_at<T, N>(a, first);
    return 0;
  }
};

struct HostSwigluBackward {
  template <class T, int N>
  int operator()(const SwigluBackwardArguments& a) const {
    for (std::int64_t first = 0; first < a.count; first += N) swiglu_backward_at<T, N>(a, first);
    return 0;
  }
};

inline int host_rms_norm(const RmsNormArguments& a) {
  return rms_norm_by_type<c10::BFloat16, c10::Half>(a, HostRmsNorm());
}
inline int host_rms_norm_backward(const RmsNormBackwardArguments& a) {
  return rms_norm_by_type<c10::BFloat16, c10::Half>(a, HostRmsNormBackward());
}
inline int host_rotate(const RotateArguments& a) {
  return rotate_by_type<c10::BFloat16, c10::Half>(a, HostRotate());
}
inline int host_swiglu(const SwigluArguments& a) {
  return swiglu_by_type<c10::BFloat16, c10::Half>(a, HostSwiglu());
}
inline int host_swiglu_backward(const SwigluBackwardArguments& a) {
  return swiglu_by_type<c10::BFloat16, c10::Half>(a, HostSwigluBackward());
}

inline Kernels host_kernels() {
  return {host_rms_norm, host_rms_norm_backward, host_rotate, host_swiglu, host_swiglu_backward};
}

}  // namespace tandem::nn
