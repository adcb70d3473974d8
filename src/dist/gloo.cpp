#include "dist/gloo.h"

#include <cstdlib>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

namespace tandem::dist {

c10::intrusive_ptr<c10d::Backend> make_gloo(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                            int size, std::chrono::milliseconds timeout,
                                            bool loopback) {
  using Group = c10d::ProcessGroupGloo;
  auto options = Group::Options::create(timeout);
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");  // as in PyTorch
  if (interface != nullptr && *interface != '\0')
    options->devices.push_back(Group::createDeviceForInterface(interface));
  else if (loopback)
    options->devices.push_back(Group::createDeviceForHostname("127.0.0.1"));
  else
    options->devices.push_back(Group::createDefaultDevice());
  return c10::make_intrusive<Group>(store, rank, size, std::move(options));
}

}  // namespace tandem::dist
