#pragma once
// What the threads of one block agree on. For .cu files only.

#include <cuda_runtime.h>

#include <cstring>

namespace tandem {

// `value` of this lane with those of the 31 others, the same in each lane: both sides of every
// exchange join the same two values, and `join` is symmetric in every bit.
template <class T, class Join>
__device__ T joined_in_warp(T value, Join join) {
  static_assert(sizeof(T) % sizeof(int) == 0, "exchanged in words of 32 bits");
  constexpr int kWords = sizeof(T) / sizeof(int);
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    int words[kWords];
    memcpy(words, &value, sizeof(T));
#pragma unroll
    for (int w = 0; w < kWords; ++w) {
      words[w] = __shfl_xor_sync(0xffffffffu, words[w], distance);
    }
    T other;
    memcpy(&other, words, sizeof(T));
    value = join(value, other);
  }
  return value;
}

// The same for all threads of a block of whole warps (at most 32), every one of which must call it.
// What a thread has read or written in memory before it is done before any thread leaves it.
// nothing: joined with any value it gives that value.
template <class T, class Join>
__device__ T joined_in_block(T value, T nothing, Join join) {
  __shared__ T parts[32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  value = joined_in_warp(value, join);
  if (warps == 1) {
    __syncwarp();
    return value;
  }
  if (lane == 0) parts[warp] = value;
  __syncthreads();
  value = joined_in_warp(lane < warps ? parts[lane] : nothing, join);
  __syncthreads();  // `parts` serves the next call
  return value;
}

struct Plus {
  __device__ float operator()(float a, float b) const { return a + b; }
};

// Blocks for `rows` rows, one each; the kernels go on in steps of the grid where there are more.
inline unsigned blocks_for(std::int64_t rows) {
  constexpr std::int64_t kMost = 0x7fffffff;
  return static_cast<unsigned>(rows < kMost ? rows : kMost);
}

}  // namespace tandem
