#pragma once
// Where NCCL comes in. c10d's NCCL group lives in libtorch_cuda, which a CPU build does not load:
// libtandem_cuda.so does and holds the maker (cuda/nccl.cpp).

#include <c10/util/intrusive_ptr.h>

#include <chrono>

namespace c10d {
class Backend;
class Store;
}  // namespace c10d

namespace tandem::dist {

using MakeNccl = c10::intrusive_ptr<c10d::Backend> (*)(c10::intrusive_ptr<c10d::Store> store,
                                                       int rank, int size, int device,
                                                       std::chrono::milliseconds timeout);

// One in place of the library's, before join(); null takes it away. For tests.
void set_nccl_factory(MakeNccl make);
// That one, else libtandem_cuda.so's where resolve_device() has loaded it, else null.
MakeNccl nccl_factory();

}  // namespace tandem::dist
