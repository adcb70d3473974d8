#pragma once
// Verbs that evaluate on several ranks: --procs N and --gpus N start them, torchrun's variables
// are read.

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tandem/dist/mesh.h"
#include "tandem/tensor/device.h"

namespace tandem::cli {

struct RankArguments {
  int processes = 0, gpus = 0;
  std::string device = "auto";  // of a rank: auto, cpu, cuda
};
std::shared_ptr<RankArguments> add_rank_arguments(CLI::App& verb);

struct Place {
  const dist::Mesh& mesh;
  at::Device device;
};
// Starts the ranks, or is one of them and works.
int on_ranks(const RankArguments& arguments, const std::vector<std::string>& command,
             const std::function<int(const Place&)>& work);

}  // namespace tandem::cli
