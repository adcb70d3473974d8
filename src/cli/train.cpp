#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "cli/common.h"
#include "cli/verbs.h"
#include "tandem/base/error.h"
#include "tandem/base/log.h"
#include "tandem/dist/launcher.h"
#include "tandem/nn/gpu_kernels.h"
#include "tandem/tensor/device.h"
#include "tandem/train/run.h"

namespace tandem::cli {
namespace {

struct TrainArguments {
  std::string resume = "auto", out{}, stage{};
  int processes = 0, gpus = 0;
  std::int64_t stop_after = 0;
  std::string rank_device{};  // said by the launcher to its ranks; not a part of the config
};

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

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// A rank that Slurm or mpirun gave a GPU of its own sees only that one.
int device_index(const dist::JoinOptions& join) {
  return join.launcher != "torchrun" && gpus().size() == 1 ? 0 : join.local_rank;
}

int train_as_rank(const config::Loaded& loaded, const TrainArguments& arguments,
                  const std::vector<std::string>& command) {
  std::optional<dist::Mesh> mesh;  // the others learn of an error once it is told
  try {
    const dist::JoinOptions found = dist::join_options_from_environment(dist::Backend::gloo);
    const int index = device_index(found);
    const at::Device device = resolve_device(
        arguments.rank_device.empty() ? loaded.config.device : arguments.rank_device, index);
    if (device.is_cuda()) nn::use_gpu_kernels();
    dist::JoinOptions join = found;
    join.backend = device.is_cuda() ? dist::Backend::nccl : dist::Backend::gloo;
    join.local_rank = index;
    log_as_rank(join.rank);
    if (join.size > 1 && join.launcher != "torchrun") {
      log_info("rank 0 of " + std::to_string(join.size) + ", by the variables of " + join.launcher);
    }
    mesh.emplace(dist::join(join));
    train::RunOptions options{.resume = arguments.resume,
                              .stage = arguments.stage,
                              .stop_after = arguments.stop_after,
                              .command = joined(command),
                              .device = device,
                              .mesh = &*mesh};
    options.local_ranks = join.local_size > 0 ? join.local_size : join.size;
    options.directory = arguments.out.empty() ? std::filesystem::path("runs") / loaded.config.name
                                              : std::filesystem::path(arguments.out);
    return train::run(loaded, options);
  } catch (const Error& error) {
    const bool consequence = error.kind() == ErrorKind::interrupted;
    if (dist::first_to_tell(error.what(), consequence)) {
      std::fprintf(stderr, "tandem: %s\n", error.what());
    }
    return exit_code(error.kind());
  }
}

int train(const ConfigArguments& config, const TrainArguments& arguments,
          const std::vector<std::string>& command) {
  const config::Loaded loaded = load(config);  // mistakes are told once, before any rank starts
  const int ranks = std::max(arguments.gpus, arguments.processes);
  if (ranks == 0 || std::getenv("WORLD_SIZE") != nullptr) {
    return train_as_rank(loaded, arguments, command);
  }
  std::vector<std::string> rank = command_of_rank(command);
  rank.insert(rank.end(), {"--rank-device", arguments.gpus > 0 ? "cuda" : "cpu"});
  return dist::launch(ranks, rank);
}

}  // namespace

void add_train(CLI::App& app, const Choose& choose, const std::vector<std::string>& command) {
  CLI::App* verb = app.add_subcommand("train", "train, or go on with, the run of a config");
  const auto config = add_config_arguments(*verb);
  const auto arguments = std::make_shared<TrainArguments>();
  verb->add_option("--resume", arguments->resume, "auto, never, or a checkpoint's folder");
  verb->add_option("--out", arguments->out, "the run's folder (default: runs/NAME)");
  verb->add_option("--stage", arguments->stage, "stop after this stage");
  verb->add_option("--stop-after", arguments->stop_after,
                   "stop after this step of the run, with a checkpoint, and leave with 75")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000'000'000}));
  CLI::Option* processes =
      verb->add_option("--procs", arguments->processes, "CPU ranks to start on this machine")
          ->check(CLI::Range(1, 1024));
  verb->add_option("--gpus", arguments->gpus, "ranks to start on this machine, each with a GPU")
      ->check(CLI::Range(1, 1024))
      ->excludes(processes);
  verb->add_option("--rank-device", arguments->rank_device)->group("");
  verb->callback([=] { choose([=] { return train(*config, *arguments, command); }); });
}

}  // namespace tandem::cli
