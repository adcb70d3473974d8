#pragma once
// Devices: which are there, which one a run takes, and how batches reach it.
//
// One binary serves CPU and GPU. It is linked to torch_cpu only; what needs CUDA (our kernels,
// NCCL) lies in libtandem_cuda.so, which pulls in libtorch_cuda.so and is loaded by
// resolve_device() when a run asks for a GPU. A CPU run never pays for either. Torch caches its
// CUDA hooks at the first question ("is CUDA available?"), so nothing may ask torch about CUDA
// before resolve_device() has: gpus() asks the driver instead.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "tandem/tensor/batch.h"

namespace tandem {

struct Gpu {
  int index = 0;
  std::string name{};
  std::int64_t bytes = 0;    // of its memory
  int major = 0, minor = 0;  // compute capability
};

// The GPUs that the driver shows to this process (CUDA_VISIBLE_DEVICES counts), without torch.
// Empty where there is no driver or no device. Initialises the driver: do not fork after it without
// exec.
std::vector<Gpu> gpus(const std::string& driver = "libcuda.so.1");

// "cpu"; "cuda" (GPU number `local_rank`); "auto" (cuda where a GPU and libtandem_cuda.so are, else
// cpu, with a warning when a GPU is left unused). For a GPU it loads libtandem_cuda.so first and
// makes the GPU torch's current device. Throws Error(config): another word, no GPU, fewer GPUs than
// ranks on this machine, no library (which files were tried, what to do).
at::Device resolve_device(const std::string& wanted, int local_rank = 0);

// Loads libtandem_cuda.so once: from TANDEM_CUDA_LIBRARY when set, else from beside the binary,
// ../lib, or the build folder. Throws Error(config).
void load_cuda_library();
// A function with C linkage of the loaded library; nullptr when it is not loaded or lacks it (a
// library built without nvcc has no kernels: callers keep their ATen twin).
void* cuda_function(const char* name);

// Copies batches to a device ahead of their use. On a GPU the copies run on a stream of their own,
// so that the next batch travels while this one is computed on; on the CPU it hands them through.
//
//   CopyLane lane(device);
//   lane.push(first);
//   while (...) { if (more) lane.push(next); Batch batch = lane.pop(); ... }
class CopyLane {
 public:
  explicit CopyLane(at::Device device);
  ~CopyLane();
  CopyLane(const CopyLane&) = delete;
  CopyLane& operator=(const CopyLane&) = delete;

  // Starts the copy and returns; it overlaps only when the batch is pinned (batch.h: pin). The
  // source may be dropped at once: torch keeps pinned memory until its copies have ended.
  void push(const Batch& batch);
  // The oldest batch pushed. Later work on the current stream waits for its copy; the host does
  // not.
  Batch pop();
  std::size_t size() const;

 private:
  struct Stream;
  struct Copy;
  at::Device device_;
  std::unique_ptr<Stream> stream_;  // null on the CPU
  std::deque<std::unique_ptr<Copy>> waiting_;
};

// Waits until the device has done all work given to it; nothing on the CPU. For clocks and exits,
// never inside a step.
void synchronize(const at::Device& device);
// The most bytes of the device's memory that tensors took so far; 0 on the CPU.
std::int64_t peak_device_bytes(const at::Device& device);

}  // namespace tandem
