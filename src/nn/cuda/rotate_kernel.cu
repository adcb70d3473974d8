#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "nn/cuda/rotate_kernel.h"
#include "nn/cuda/rotate_pairs.h"
#include "tensor/cuda/block.h"

namespace {

using namespace tandem;
using namespace tandem::nn;

constexpr int kThreads = 256;

// A block a token: its heads share the angles. Bound by memory: every number comes in and goes out
// once.
template <class T, int N>
__global__ void __launch_bounds__(kThreads) rotate(const RotateArguments a) {
  for (std::int64_t t = blockIdx.x; t < a.batch * a.tokens; t += gridDim.x) {
    RotateToken<T, N>::at(a, t).write(threadIdx.x, blockDim.x);
  }
}

struct Launch {
  template <class T, int N>
  int operator()(const RotateArguments& a) const {
    const int threads = lanes_for(a.heads * (a.width / 2) / N, kThreads);
    rotate<T, N>
        <<<blocks_for(a.batch * a.tokens), threads, 0, static_cast<cudaStream_t>(a.stream)>>>(a);
    return cudaGetLastError();
  }
};

}  // namespace

extern "C" int tandem_cuda_rotate(const RotateArguments& arguments) {
  const RotateArguments& a = arguments;
  if (a.batch == 0 || a.heads == 0 || a.tokens == 0 || a.width == 0) return cudaSuccess;
  return rotate_by_type<__nv_bfloat16, __half>(a, Launch());
}
