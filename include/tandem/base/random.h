#pragma once
// Randomness without state (DESIGN 3, decision 1): a Key names a draw, and the numbers are a pure
// function of it, the same on every machine and for any number of threads and ranks.
//
//   Key key = Key(seed).fold("data").fold(stage).fold(sample_index);
//   Random random(key.fold("crop"));
//   double scale = random.uniform(0.08, 1.0);

#include <cstdint>
#include <string_view>

namespace tandem {

class Key {
 public:
  explicit constexpr Key(std::uint64_t seed) : a_(seed), b_(0x9E3779B97F4A7C15ull) {}
  Key fold(std::uint64_t value) const noexcept;
  Key fold(std::string_view purpose) const noexcept;
  std::uint64_t bits() const noexcept;  // 64 well-mixed bits
  friend bool operator==(const Key&, const Key&) = default;

 private:
  constexpr Key(std::uint64_t a, std::uint64_t b) : a_(a), b_(b) {}
  std::uint64_t a_, b_;
};

// A stream of numbers under one key. Our own distributions: std's differ between libraries.
class Random {
 public:
  explicit Random(Key key) : key_(key) {}
  std::uint64_t bits() noexcept;
  double uniform() noexcept;                                           // [0, 1), 53 bits
  double uniform(double low, double high) noexcept;                    // [low, high)
  std::uint64_t below(std::uint64_t n) noexcept;                       // [0, n), unbiased; n > 0
  std::int64_t between(std::int64_t low, std::int64_t high) noexcept;  // inclusive
  bool chance(double p) noexcept;
  double normal() noexcept;

 private:
  Key key_;
  std::uint64_t counter_ = 0;
};

// A keyed bijection of [0, n): where position i lands in the shuffled order, in O(1).
// Source: cycle-walking Feistel network (Black and Rogaway, 2002).
std::uint64_t permute(Key key, std::uint64_t index, std::uint64_t n) noexcept;

}  // namespace tandem
