// Asks NVIDIA's driver which GPUs there are. The few functions needed are looked up by name, so
// that the binary neither needs the driver nor CUDA's headers. Source: the CUDA driver API's
// reference.
#include <dlfcn.h>

#include <cstddef>

#include "tandem/tensor/device.h"

namespace tandem {
namespace {

constexpr int kComputeCapabilityMajor = 75;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
constexpr int kComputeCapabilityMinor = 76;

struct Driver {
  int (*init)(unsigned flags) = nullptr;
  int (*count)(int* count) = nullptr;
  int (*device)(int* device, int index) = nullptr;
  int (*name)(char* name, int length, int device) = nullptr;
  int (*memory)(std::size_t* bytes, int device) = nullptr;
  int (*attribute)(int* value, int attribute, int device) = nullptr;
};

template <class Function>
bool find(void* library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
  return function != nullptr;
}

bool find_all(void* library, Driver& driver) {
  return find(library, "cuInit", driver.init) && find(library, "cuDeviceGetCount", driver.count) &&
         find(library, "cuDeviceGet", driver.device) &&
         find(library, "cuDeviceGetName", driver.name) &&
         find(library, "cuDeviceTotalMem_v2", driver.memory) &&
         find(library, "cuDeviceGetAttribute", driver.attribute);
}

}  // namespace

std::vector<Gpu> gpus(const std::string& library_name) {
  // Never closed: a driver that was started stays.
  void* library = dlopen(library_name.c_str(), RTLD_NOW | RTLD_LOCAL);
  Driver driver;
  int count = 0;
  if (library == nullptr || !find_all(library, driver) || driver.init(0) != 0 ||
      driver.count(&count) != 0) {
    return {};
  }
  std::vector<Gpu> found;
  for (int index = 0; index < count; ++index) {
    Gpu gpu;
    int device = 0;
    char name[256] = "";
    std::size_t bytes = 0;
    if (driver.device(&device, index) != 0 || driver.name(name, sizeof name, device) != 0 ||
        driver.memory(&bytes, device) != 0 ||
        driver.attribute(&gpu.major, kComputeCapabilityMajor, device) != 0 ||
        driver.attribute(&gpu.minor, kComputeCapabilityMinor, device) != 0) {
      break;  // torch numbers devices without gaps; so does this list
    }
    gpu.index = index;
    gpu.name = name;
    gpu.bytes = static_cast<std::int64_t>(bytes);
    found.push_back(gpu);
  }
  return found;
}

}  // namespace tandem
