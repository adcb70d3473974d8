#include "cli/ranks.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <thread>

#include "tandem/base/error.h"
#include "tandem/base/log.h"
#include "tandem/dist/launcher.h"
#include "tandem/nn/gpu_kernels.h"
#include "tandem/objectives/gpu_kernels.h"

namespace tandem::cli {
namespace {

// The same command for every rank, without the option that starts them.
std::vector<std::string> command_of_rank(const std::vector<std::string>& command) {
  std::vector<std::string> rank{std::filesystem::read_symlink("/proc/self/exe").string()};
  for (std::size_t i = 1; i < command.size(); ++i) {
    if (command[i] == "--procs" || command[i] == "--gpus") {
      ++i;
    } else if (!command[i].starts_with("--procs=") && !command[i].starts_with("--gpus=")) {
      rank.push_back(command[i]);
    }
  }
  return rank;
}

// A rank that Slurm or mpirun gave a GPU of its own sees only that one.
int device_index(const dist::JoinOptions& join) {
  return join.launcher != "torchrun" && gpus().size() == 1 ? 0 : join.local_rank;
}

}  // namespace

void add_rank_counts(CLI::App& verb, RankCounts& counts) {
  CLI::Option* processes =
      verb.add_option("--procs", counts.processes, "CPU ranks to start on this machine")
          ->check(CLI::Range(1, 1024));
  verb.add_option("--gpus", counts.gpus, "ranks to start on this machine, each with a GPU")
      ->check(CLI::Range(1, 1024))
      ->excludes(processes);
}

bool starts_ranks(const RankCounts& counts) {
  return std::max(counts.gpus, counts.processes) > 0 && std::getenv("WORLD_SIZE") == nullptr;
}

int start_ranks(const RankCounts& counts, const std::vector<std::string>& command,
                const std::vector<std::string>& more) {
  std::vector<std::string> rank = command_of_rank(command);
  rank.insert(rank.end(), more.begin(), more.end());
  return dist::launch(std::max(counts.gpus, counts.processes), rank);
}

int work_as_rank(const std::string& device, const std::function<int(const Place&)>& work) {
  std::optional<dist::Mesh> mesh;  // the others learn of an error once it is told
  try {
    dist::JoinOptions join = dist::join_options_from_environment(dist::Backend::gloo);
    join.local_rank = device_index(join);
    const at::Device resolved = resolve_device(device, join.local_rank);
    if (resolved.is_cuda()) {
      nn::use_gpu_kernels();
      objectives::use_gpu_kernels();
      join.backend = dist::Backend::nccl;
    }
    log_as_rank(join.rank);
    if (join.size > 1 && join.launcher != "torchrun") {
      log_info("rank 0 of " + std::to_string(join.size) + ", by the variables of " + join.launcher);
    }
    mesh.emplace(dist::join(join));
    return work({*mesh, resolved, join.local_size > 0 ? join.local_size : join.size});
  } catch (const Error& error) {
    const bool consequence = error.kind() == ErrorKind::interrupted;
    if (dist::first_to_tell(error.what(), consequence)) {
      std::fprintf(stderr, "tandem: %s\n", error.what());
    }
    return exit_code(error.kind());
  }
}

std::shared_ptr<RankArguments> add_rank_arguments(CLI::App& verb) {
  auto arguments = std::make_shared<RankArguments>();
  add_rank_counts(verb, arguments->counts);
  verb.add_option("--device", arguments->device, "auto, cpu or cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  return arguments;
}

int on_ranks(const RankArguments& arguments, const std::vector<std::string>& command,
             const std::function<int(const Place&)>& work) {
  if (starts_ranks(arguments.counts)) {
    std::vector<std::string> device;
    if (arguments.device == "auto") {
      device = {"--device", arguments.counts.gpus > 0 ? "cuda" : "cpu"};
    }
    return start_ranks(arguments.counts, command, device);
  }
  return work_as_rank(arguments.device, [&](const Place& place) {
    const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    at::set_num_threads(std::max(1, cores / place.local_ranks));
    return work(place);
  });
}

}  // namespace tandem::cli
