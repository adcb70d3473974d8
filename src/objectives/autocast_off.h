#pragma once
// Losses are fp32 arithmetic whatever the model runs in.

#include <ATen/autocast_mode.h>

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

}  // namespace tandem::objectives
