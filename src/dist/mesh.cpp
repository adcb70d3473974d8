#include "tandem/dist/mesh.h"

#include <fcntl.h>

#include <cstdlib>
#include <exception>
#include <string>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>

#include "dist/gloo.h"
#include "dist/impl.h"
#include "dist/nccl.h"
#include "tandem/base/error.h"
#include "tandem/tensor/device.h"

namespace tandem::dist {
namespace {

MakeNccl make_nccl = nullptr;

constexpr std::chrono::milliseconds slice{500};

bool on_this_machine(const std::string& address) {
  return address == "localhost" || address == "::1" || address.rfind("127.", 0) == 0;
}

// c10's messages carry a stack after the first line.
std::string first_line(const std::exception& error) {
  const auto* c10_error = dynamic_cast<const c10::Error*>(&error);
  const std::string text =
      c10_error != nullptr ? c10_error->what_without_backtrace() : error.what();
  return text.substr(0, text.find('\n'));
}

c10::intrusive_ptr<c10d::Store> make_store(const JoinOptions& options) {
  c10d::TCPStoreOptions store;
  store.port = static_cast<std::uint16_t>(options.master_port);
  store.isServer = options.rank == 0;
  store.waitWorkers = false;  // the watch waits for them, and can say who is missing
  store.timeout = options.join;
  if (options.rank == 0 && options.master_fd >= 0) {
    fcntl(options.master_fd, F_SETFD, FD_CLOEXEC);
    store.masterListenFd = options.master_fd;
  }
  try {
    return c10::make_intrusive<c10d::TCPStore>(options.master_address, store);
  } catch (const std::exception& error) {
    const std::string place = options.master_address + ":" + std::to_string(options.master_port);
    if (options.rank == 0)
      throw Error(ErrorKind::io, "[dist] cannot listen at " + place + ": " + first_line(error), {},
                  "choose another MASTER_PORT");
    throw Error(ErrorKind::interrupted, "[dist] rank " + std::to_string(options.rank) +
                                            " cannot reach rank 0 at " + place + ": " +
                                            first_line(error));
  }
}

std::unique_ptr<Watch> make_watch(const JoinOptions& options,
                                  const c10::intrusive_ptr<c10d::Store>& store) {
  WatchOptions watch;
  watch.rank = options.rank;
  watch.size = options.size;
  watch.address = options.master_address;
  watch.silence = options.silence;
  watch.join = options.join;
  const std::string key = "tandem/watch";
  const Board board{[&](const std::string& text) { store->set(key, text); },
                    [&] {
                      try {
                        const std::vector<std::uint8_t> text = store->get(key);
                        return std::string(text.begin(), text.end());
                      } catch (const std::exception& error) {
                        throw Error(
                            ErrorKind::interrupted,
                            "[dist] rank 0 left before all had arrived: " + first_line(error));
                      }
                    }};
  return std::make_unique<Watch>(watch, board);
}

void make_nccl_group(Mesh::Impl& impl, const JoinOptions& options) {
  // A lost rank is the watch's to name; c10d's own watchdog would abort the process first.
  setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0", 0);
  impl.nccl = nccl_factory()(c10::make_intrusive<c10d::PrefixStore>("nccl", impl.store),
                             options.rank, options.size, options.local_rank, options.timeout);
}

}  // namespace

void set_nccl_factory(MakeNccl make) { make_nccl = make; }

MakeNccl nccl_factory() {
  if (make_nccl != nullptr) return make_nccl;
  void* getter = cuda_function("tandem_cuda_nccl");
  return getter == nullptr ? nullptr : reinterpret_cast<MakeNccl (*)()>(getter)();
}

Mesh::Impl::~Impl() {
  if (watch == nullptr) return;
  if (!watch->lost().empty()) {
    // The groups' destructors wait for work that the lost rank will never answer. The process is
    // about to end, and the watch stays to see that it does.
    (void)gloo.release();
    (void)nccl.release();
    (void)store.release();
    (void)watch.release();
    return;
  }
  watch->say_goodbye();
  nccl.reset();
  gloo.reset();
}

c10d::Backend& Mesh::Impl::group_of(const at::Tensor& tensor) const {
  if (!tensor.is_cuda()) return *gloo;
  TANDEM_CHECK(nccl != nullptr, "[dist] a mesh over Gloo moves CPU tensors; got a CUDA tensor");
  return *nccl;
}

std::shared_ptr<const Mesh::Impl> make_impl(const JoinOptions& options) {
  if (options.size < 1 || options.rank < 0 || options.rank >= options.size)
    throw Error(ErrorKind::config, "[dist] expected 0 <= rank < size; got rank " +
                                       std::to_string(options.rank) + " of " +
                                       std::to_string(options.size));
  if (options.backend == Backend::nccl && nccl_factory() == nullptr)
    throw Error(ErrorKind::config, "[dist] this process has no NCCL", {},
                "build with the cuda preset and set device: cuda, or use device: cpu");
  auto impl = std::make_shared<Mesh::Impl>();
  impl->rank = options.rank;
  impl->size = options.size;
  impl->store = make_store(options);
  impl->watch = make_watch(options, impl->store);
  try {
    impl->gloo =
        make_gloo(c10::make_intrusive<c10d::PrefixStore>("gloo", impl->store), options.rank,
                  options.size, options.timeout, on_this_machine(options.master_address));
    if (options.backend == Backend::nccl) make_nccl_group(*impl, options);
  } catch (const Error&) {
    throw;
  } catch (const std::exception&) {
    rethrow_as_loss(*impl);
  }
  return impl;
}

void enter(const Mesh::Impl& impl) {
  const std::string lost = impl.watch->lost();
  if (!lost.empty()) throw Error(ErrorKind::interrupted, "[dist] " + lost, {}, "start again");
  impl.watch->entered();
}

void rethrow_as_loss(const Mesh::Impl& impl) {
  std::string reason;
  try {
    throw;
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    reason = first_line(error);
  }
  std::string cause = impl.watch->wait_for_cause(std::chrono::seconds(2));
  if (cause.empty()) {
    // Nobody is gone: somebody has not come.
    impl.watch->complain();
    cause = impl.watch->wait_for_cause(std::chrono::seconds(3));
  }
  if (cause.empty()) cause = "a collective failed: " + reason;
  throw Error(ErrorKind::interrupted, "[dist] " + cause, {}, "start again");
}

void wait(const Mesh::Impl& impl, c10d::Work& work, bool on_stream) {
  for (;;) {
    try {
      on_stream ? work.wait() : work.wait(slice);
      return;
    } catch (const std::exception&) {
      if (work.isCompleted()) rethrow_as_loss(impl);
    }
    const std::string lost = impl.watch->lost();
    if (!lost.empty()) throw Error(ErrorKind::interrupted, "[dist] " + lost, {}, "start again");
  }
}

Mesh::Mesh() : impl_(std::make_shared<Impl>()) {}
Mesh::Mesh(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
int Mesh::rank() const { return impl_->rank; }
int Mesh::size() const { return impl_->size; }

Mesh join(const JoinOptions& options) {
  if (options.size == 1 && options.rank == 0) return Mesh();
  return Mesh(make_impl(options));
}

}  // namespace tandem::dist
