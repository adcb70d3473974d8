#include "tandem/base/random.h"

#include <cmath>

namespace tandem {
namespace {

// splitmix64's finaliser (Steele, Lea, Flood 2014).
constexpr std::uint64_t mix(std::uint64_t x) noexcept {
  x ^= x >> 30;
  x *= 0xBF58476D1CE4E5B9ull;
  x ^= x >> 27;
  x *= 0x94D049BB133111EBull;
  x ^= x >> 31;
  return x;
}

}  // namespace

Key Key::fold(std::uint64_t value) const noexcept {
  const std::uint64_t a = mix(a_ + 0x9E3779B97F4A7C15ull * (value + 1));
  const std::uint64_t b = mix(b_ ^ (a + 0xD1B54A32D192ED03ull));
  return Key(a ^ (b_ << 1 | b_ >> 63), b + value);
}

Key Key::fold(std::string_view purpose) const noexcept {
  std::uint64_t hash = 0xCBF29CE484222325ull;  // FNV-1a
  for (const char c : purpose) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  return fold(hash ^ 0xA5A5A5A5A5A5A5A5ull);
}

std::uint64_t Key::bits() const noexcept { return mix(mix(a_ + 0x632BE59BD9B4E019ull) ^ b_); }

std::uint64_t Random::bits() noexcept { return key_.fold(counter_++).bits(); }

double Random::uniform() noexcept { return static_cast<double>(bits() >> 11) * 0x1.0p-53; }

double Random::uniform(double low, double high) noexcept { return low + (high - low) * uniform(); }

std::uint64_t Random::below(std::uint64_t n) noexcept {
  const std::uint64_t limit = -n % n;  // 2^64 mod n: rejecting below it removes the bias
  for (;;) {
    const std::uint64_t x = bits();
    if (x >= limit) return x % n;
  }
}

std::int64_t Random::between(std::int64_t low, std::int64_t high) noexcept {
  return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
}

bool Random::chance(double p) noexcept { return uniform() < p; }

double Random::normal() noexcept {
  const double u = 1.0 - uniform();  // (0, 1]
  const double v = uniform();
  return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586476925286766559 * v);
}

std::uint64_t permute(Key key, std::uint64_t index, std::uint64_t n) noexcept {
  if (n < 2) return index;
  int half_bits = 1;
  while ((std::uint64_t{1} << (2 * half_bits)) < n && half_bits < 32) ++half_bits;
  const std::uint64_t mask = (std::uint64_t{1} << half_bits) - 1;
  std::uint64_t x = index;
  do {  // at most about four walks on average: the domain is less than 4n
    std::uint64_t left = x >> half_bits, right = x & mask;
    for (std::uint64_t round = 0; round < 6; ++round) {
      const std::uint64_t next = left ^ (key.fold(round).fold(right).bits() & mask);
      left = right;
      right = next;
    }
    x = left << half_bits | right;
  } while (x >= n);
  return x;
}

}  // namespace tandem
