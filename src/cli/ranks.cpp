#include "cli/ranks.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "tandem/base/log.h"
#include "tandem/dist/launcher.h"
#include "tandem/nn/gpu_kernels.h"

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

int work_as_rank(const RankArguments& arguments, const std::function<int(const Place&)>& work) {
  const int local_rank = dist::join_options_from_environment(dist::Backend::gloo).local_rank;
  const at::Device device = resolve_device(arguments.device, local_rank);
  if (device.is_cuda()) nn::use_gpu_kernels();
  const dist::JoinOptions join = dist::join_options_from_environment(
      device.is_cuda() ? dist::Backend::nccl : dist::Backend::gloo);
  log_as_rank(join.rank);
  const char* local = std::getenv("LOCAL_WORLD_SIZE");
  const int ranks = local != nullptr ? std::max(1, std::atoi(local)) : join.size;
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  at::set_num_threads(std::max(1, cores / ranks));
  const dist::Mesh mesh = dist::join(join);
  return work({mesh, device});
}

}  // namespace

std::shared_ptr<RankArguments> add_rank_arguments(CLI::App& verb) {
  auto arguments = std::make_shared<RankArguments>();
  CLI::Option* processes =
      verb.add_option("--procs", arguments->processes, "CPU ranks to start on this machine")
          ->check(CLI::Range(1, 1024));
  verb.add_option("--gpus", arguments->gpus, "ranks to start on this machine, each with a GPU")
      ->check(CLI::Range(1, 1024))
      ->excludes(processes);
  verb.add_option("--device", arguments->device, "auto, cpu or cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  return arguments;
}

int on_ranks(const RankArguments& arguments, const std::vector<std::string>& command,
             const std::function<int(const Place&)>& work) {
  const int ranks = std::max(arguments.gpus, arguments.processes);
  if (ranks == 0 || std::getenv("WORLD_SIZE") != nullptr) return work_as_rank(arguments, work);
  std::vector<std::string> rank = command_of_rank(command);
  if (arguments.device == "auto") {
    rank.insert(rank.end(), {"--device", arguments.gpus > 0 ? "cuda" : "cpu"});
  }
  return dist::launch(ranks, rank);
}

}  // namespace tandem::cli
