// Who this process is among the ranks, by the variables of the launcher that started it.

#include <charconv>
#include <cstdlib>
#include <optional>
#include <string>

#include "dist/node_list.h"
#include "tandem/base/error.h"
#include "tandem/dist/mesh.h"

namespace tandem::dist {
namespace {

constexpr int many = 1 << 20;

const char* text_of(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? nullptr : text;
}

std::optional<int> number(const char* name, int least, int most) {
  const char* text = text_of(name);
  if (text == nullptr) return std::nullopt;
  int value = 0;
  const char* end = text + std::char_traits<char>::length(text);
  const auto [stop, error] = std::from_chars(text, end, value);
  if (error != std::errc() || stop != end || value < least || value > most)
    throw Error(ErrorKind::config, "[dist] expected " + std::string(name) + " from " +
                                       std::to_string(least) + " to " + std::to_string(most) +
                                       "; got '" + text + "'");
  return value;
}

struct Launcher {
  const char *name, *size, *rank, *local_rank, *local_size;
};

// Each is taken where its size, rank and local rank are set, and the first of them: mpirun inside
// of a Slurm job leaves Slurm's variables of its own daemons, so it comes before.
constexpr Launcher torchrun{"torchrun", "WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"};
constexpr Launcher others[] = {
    {"mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK",
     "OMPI_COMM_WORLD_LOCAL_SIZE"},
    {"mpirun", "PMI_SIZE", "PMI_RANK", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"},
    {"Slurm", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID", nullptr},
    {"Slurm", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID", nullptr},
    {"mpirun", "PMI_SIZE", "PMI_RANK", "PMI_RANK", "PMI_SIZE"},  // all on one machine
};

bool complete(const Launcher& launcher) {
  return text_of(launcher.size) && text_of(launcher.rank) && text_of(launcher.local_rank);
}

const Launcher& launcher_of_environment() {
  if (text_of(torchrun.size) && text_of(torchrun.rank)) return torchrun;
  for (const Launcher& one : others) {
    if (complete(one)) return one;
  }
  return torchrun;
}

// Ranks on this machine; 0: not known.
int local_size_of(const Launcher& launcher) {
  if (launcher.local_size != nullptr) return number(launcher.local_size, 1, many).value_or(0);
  const auto node = static_cast<std::size_t>(number("SLURM_NODEID", 0, many).value_or(0));
  for (const char* name : {"SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE"}) {
    if (const char* text = text_of(name)) {
      const std::vector<int> tasks = tasks_per_node(text);
      if (node < tasks.size()) return tasks[node];
    }
  }
  return number("SLURM_NTASKS_PER_NODE", 1, many).value_or(0);
}

// The machine of rank 0. Slurm lists its nodes; mpirun tells only whether there is one.
std::string address_of(const JoinOptions& options) {
  if (const char* text = text_of("MASTER_ADDR")) return text;
  if (options.local_size == options.size) return "127.0.0.1";
  if (options.launcher == "Slurm") {
    for (const char* name : {"SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"}) {
      const char* text = text_of(name);
      if (text == nullptr) continue;
      const std::string list = text, host = first_host(list);
      return host == list ? "127.0.0.1" : host;
    }
  }
  if (options.local_size == 0 && options.launcher != "torchrun") return "127.0.0.1";
  throw Error(
      ErrorKind::config,
      "[dist] there are " + std::to_string(options.size) + " ranks, but MASTER_ADDR is not set", {},
      "the host of rank 0: mpirun -x MASTER_ADDR=HOST, or start with torchrun or srun");
}

// One that the ranks of a job agree on, and that another job hardly has.
int port_of_job() {
  std::string job;
  for (const char* name : {"SLURM_JOB_ID", "SLURM_STEP_ID", "PMIX_NAMESPACE"}) {
    if (const char* text = text_of(name)) job += std::string(text) + ".";
  }
  if (job.empty()) return 29500;  // torchrun's
  std::uint32_t hash = 2166136261u;
  for (const char c : job) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return 15000 + static_cast<int>(hash % 15000);
}

[[noreturn]] void missing(const char* name) {
  throw Error(ErrorKind::config,
              "[dist] WORLD_SIZE is more than 1, but " + std::string(name) + " is not set", {},
              "start the ranks with --procs, --gpus, torchrun, srun or mpirun");
}

}  // namespace

JoinOptions join_options_from_environment(Backend backend) {
  const Launcher& launcher = launcher_of_environment();
  JoinOptions options;
  options.backend = backend;
  options.launcher = launcher.name;
  options.size = number(launcher.size, 1, many).value_or(1);
  const std::optional<int> rank = number(launcher.rank, 0, options.size - 1);
  const std::optional<int> local_rank = number(launcher.local_rank, 0, many);
  const std::optional<int> port = number("MASTER_PORT", 1, 65535);
  options.local_size = local_size_of(launcher);
  options.local_rank = local_rank.value_or(0);
  if (options.size == 1) return options;
  const bool by_torchrun = options.launcher == "torchrun";
  if (!rank) missing(launcher.rank);
  if (!local_rank) missing(launcher.local_rank);
  if (!port && by_torchrun) missing("MASTER_PORT");
  if (by_torchrun && text_of("MASTER_ADDR") == nullptr) missing("MASTER_ADDR");
  options.rank = *rank;
  options.master_port = port.value_or(port_of_job());
  options.master_address = address_of(options);
  options.master_fd = number("TANDEM_MASTER_FD", 0, many).value_or(-1);
  return options;
}

}  // namespace tandem::dist
