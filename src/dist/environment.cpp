#include <charconv>
#include <cstdlib>
#include <optional>
#include <string>

#include "tandem/base/error.h"
#include "tandem/dist/mesh.h"

namespace tandem::dist {
namespace {

std::optional<int> number(const char* name, int least, int most) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == '\0') return std::nullopt;
  int value = 0;
  const char* end = text + std::char_traits<char>::length(text);
  const auto [stop, error] = std::from_chars(text, end, value);
  if (error != std::errc() || stop != end || value < least || value > most)
    throw Error(ErrorKind::config, "[dist] expected " + std::string(name) + " from " +
                                       std::to_string(least) + " to " + std::to_string(most) +
                                       "; got '" + text + "'");
  return value;
}

int needed(std::optional<int> value, const char* name) {
  if (value) return *value;
  throw Error(ErrorKind::config,
              "[dist] WORLD_SIZE is more than 1, but " + std::string(name) + " is not set", {},
              "start the ranks with --procs, --gpus or torchrun");
}

}  // namespace

JoinOptions join_options_from_environment(Backend backend) {
  constexpr int many = 1 << 20;
  JoinOptions options;
  options.backend = backend;
  options.size = number("WORLD_SIZE", 1, many).value_or(1);
  const std::optional<int> rank = number("RANK", 0, options.size - 1);
  const std::optional<int> local_rank = number("LOCAL_RANK", 0, many);
  const std::optional<int> port = number("MASTER_PORT", 1, 65535);
  if (options.size == 1) {
    options.local_rank = local_rank.value_or(0);
    return options;
  }
  options.rank = needed(rank, "RANK");
  options.local_rank = needed(local_rank, "LOCAL_RANK");
  options.master_port = needed(port, "MASTER_PORT");
  const char* address = std::getenv("MASTER_ADDR");
  if (address == nullptr || *address == '\0') needed(std::nullopt, "MASTER_ADDR");
  options.master_address = address;
  options.master_fd = number("TANDEM_MASTER_FD", 0, many).value_or(-1);
  return options;
}

}  // namespace tandem::dist
