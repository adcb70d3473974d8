#pragma once
// Cross entropy of one row of scores and its gradient in their place, by `lanes` threads. Exponents
// and sums are in fp32; a slope is rounded once. See tensor/lanes.h.

#include "objectives/cuda/softmax_loss_kernel.h"
#include "tandem/tensor/lanes.h"

namespace tandem::objectives {

// What is known of the scores seen so far. (No initialisers: it lies in shared memory.)
struct Seen {
  float most;   // the greatest
  float sum;    // of exp(score - most)
  float total;  // of the scores
};

TANDEM_HD Seen nothing_seen() { return {-INFINITY, 0, 0}; }

// exp(from - to); 1 where both are the same infinity.
TANDEM_HD float decay(float from, float to) { return from == to ? 1.0F : std::exp(from - to); }

struct JoinSeen {
  TANDEM_HD Seen operator()(const Seen& a, const Seen& b) const {
    const float most = a.most > b.most ? a.most : b.most;
    return {most, a.sum * decay(a.most, most) + b.sum * decay(b.most, most), a.total + b.total};
  }
};

// N: numbers of a pack; divides the words.
template <class T, int N>
struct SoftmaxLossRow {
  T* scores;
  int words;

  TANDEM_HD static SoftmaxLossRow at(const SoftmaxLossArguments& a, std::int64_t row) {
    return {static_cast<T*>(a.scores) + row * a.words, static_cast<int>(a.words)};
  }

  TANDEM_HD Seen seen(int lane, int lanes) const {
    Seen so_far = nothing_seen();
    for (int i = lane * N; i < words; i += lanes * N) {
      const Pack<T, N> pack = load<N>(scores + i);
      float most = so_far.most;
      for (int k = 0; k < N; ++k) {
        const float score = fp32_of(pack.values[k]);
        most = score > most ? score : most;
        so_far.total += score;
      }
      so_far.sum *= decay(so_far.most, most);
      for (int k = 0; k < N; ++k) so_far.sum += decay(fp32_of(pack.values[k]), most);
      so_far.most = most;
    }
    return so_far;
  }

  TANDEM_HD bool has(std::int64_t label) const { return label >= 0 && label < words; }

  // Of one lane, before any lane writes slopes.
  TANDEM_HD float score_of(std::int64_t label) const {
    return has(label) ? fp32_of(scores[label]) : NAN;
  }

  TANDEM_HD static float loss(const Seen& all, float score) {
    return std::log(all.sum) - (score - all.most);
  }
  TANDEM_HD float smoothed(const Seen& all, float score, float smoothing) const {
    const float mean = all.total / static_cast<float>(words) - all.most;
    return loss(all, score) * (1.0F - smoothing) + (std::log(all.sum) - mean) * smoothing;
  }

  // share: what the slopes are multiplied by.
  TANDEM_HD void write_slopes(const Seen& all, std::int64_t label, float smoothing, float share,
                              int lane, int lanes) const {
    const float scale = 1.0F / all.sum, each = smoothing / static_cast<float>(words);
    for (int i = lane * N; i < words; i += lanes * N) {
      Pack<T, N> pack = load<N>(scores + i);
      for (int k = 0; k < N; ++k) {
        float slope = decay(fp32_of(pack.values[k]), all.most) * scale - each;
        if (i + k == label) slope += smoothing - 1.0F;
        pack.values[k] = static_cast<T>(slope * share);
      }
      store<N>(pack, scores + i);
    }
  }
  TANDEM_HD void write_zeros(int lane, int lanes) const {
    Pack<T, N> zeros;
    for (int k = 0; k < N; ++k) zeros.values[k] = static_cast<T>(0.0F);
    for (int i = lane * N; i < words; i += lanes * N) store<N>(zeros, scores + i);
  }
};

// run.template operator()<T, N>(arguments); see by_number.
template <class Bf16, class F16, class Run>
int softmax_loss_by_type(const SoftmaxLossArguments& a, Run run) {
  return by_number<Bf16, F16>(a.type, [&](auto x) {
    using T = decltype(x);
    constexpr int n = pack_of<T>();
    return a.words % n == 0 && packed<T, n>(a.scores) ? run.template operator()<T, n>(a)
                                                      : run.template operator()<T, 1>(a);
  });
}

}  // namespace tandem::objectives
