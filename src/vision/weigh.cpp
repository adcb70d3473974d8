#include "vision/weigh.h"

#include <algorithm>
#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace tandem::vision {

void weigh_plain(const std::uint8_t* from, std::ptrdiff_t stride, const int* weights, int taps,
                 std::uint8_t* to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    int sum = 1 << (weight_bits - 1);
    const std::uint8_t* at = from + i;
    for (int k = 0; k < taps; ++k, at += stride) sum += *at * weights[k];
    to[i] = static_cast<std::uint8_t>(std::clamp(sum >> weight_bits, 0, 255));
  }
}

#ifdef __x86_64__
namespace {

__attribute__((target("avx2"))) void weigh_avx2(const std::uint8_t* from, std::ptrdiff_t stride,
                                                const int* weights, int taps, std::uint8_t* to,
                                                std::size_t count) {
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    __m256i sum = _mm256_set1_epi32(1 << (weight_bits - 1));
    const std::uint8_t* at = from + i;
    for (int k = 0; k < taps; ++k, at += stride) {
      const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(at));
      const __m256i weight = _mm256_set1_epi32(weights[k]);
      sum = _mm256_add_epi32(sum, _mm256_mullo_epi32(_mm256_cvtepu8_epi32(bytes), weight));
    }
    const __m256i whole = _mm256_srai_epi32(sum, weight_bits);
    const __m128i words =  // both packs saturate: to 16 bits, then to 0 .. 255
        _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to + i), _mm_packus_epi16(words, words));
  }
  weigh_plain(from + i, stride, weights, taps, to + i, count - i);
}

}  // namespace
#endif

Weigh best_weigh() {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2")) return weigh_avx2;
#endif
  return weigh_plain;
}

void interleave8(const std::uint8_t* const* rows, std::size_t first, std::size_t last,
                 std::uint8_t* to) {
  std::size_t i = first;
#ifdef __x86_64__
  for (; i + 8 <= last; i += 8) {
    const auto row = [&](int r) {
      return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(rows[r] + i));
    };
    const __m128i a = _mm_unpacklo_epi8(row(0), row(1)), b = _mm_unpacklo_epi8(row(2), row(3));
    const __m128i c = _mm_unpacklo_epi8(row(4), row(5)), d = _mm_unpacklo_epi8(row(6), row(7));
    const __m128i low1 = _mm_unpacklo_epi16(a, b), low2 = _mm_unpacklo_epi16(c, d);
    const __m128i high1 = _mm_unpackhi_epi16(a, b), high2 = _mm_unpackhi_epi16(c, d);
    auto* const out = reinterpret_cast<__m128i*>(to + i * 8);
    _mm_storeu_si128(out, _mm_unpacklo_epi32(low1, low2));
    _mm_storeu_si128(out + 1, _mm_unpackhi_epi32(low1, low2));
    _mm_storeu_si128(out + 2, _mm_unpacklo_epi32(high1, high2));
    _mm_storeu_si128(out + 3, _mm_unpackhi_epi32(high1, high2));
  }
#endif
  for (; i < last; ++i) {
    for (std::size_t r = 0; r < 8; ++r) to[i * 8 + r] = rows[r][i];
  }
}

}  // namespace tandem::vision
