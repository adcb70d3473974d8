#pragma once
// fp32 arithmetic whatever the model runs in: autocast is off on the device while this lives.

#include <ATen/autocast_mode.h>

namespace tandem {

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

}  // namespace tandem
