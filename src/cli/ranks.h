#pragma once
// Verbs that work on several ranks: --procs N and --gpus N start them; the variables of torchrun,
// Slurm and mpirun say that this process is one.

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tandem/dist/mesh.h"
#include "tandem/tensor/device.h"

namespace tandem::cli {

struct RankCounts {
  int processes = 0, gpus = 0;
};
// --procs and --gpus.
void add_rank_counts(CLI::App& verb, RankCounts& counts);

// Does this process start ranks, rather than being one?
bool starts_ranks(const RankCounts& counts);
// Starts the same command on every rank, with `more` behind it, and waits for all.
int start_ranks(const RankCounts& counts, const std::vector<std::string>& command,
                const std::vector<std::string>& more);

struct Place {
  const dist::Mesh& mesh;
  at::Device device;
  int local_ranks;  // on this machine
};
// Joins the other ranks on `device` (auto, cpu, cuda) and works. An Error is told here, once for
// all ranks that have the same one, before the mesh is left; its exit code is returned.
int work_as_rank(const std::string& device, const std::function<int(const Place&)>& work);

// Of verbs that evaluate: the counts and --device.
struct RankArguments {
  RankCounts counts{};
  std::string device = "auto";
};
std::shared_ptr<RankArguments> add_rank_arguments(CLI::App& verb);
// Starts the ranks, or is one of them and works, with its share of the cores.
int on_ranks(const RankArguments& arguments, const std::vector<std::string>& command,
             const std::function<int(const Place&)>& work);

}  // namespace tandem::cli
