#include "train/memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace tandem::train {
namespace {

std::atomic<std::int64_t> live{0}, most{0};

// Torch's own allocator, and how long each block is that came from it through ours. Some kernels
// allocate without a handle (raw_allocate), so a block's address has to be all that there is.
c10::Allocator* inner = nullptr;
std::mutex mutex;
std::unordered_map<void*, std::int64_t>& sizes() {
  static auto* const all = new std::unordered_map<void*, std::int64_t>();  // outlives every tensor
  return *all;
}

void free_block(void* data) {
  {
    const std::scoped_lock lock(mutex);
    const auto found = sizes().find(data);
    if (found != sizes().end()) {
      live -= found->second;
      sizes().erase(found);
    }
  }
  inner->raw_deallocate(data);
}

// In place of torch's while something is measured; its blocks may outlive that.
class Counting final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    void* const data = inner->raw_allocate(bytes);
    if (data != nullptr) {
      const std::scoped_lock lock(mutex);
      sizes()[data] = static_cast<std::int64_t>(bytes);
    }
    const std::int64_t now = live += data != nullptr ? static_cast<std::int64_t>(bytes) : 0;
    for (std::int64_t seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
    }
    return {data, data, &free_block, at::Device(at::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_block; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
};

}  // namespace

Held measure_held(const std::function<std::shared_ptr<void>()>& make) {
  c10::Allocator* const before = c10::GetAllocator(at::kCPU);
  inner = before;
  static Counting counting;
  constexpr std::uint8_t highest = 255;
  c10::SetAllocator(at::kCPU, &counting, highest);
  live = 0;
  most = 0;
  Held held;
  try {
    const std::shared_ptr<void> kept = make();
    held = {.kept = live, .peak = most};
  } catch (...) {
    c10::SetAllocator(at::kCPU, before, highest);
    throw;
  }
  c10::SetAllocator(at::kCPU, before, highest);
  return held;
}

}  // namespace tandem::train
