#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "nn/cuda/rms_norm_kernel.h"
#include "nn/cuda/rms_norm_rows.h"
#include "tensor/cuda/block.h"

namespace {

using namespace tandem;
using namespace tandem::nn;

constexpr int kThreads = 512;
// A block adds up its part of the weight's gradient in shared memory, or where it will be written.
constexpr std::int64_t kSharedBytes = 40 << 10;

// A block a row. Bound by memory: x (and delta) come in once, sum and out go out; the second pass
// finds its row in the caches.
template <class X, class D, class W, int N>
__global__ void __launch_bounds__(kThreads) rms_norm(const RmsNormArguments a) {
  for (std::int64_t r = blockIdx.x; r < a.rows; r += gridDim.x) {
    const auto row = RmsNormRow<X, D, W, N>::at(a, r);
    const float squares = joined_in_block(row.squares(threadIdx.x, blockDim.x), 0.0F, Plus());
    const float rstd = row.rstd_of(squares, a.eps);
    if (threadIdx.x == 0) a.rstd[r] = rstd;
    row.write(rstd, threadIdx.x, blockDim.x);
  }
}

// Block p has the rows p, p + parts, ...: the sums do not depend on the GPU, nor on which block is
// first.
template <class X, class D, class W, int N>
__global__ void __launch_bounds__(kThreads)
    rms_norm_backward(const RmsNormBackwardArguments a, const bool shared) {
  extern __shared__ float in_block[];
  const int width = static_cast<int>(a.width), step = blockDim.x * N;
  float* const part = a.partials == nullptr ? nullptr : a.partials + blockIdx.x * a.width;
  float* const sums = part != nullptr && shared ? in_block : part;
  // As in the rows: a thread has its own places, and waits for nobody.
  for (int i = threadIdx.x * N; sums != nullptr && i < width; i += step) {
    for (int k = 0; k < N; ++k) sums[i + k] = 0;
  }
  for (std::int64_t r = blockIdx.x; r < a.rows; r += gridDim.x) {
    const auto row = RmsNormBackwardRow<X, D, W, N>::at(a, r);
    const float dot = joined_in_block(row.dot(threadIdx.x, blockDim.x), 0.0F, Plus());
    row.write(dot, sums, threadIdx.x, blockDim.x);
  }
  for (int i = threadIdx.x * N; sums != part && i < width; i += step) {
    for (int k = 0; k < N; ++k) part[i + k] = sums[i + k];
  }
}

struct Forward {
  template <class X, class D, class W, int N>
  int operator()(const RmsNormArguments& a) const {
    const int threads = lanes_for((a.width + N - 1) / N, kThreads);
    rms_norm<X, D, W, N>
        <<<blocks_for(a.rows), threads, 0, static_cast<cudaStream_t>(a.stream)>>>(a);
    return cudaGetLastError();
  }
};

struct Backward {
  template <class X, class D, class W, int N>
  int operator()(const RmsNormBackwardArguments& a) const {
    const int threads = lanes_for((a.width + N - 1) / N, kThreads);
    const std::int64_t bytes = a.width * static_cast<std::int64_t>(sizeof(float));
    const bool shared = a.partials != nullptr && bytes <= kSharedBytes;
    rms_norm_backward<X, D, W, N><<<static_cast<unsigned>(a.parts), threads, shared ? bytes : 0,
                                    static_cast<cudaStream_t>(a.stream)>>>(a, shared);
    return cudaGetLastError();
  }
};

}  // namespace

extern "C" int tandem_cuda_rms_norm(const RmsNormArguments& arguments) {
  if (arguments.rows == 0) return cudaSuccess;
  return rms_norm_by_type<__nv_bfloat16, __half>(arguments, Forward());
}

extern "C" int tandem_cuda_rms_norm_backward(const RmsNormBackwardArguments& arguments) {
  if (arguments.rows == 0 || arguments.parts == 0) return cudaSuccess;
  return rms_norm_by_type<__nv_bfloat16, __half>(arguments, Backward());
}
