#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "nn/cuda/swiglu_flat.h"
#include "nn/cuda/swiglu_kernel.h"
#include "tensor/cuda/block.h"

namespace {

using namespace tandem;
using namespace tandem::nn;

constexpr int kThreads = 256;

__device__ inline std::int64_t thread_of_grid() {
  return static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
}

// A thread a pack. Bound by memory: gate and up (and the gradient) come in once, one tensor (two)
// goes out.
template <class T, int N>
__global__ void __launch_bounds__(kThreads) swiglu(const SwigluArguments a) {
  swiglu_at<T, N>(a, thread_of_grid() * N);
}
template <class T, int N>
__global__ void __launch_bounds__(kThreads) swiglu_backward(const SwigluBackwardArguments a) {
  swiglu_backward_at<T, N>(a, thread_of_grid() * N);
}

unsigned blocks_of(std::int64_t count, int pack) {
  const std::int64_t packs = (count + pack - 1) / pack;
  return static_cast<unsigned>((packs + kThreads - 1) / kThreads);
}

struct Forward {
  template <class T, int N>
  int operator()(const SwigluArguments& a) const {
    swiglu<T, N><<<blocks_of(a.count, N), kThreads, 0, static_cast<cudaStream_t>(a.stream)>>>(a);
    return cudaGetLastError();
  }
};

struct Backward {
  template <class T, int N>
  int operator()(const SwigluBackwardArguments& a) const {
    swiglu_backward<T, N>
        <<<blocks_of(a.count, N), kThreads, 0, static_cast<cudaStream_t>(a.stream)>>>(a);
    return cudaGetLastError();
  }
};

}  // namespace

extern "C" int tandem_cuda_swiglu(const SwigluArguments& arguments) {
  if (arguments.count == 0) return cudaSuccess;
  return swiglu_by_type<__nv_bfloat16, __half>(arguments, Forward());
}

extern "C" int tandem_cuda_swiglu_backward(const SwigluBackwardArguments& arguments) {
  if (arguments.count == 0) return cudaSuccess;
  return swiglu_by_type<__nv_bfloat16, __half>(arguments, Backward());
}
