#pragma once
// What a forward pass keeps for its backward pass, measured.

#include <cstdint>
#include <functional>
#include <memory>

namespace tandem::train {

// The bytes of CPU tensors that `make` leaves behind in what it returns (a loss with its graph),
// and the most that it held on the way, by an allocator that counts. One call at a time in a
// process.
struct Held {
  std::int64_t kept = 0, peak = 0;
};
Held measure_held(const std::function<std::shared_ptr<void>()>& make);

}  // namespace tandem::train
