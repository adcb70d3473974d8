#pragma once
// The one door to Gloo: its Debian headers (2022) are older than the library in the wheel, so a
// single .cpp includes them, and uses only the options and the makers of a device.

#include <c10/util/intrusive_ptr.h>

#include <chrono>

namespace c10d {
class Backend;
class Store;
}  // namespace c10d

namespace tandem::dist {

// `loopback`: all ranks run on this machine.
c10::intrusive_ptr<c10d::Backend> make_gloo(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                            int size, std::chrono::milliseconds timeout,
                                            bool loopback);

}  // namespace tandem::dist
