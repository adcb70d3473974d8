#pragma once
// A hash table of 64-bit keys to 64-bit values that is filled once and then only read: open
// addressing in one array, half full at most.

#include <bit>
#include <cstdint>
#include <vector>

namespace tandem::text {

class FlatMap {
 public:
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};  // neither a key nor a value

  FlatMap() : FlatMap(0) {}
  explicit FlatMap(std::size_t expected)
      : slots_(std::bit_ceil(2 * expected + 2)), mask_(slots_.size() - 1) {}

  std::uint64_t find(std::uint64_t key) const noexcept {
    for (std::size_t i = hash(key);; ++i) {
      const Slot& slot = slots_[i & mask_];
      if (slot.key == key) return slot.value;
      if (slot.key == kNone) return kNone;
    }
  }

  // A key that is there already gets the new value.
  void set(std::uint64_t key, std::uint64_t value) {
    if (2 * (size_ + 1) > slots_.size()) grow();
    for (std::size_t i = hash(key);; ++i) {
      Slot& slot = slots_[i & mask_];
      if (slot.key == kNone) ++size_;
      if (slot.key == kNone || slot.key == key) {
        slot = {key, value};
        return;
      }
    }
  }

  std::size_t size() const noexcept { return size_; }

 private:
  struct Slot {
    std::uint64_t key = kNone, value = kNone;
  };

  static std::size_t hash(std::uint64_t key) noexcept {
    key *= 0x9E3779B97F4A7C15ull;
    return static_cast<std::size_t>(key ^ key >> 32);
  }

  void grow() {
    FlatMap larger(slots_.size());
    for (const Slot& slot : slots_) {
      if (slot.key != kNone) larger.set(slot.key, slot.value);
    }
    *this = std::move(larger);
  }

  std::vector<Slot> slots_;
  std::size_t mask_;
  std::size_t size_ = 0;
};

}  // namespace tandem::text
