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
  std::string master_address = "127.0.0.1";
  int master_port = 0;
  Backend backend = Backend::gloo;
  std::chrono::milliseconds timeout{30'000};
};

// RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT as torchrun sets them; size 1 when absent.
JoinOptions join_options_from_environment(Backend backend);
Mesh join(const JoinOptions& options);

// Collectives: every rank calls them in the same order. A lost rank throws Error(interrupted) that
// names it. None of them is differentiable.
void all_reduce_sum(const Mesh& mesh, at::Tensor& tensor);          // in place
at::Tensor all_gather(const Mesh& mesh, const at::Tensor& tensor);  // [W, ...], equal shapes
std::vector<at::Tensor> all_gather_uneven(const Mesh& mesh, const at::Tensor& rows);  // [n_r, ...]
void broadcast(const Mesh& mesh, at::Tensor& tensor, int from);
std::vector<std::string> all_gather_text(const Mesh& mesh, const std::string& text);

// Sums gradients over the ranks while backward runs (DESIGN 3, decision 6): fixed buckets in
// reverse order of the parameters, filled by post-accumulate hooks, launched in the same order on
// all ranks. A parameter without a gradient counts as zeros.
class GradSync {
 public:
  GradSync(Mesh mesh, std::vector<at::Tensor> parameters, std::int64_t bucket_bytes = 25 << 20);
  ~GradSync();
  GradSync(const GradSync&) = delete;
  GradSync& operator=(const GradSync&) = delete;

  // Before the last micro-batch's backward of a step; earlier ones only accumulate locally.
  void arm();
  // After it: launches what is left, waits, and leaves the sums in the parameters' .grad.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tandem::dist
