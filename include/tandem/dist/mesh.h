#pragma once
// The ranks of a job. A single process has a real mesh of one rank whose collectives return their
// input, so nobody asks "are we distributed?".

#include <ATen/core/Tensor.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tandem::dist {

class Mesh {
 public:
  Mesh();  // one rank
  int rank() const;
  int size() const;
  void barrier() const;

  struct Impl;
  explicit Mesh(std::shared_ptr<const Impl> impl);
  const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

enum class Backend { gloo, nccl };

struct JoinOptions {
  int rank = 0, size = 1, local_rank = 0;
  int local_size = 0;                 // ranks on this machine; 0: not known
  std::string launcher = "torchrun";  // whose variables were read: torchrun, Slurm, mpirun
  std::string master_address = "127.0.0.1";
  int master_port = 0;
  int master_fd = -1;  // rank 0: the master port's socket, already bound by the launcher
  Backend backend = Backend::gloo;  // nccl: CUDA tensors go over NCCL, CPU tensors over Gloo
  std::chrono::milliseconds join{300'000};    // for all ranks to arrive
  std::chrono::milliseconds silence{30'000};  // a rank without a sign of life for so long is lost
  std::chrono::milliseconds timeout{1'800'000};  // in one collective, for a rank that is alive
};

// RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT as torchrun sets them; else Open MPI's
// OMPI_COMM_WORLD_*, Hydra's PMI_* (MPICH, Intel MPI), or Slurm's SLURM_PROCID, SLURM_NTASKS,
// SLURM_LOCALID; size 1 when all are absent. With the latter three MASTER_ADDR and MASTER_PORT may
// be set; else the address is this machine where all ranks are on it, or Slurm's first node, and
// the port follows from the job's number. Throws Error(config) for nonsense.
JoinOptions join_options_from_environment(Backend backend);

// Meets the other ranks. A size of 1 starts no store and no thread. Throws Error(interrupted) that
// names the ranks that did not arrive, Error(config) where Backend::nccl is not in this process.
Mesh join(const JoinOptions& options);

// Collectives: every rank calls them in the same order, from one thread, and none between
// GradSync's arm() and finish(). A lost rank throws Error(interrupted) that names it ("lost rank 2
// (process 1234 on host): ..."); where a rank hangs in something else, the process leaves with code
// 75 within eight seconds of the loss. CPU tensors go over Gloo, CUDA tensors over NCCL. Sums are
// in a fixed order, with the same bits on all ranks. None of them is differentiable.
void all_reduce_sum(const Mesh& mesh, at::Tensor& tensor);          // in place
at::Tensor all_gather(const Mesh& mesh, const at::Tensor& tensor);  // [W, ...], equal shapes
// [n_r, ...] of each rank; the other dimensions are equal, n_r may be 0.
std::vector<at::Tensor> all_gather_uneven(const Mesh& mesh, const at::Tensor& rows);
void broadcast(const Mesh& mesh, at::Tensor& tensor, int from);  // in place, equal shapes
std::vector<std::string> all_gather_text(const Mesh& mesh, const std::string& text);

// Sums gradients over the ranks while backward runs (DESIGN 3, decision 6): fixed buckets in
// reverse order of the parameters, filled by post-accumulate hooks, launched in the same order on
// all ranks. A parameter without a gradient counts as zeros.
//
// A bucket leaves when each of its parameters has its gradient. A parameter that gets a second
// addition after that (a shared one that a recomputed block uses) is seen, and its bucket is summed
// again in finish(), on all ranks. Not thread-safe; one GradSync per parameter at a time.
class GradSync {
 public:
  // A parameter that occurs twice (tied) counts once. Buckets hold one dtype and device each.
  GradSync(Mesh mesh, std::vector<at::Tensor> parameters, std::int64_t bucket_bytes = 25 << 20);
  ~GradSync();
  GradSync(const GradSync&) = delete;
  GradSync& operator=(const GradSync&) = delete;

  // Before the last micro-batch's backward of a step; earlier ones only accumulate locally.
  void arm();
  // After it: launches what is left, waits, and leaves the sums in the parameters' .grad. Every
  // parameter has one then, also on a single rank.
  void finish();
  // Buckets that are on their way since arm().
  int launched() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tandem::dist
