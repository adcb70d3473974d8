#pragma once
// What several verbs share.

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "tandem/config/run_config.h"

namespace tandem::cli {

// CONFIG [key=value ...]
struct ConfigArguments {
  std::string path{};
  std::vector<std::string> overrides{};
};
std::shared_ptr<ConfigArguments> add_config_arguments(CLI::App& verb, bool required = true);
config::Loaded load(const ConfigArguments& arguments);

}  // namespace tandem::cli
