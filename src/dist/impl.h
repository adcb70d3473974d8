#pragma once
// What stands behind a Mesh. Private to the room, and to its tests.

#include <atomic>
#include <memory>
#include <string>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "dist/watch.h"
#include "tandem/dist/mesh.h"

namespace tandem::dist {

// Without groups (a single rank) the collectives return their input.
struct Mesh::Impl {
  int rank = 0, size = 1;
  c10::intrusive_ptr<c10d::Store> store;
  std::unique_ptr<Watch> watch;
  c10::intrusive_ptr<c10d::Backend> gloo, nccl;  // CPU tensors, CUDA tensors
  mutable std::atomic<bool> syncing{false};      // between GradSync's arm() and finish()

  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl();

  bool alone() const { return gloo == nullptr; }
  // The group that moves this tensor. Error(internal) for a CUDA tensor in a Gloo mesh.
  c10d::Backend& group_of(const at::Tensor& tensor) const;
};

// Meets the other ranks and makes the groups, also for a size of 1.
std::shared_ptr<const Mesh::Impl> make_impl(const JoinOptions& options);

// Counts a collective. Throws Error(interrupted) where a rank is already known to be lost.
void enter(const Mesh::Impl& impl);
// Waits for it; `on_stream` (CUDA): only the current stream waits. Throws Error(interrupted) that
// names who is lost.
void wait(const Mesh::Impl& impl, c10d::Work& work, bool on_stream);
// To be called in a catch block: turns what c10d says into who was lost.
[[noreturn]] void rethrow_as_loss(const Mesh::Impl& impl);

}  // namespace tandem::dist
