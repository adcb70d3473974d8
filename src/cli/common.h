#pragma once
// What several verbs share.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tandem/config/run_config.h"

namespace tandem::cli {

inline constexpr std::int64_t longest_config = 16 << 20;  // bytes

// CONFIG [key=value ...]
struct ConfigArguments {
  std::string path{};
  std::vector<std::string> overrides{};
};
std::shared_ptr<ConfigArguments> add_config_arguments(CLI::App& verb, bool required = true);
// may_lack: as config::Tables::may_lack.
config::Loaded load(const ConfigArguments& arguments, bool may_lack = false);

}  // namespace tandem::cli
