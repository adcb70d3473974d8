#include "tandem/tensor/device.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <optional>
#include <utility>

#include "tandem/base/error.h"
#include "tandem/base/log.h"
#include "tensor/cuda_seam.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;

constexpr const char* kInstall =
    "scripts/setup installs torch's CUDA libraries where a GPU is (or with TANDEM_GPU=1) and "
    "builds "
    "libtandem_cuda.so; TANDEM_CUDA_LIBRARY names it elsewhere; device: cpu needs none of it";

std::mutex mutex;
void* library = nullptr;

std::vector<fs::path> places() {
  if (const char* named = std::getenv("TANDEM_CUDA_LIBRARY"); named != nullptr && *named != '\0') {
    return {named};
  }
  std::error_code ignored;
  const fs::path folder = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  return {folder / "libtandem_cuda.so", folder.parent_path() / "lib" / "libtandem_cuda.so"};
}

void* open_library() {
  std::string tried;
  for (const fs::path& path : places()) {
    std::error_code ignored;
    if (!fs::exists(path, ignored)) {
      tried += (tried.empty() ? "" : ", ") + path.string();
      continue;
    }
    void* opened = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (opened == nullptr) {
      throw Error(ErrorKind::config,
                  std::string("[device] expected a library that loads; got: ") + dlerror(),
                  path.string(), kInstall);
    }
    const auto version = reinterpret_cast<int (*)()>(dlsym(opened, "tandem_cuda_version"));
    if (version == nullptr || version() != kCudaSeamVersion) {
      throw Error(ErrorKind::config,
                  "[device] expected the CUDA library of this binary; got version " +
                      (version == nullptr ? "none" : std::to_string(version())),
                  path.string(), "build both anew");
    }
    return opened;
  }
  throw Error(ErrorKind::config, "[device] expected libtandem_cuda.so; got no file at " + tried, {},
              kInstall);
}

at::Device use_gpu(const std::vector<Gpu>& found, int local_rank) {
  if (local_rank < 0 || static_cast<std::size_t>(local_rank) >= found.size()) {
    throw Error(ErrorKind::config,
                "[device] expected a GPU for each rank of this machine; got " +
                    std::to_string(found.size()) + " GPUs and local rank " +
                    std::to_string(local_rank),
                {}, "start at most " + std::to_string(found.size()) + " ranks here");
  }
  load_cuda_library();
  const c10::impl::VirtualGuardImpl cuda(at::kCUDA);
  if (cuda.deviceCount() <= local_rank) {
    throw Error(ErrorKind::config,
                "[device] expected torch to see the driver's " + std::to_string(found.size()) +
                    " GPUs; got " + std::to_string(cuda.deviceCount()),
                {}, "torch 2.11 is made for CUDA 13: a driver of version 580 or later");
  }
  const at::Device device(at::kCUDA, static_cast<at::DeviceIndex>(local_rank));
  cuda.setDevice(device);
  return device;
}

}  // namespace

void load_cuda_library() {
  const std::lock_guard lock(mutex);
  if (library == nullptr) library = open_library();
}

void* cuda_function(const char* name) {
  const std::lock_guard lock(mutex);
  return library == nullptr ? nullptr : dlsym(library, name);
}

at::Device resolve_device(const std::string& wanted, int local_rank) {
  if (wanted == "cpu") return at::kCPU;
  if (wanted != "cuda" && wanted != "auto") {
    throw Error(ErrorKind::config, "[device] expected auto, cpu or cuda; got " + wanted);
  }
  const std::vector<Gpu> found = gpus();
  if (found.empty()) {
    if (wanted == "auto") return at::kCPU;
    throw Error(ErrorKind::config, "[device] expected a GPU; got none from NVIDIA's driver", {},
                "see nvidia-smi and CUDA_VISIBLE_DEVICES, or say device: cpu");
  }
  if (wanted == "auto") {
    try {
      load_cuda_library();
    } catch (const Error& error) {
      log_warning("the GPU (" + found[0].name + ") is left unused: " + error.what());
      return at::kCPU;
    }
  }
  return use_gpu(found, local_rank);
}

// ---- copies ---------------------------------------------------------------------------------

struct CopyLane::Stream {
  c10::impl::VirtualGuardImpl backend;
  c10::Stream stream;
};

struct CopyLane::Copy {
  Batch batch{};
  std::optional<c10::Event> done{};
};

CopyLane::CopyLane(at::Device device) : device_(device) {
  if (device.is_cpu()) return;
  const c10::impl::VirtualGuardImpl backend(device.type());
  stream_.reset(new Stream{backend, backend.getStreamFromGlobalPool(device)});
}

CopyLane::~CopyLane() = default;

std::size_t CopyLane::size() const { return waiting_.size(); }

void CopyLane::push(const Batch& batch) {
  auto copy = std::make_unique<Copy>();
  if (stream_ == nullptr) {
    copy->batch = batch;
  } else {
    const c10::StreamGuard guard(stream_->stream);
    copy->batch = to(batch, device_);
    copy->done.emplace(device_.type());
    copy->done->record(stream_->stream);
  }
  waiting_.push_back(std::move(copy));
}

Batch CopyLane::pop() {
  TANDEM_CHECK(!waiting_.empty(), "pop of an empty lane");
  const std::unique_ptr<Copy> copy = std::move(waiting_.front());
  waiting_.pop_front();
  if (copy->done) {
    const c10::Stream current = stream_->backend.getStream(device_);
    copy->done->block(current);
    // The memory belongs to the copy stream; the allocator must not give it away before the
    // current stream is done with it.
    each_tensor(copy->batch, [&](at::Tensor& tensor) { tensor.record_stream(current); });
  }
  return std::move(copy->batch);
}

void synchronize(const at::Device& device) {
  if (!device.is_cpu())
    c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
}

std::int64_t peak_device_bytes(const at::Device& device) {
  if (device.is_cpu()) return 0;
  const auto stats = at::getDeviceAllocator(device.type())->getDeviceStats(device.index());
  return stats.allocated_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)]
      .peak;
}

}  // namespace tandem
