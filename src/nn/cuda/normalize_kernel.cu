#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "nn/cuda/normalize_kernel.h"

namespace {

using tandem::nn::NormalizeArguments;

constexpr int kThreads = 256;

__device__ inline void store(float value, float* out) { *out = value; }
__device__ inline void store(float value, __nv_bfloat16* out) { *out = __float2bfloat16_rn(value); }

// N values that are read or written in one instruction.
template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  T values[N];
};

// Each thread turns N neighbouring bytes of the flat array into N values: one load, and stores of
// at most 16 bytes, neighbouring threads side by side. A pack may cross into the next plane, so the
// channel is stepped along; the division that finds it is paid once a thread. `Index` is 32 bits
// wide where the array allows, as 64-bit divisions are slow. Bound by memory: 1 byte in, 4 or 2
// out.
template <class T, int N, class Index>
__global__ void normalize(const std::uint8_t* __restrict__ pixels, T* __restrict__ out, Index plane,
                          Index count, float3 mean, float3 std) {
  const Index first = (static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x) * N;
  if (first >= count) return;
  Index within = first % plane;
  int channel = static_cast<int>(first / plane % 3);
  const auto value = [&](std::uint8_t pixel) {
    const float m = channel == 0 ? mean.x : channel == 1 ? mean.y : mean.z;
    const float s = channel == 0 ? std.x : channel == 1 ? std.y : std.z;
    const float result = __fdiv_rn(__fdiv_rn(static_cast<float>(pixel), 255.0f) - m, s);
    if (++within == plane) {
      within = 0;
      channel = channel == 2 ? 0 : channel + 1;
    }
    return result;
  };
  if (first + N <= count) {
    const auto in = *reinterpret_cast<const Pack<std::uint8_t, N>*>(pixels + first);
    Pack<T, N> result;
#pragma unroll
    for (int i = 0; i < N; ++i) store(value(in.values[i]), &result.values[i]);
    *reinterpret_cast<Pack<T, N>*>(out + first) = result;
  } else {
    for (Index i = first; i < count; ++i) store(value(pixels[i]), out + i);
  }
}

template <class T, int N, class Index>
void launch(const NormalizeArguments& a) {
  const std::int64_t packs = (a.count + N - 1) / N;
  const auto blocks = static_cast<unsigned>((packs + kThreads - 1) / kThreads);
  normalize<T, N, Index><<<blocks, kThreads, 0, static_cast<cudaStream_t>(a.stream)>>>(
      a.pixels, static_cast<T*>(a.out), static_cast<Index>(a.plane), static_cast<Index>(a.count),
      make_float3(a.mean[0], a.mean[1], a.mean[2]), make_float3(a.std[0], a.std[1], a.std[2]));
}

bool aligned(const void* pointer, std::size_t bytes) {
  return reinterpret_cast<std::uintptr_t>(pointer) % bytes == 0;
}

template <class T>
void choose(const NormalizeArguments& a) {
  constexpr int kPack = 16 / sizeof(T);
  // The last thread's `first + N` must not overflow.
  const bool narrow = a.count < (std::int64_t{1} << 31) - 2 * kThreads * kPack;
  const bool packed = aligned(a.pixels, kPack) && aligned(a.out, 16);
  if (packed && narrow) return launch<T, kPack, std::uint32_t>(a);
  if (packed) return launch<T, kPack, std::uint64_t>(a);
  if (narrow) return launch<T, 1, std::uint32_t>(a);
  return launch<T, 1, std::uint64_t>(a);
}

}  // namespace

extern "C" int tandem_cuda_normalize(const NormalizeArguments& arguments) {
  if (arguments.count == 0) return cudaSuccess;
  arguments.bfloat16 ? choose<__nv_bfloat16>(arguments) : choose<float>(arguments);
  return cudaGetLastError();
}
