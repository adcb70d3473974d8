// A driver of two GPUs, for the test of what is read from it.
#include <cstddef>
#include <cstdio>

extern "C" {
int cuInit(unsigned flags) { return flags == 0 ? 0 : 1; }
int cuDeviceGetCount(int* count) { return *count = 2, 0; }
int cuDeviceGet(int* device, int index) { return *device = 10 + index, index < 2 ? 0 : 101; }
int cuDeviceGetName(char* name, int length, int device) {
  return std::snprintf(name, static_cast<std::size_t>(length), "Test GPU %d", device) < 0 ? 1 : 0;
}
int cuDeviceTotalMem_v2(std::size_t* bytes, int device) {
  return *bytes = static_cast<std::size_t>(device) << 32, 0;
}
int cuDeviceGetAttribute(int* value, int attribute, int device) {
  return *value = attribute == 75 ? 9 : device - 10, 0;
}
}
