#pragma once
// Sources of verbs that work on data: those of a config, or a path that is one.

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/common.h"
#include "tandem/data/source.h"

namespace tandem::cli {

struct InputArguments {
  ConfigArguments config{};            // or a path
  std::vector<std::string> sources{};  // names; empty: those that a stage or an evaluation uses
  std::string pictures{};
};

// WHAT [key=value ...] --source NAME --pictures FOLDER
std::shared_ptr<InputArguments> add_input_arguments(CLI::App& verb);

// By name, in the config's order; a path is called "data". Throws Error(config) for a name that is
// none.
std::vector<std::pair<std::string, std::shared_ptr<const data::Source>>> open_inputs(
    const InputArguments& arguments);

}  // namespace tandem::cli
