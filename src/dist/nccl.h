#pragma once
// Where NCCL comes in. c10d's NCCL group lives in libtorch_cuda, which a CPU build does not load:
// the library that does hands its maker over here.

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

// Before join(). Null takes it away.
void set_nccl_factory(MakeNccl make);
MakeNccl nccl_factory();

}  // namespace tandem::dist
