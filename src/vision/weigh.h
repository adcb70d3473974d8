#pragma once
// The sum that resampling is made of, for processors with AVX2 and for all others: whole numbers,
// so the same bytes.

#include <cstddef>
#include <cstdint>

namespace tandem::vision {

inline constexpr int weight_bits = 22;  // behind the point; 8 for the pixel, 2 for the overshoot

// to[i] = the byte nearest to sum over k < taps of from[k * stride + i] * weights[k] /
// 2^weight_bits, for i < count.
using Weigh = void (*)(const std::uint8_t* from, std::ptrdiff_t stride, const int* weights,
                       int taps, std::uint8_t* to, std::size_t count);

Weigh best_weigh();  // of this machine
void weigh_plain(const std::uint8_t* from, std::ptrdiff_t stride, const int* weights, int taps,
                 std::uint8_t* to, std::size_t count);

// rows[r] of bytes [first, last) side by side: to[i * 8 + r] is byte i of row r.
void interleave8(const std::uint8_t* const* rows, std::size_t first, std::size_t last,
                 std::uint8_t* to);

}  // namespace tandem::vision
