#pragma once
// Autocast by ATen's own lists: bf16 where it is safe, fp32 elsewhere. A setting of the thread and
// of a kind of device. ATen's header of it brings every operation's (20 s a file): only
// autocast.cpp includes it.

#include <c10/core/DeviceType.h>
#include <c10/core/ScalarType.h>

namespace tandem {

struct AutocastSetting {
  bool on = false;
  at::ScalarType type = at::kFloat;
  bool caches = true;  // keeps the weights that it cast until autocast ends
};

AutocastSetting autocast_setting(at::DeviceType device);

// The setting while this lives, then the one before it. Where it turned autocast on, the weights
// that were cast inside are forgotten at its end.
class Autocast {
 public:
  Autocast(at::DeviceType device, AutocastSetting setting);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  at::DeviceType device_;
  AutocastSetting setting_, before_;
};

// fp32 arithmetic whatever the model runs in.
class AutocastOff {
 public:
  explicit AutocastOff(at::DeviceType device);

 private:
  Autocast off_;
};

}  // namespace tandem
