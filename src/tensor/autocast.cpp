#include "tandem/tensor/autocast.h"

#include <ATen/autocast_mode.h>

namespace tandem {
namespace {

void set(at::DeviceType device, const AutocastSetting& setting) {
  at::autocast::set_autocast_enabled(device, setting.on);
  at::autocast::set_autocast_dtype(device, setting.type);
  at::autocast::set_autocast_cache_enabled(setting.caches);
}

AutocastSetting turned_off(AutocastSetting setting) {
  setting.on = false;
  return setting;
}

}  // namespace

AutocastSetting autocast_setting(at::DeviceType device) {
  return {at::autocast::is_autocast_enabled(device), at::autocast::get_autocast_dtype(device),
          at::autocast::is_autocast_cache_enabled()};
}

Autocast::Autocast(at::DeviceType device, AutocastSetting setting)
    : device_(device), setting_(setting), before_(autocast_setting(device)) {
  set(device_, setting_);
}

Autocast::~Autocast() {
  if (setting_.on && setting_.caches && !before_.on) at::autocast::clear_cache();
  set(device_, before_);
}

AutocastOff::AutocastOff(at::DeviceType device)
    : off_(device, turned_off(autocast_setting(device))) {}

}  // namespace tandem
