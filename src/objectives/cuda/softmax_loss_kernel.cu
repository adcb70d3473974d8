#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "objectives/cuda/softmax_loss_kernel.h"
#include "objectives/cuda/softmax_loss_rows.h"
#include "tensor/cuda/block.h"

namespace {

using namespace tandem;
using namespace tandem::objectives;

constexpr int kThreads = 1024;

// A block a row. Two passes over it: the greatest score and the sum of exponents at once, then the
// slopes in the scores' place.
template <class T, int N>
__global__ void __launch_bounds__(kThreads) softmax_loss(const SoftmaxLossArguments a) {
  const int lane = threadIdx.x, lanes = blockDim.x;
  for (std::int64_t r = blockIdx.x; r < a.rows; r += gridDim.x) {
    const auto row = SoftmaxLossRow<T, N>::at(a, r);
    const float counted = a.counted == nullptr ? 1.0F : a.counted[r];
    if (counted == 0.0F) {  // for the whole block
      if (a.slopes) row.write_zeros(lane, lanes);
      if (lane == 0) a.losses[r] = 0.0F;
      if (lane == 0 && a.smoothed != nullptr) a.smoothed[r] = 0.0F;
      continue;
    }
    const std::int64_t label = a.labels[r];
    // Read before the block agrees, behind which its score is written over.
    const float score = lane == 0 ? row.score_of(label) : 0.0F;
    const Seen all = joined_in_block(row.seen(lane, lanes), nothing_seen(), JoinSeen());
    if (lane == 0) {
      a.losses[r] = row.loss(all, score) * counted;
      if (a.smoothed != nullptr) a.smoothed[r] = row.smoothed(all, score, a.smoothing) * counted;
    }
    if (!a.slopes) continue;
    const float share = a.shares == nullptr ? counted : counted * a.shares[r];
    row.write_slopes(all, label, a.smoothing, share, lane, lanes);
  }
}

struct Launch {
  template <class T, int N>
  int operator()(const SoftmaxLossArguments& a) const {
    const int threads = lanes_for((a.words + N - 1) / N, kThreads);
    softmax_loss<T, N><<<blocks_for(a.rows), threads, 0, static_cast<cudaStream_t>(a.stream)>>>(a);
    return cudaGetLastError();
  }
};

}  // namespace

extern "C" int tandem_cuda_softmax_loss(const SoftmaxLossArguments& arguments) {
  if (arguments.rows == 0 || arguments.words == 0) return cudaSuccess;
  return softmax_loss_by_type<__nv_bfloat16, __half>(arguments, Launch());
}
