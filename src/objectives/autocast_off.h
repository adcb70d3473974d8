#pragma once
// Losses are fp32 arithmetic whatever the model runs in.

#include <ATen/autocast_mode.h>
#include <ATen/core/Tensor.h>

namespace tandem::objectives {

class AutocastOff {
 public:
  explicit AutocastOff(at::DeviceType device)
      : device_(device), before_(at::autocast::is_autocast_enabled(device)) {
    at::autocast::set_autocast_enabled(device, false);
  }
  ~AutocastOff() { at::autocast::set_autocast_enabled(device_, before_); }
  AutocastOff(const AutocastOff&) = delete;
  AutocastOff& operator=(const AutocastOff&) = delete;

 private:
  at::DeviceType device_;
  bool before_;
};

// fp64, which the tests' differences need, stays.
inline at::Tensor wide(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat);
}

}  // namespace tandem::objectives
