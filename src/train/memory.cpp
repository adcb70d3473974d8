#include "train/memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <atomic>
#include <memory>

namespace tandem::train {
namespace {

std::atomic<std::int64_t> live{0}, most{0};

struct Block {
  c10::DataPtr memory;
  std::int64_t bytes;
};

void free_block(void* context) {
  auto* block = static_cast<Block*>(context);
  live -= block->bytes;
  delete block;
}

// In place of torch's while something is measured; its blocks may outlive that.
class Counting final : public c10::Allocator {
 public:
  explicit Counting(c10::Allocator* inner) : inner_(inner) {}
  c10::DataPtr allocate(std::size_t bytes) override {
    auto block =
        std::make_unique<Block>(Block{inner_->allocate(bytes), static_cast<std::int64_t>(bytes)});
    const std::int64_t now = live += block->bytes;
    for (std::int64_t seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
    }
    void* const data = block->memory.get();
    return {data, block.release(), &free_block, at::Device(at::kCPU)};
  }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  c10::Allocator* inner_;
};

}  // namespace

Held measure_held(const std::function<std::shared_ptr<void>()>& make) {
  c10::Allocator* const before = c10::GetAllocator(at::kCPU);
  static Counting counting(before);
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
