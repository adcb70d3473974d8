#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>

#include "tandem/base/error.h"
#include "tandem/dist/mesh.h"

using namespace tandem;
using namespace tandem::dist;

namespace {

constexpr const char* names[] = {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"};

// Sets exactly these of torchrun's variables.
class Environment {
 public:
  explicit Environment(const std::map<std::string, std::string>& values) {
    clear();
    for (const auto& [name, value] : values) setenv(name.c_str(), value.c_str(), 1);
  }
  ~Environment() { clear(); }

 private:
  static void clear() {
    for (const char* name : names) unsetenv(name);
  }
};

std::string refusal(const std::map<std::string, std::string>& values) {
  const Environment environment(values);
  try {
    join_options_from_environment(Backend::gloo);
  } catch (const Error& error) {
    return error.kind() == ErrorKind::config ? error.what() : "wrong kind";
  }
  return "accepted";
}

}  // namespace

TEST_CASE("torchrun's variables become the options of a join") {
  const Environment environment({{"RANK", "5"},
                                 {"WORLD_SIZE", "8"},
                                 {"LOCAL_RANK", "1"},
                                 {"MASTER_ADDR", "10.0.0.7"},
                                 {"MASTER_PORT", "29500"}});
  const JoinOptions options = join_options_from_environment(Backend::nccl);
  CHECK(options.rank == 5);
  CHECK(options.size == 8);
  CHECK(options.local_rank == 1);
  CHECK(options.master_address == "10.0.0.7");
  CHECK(options.master_port == 29500);
  CHECK(options.backend == Backend::nccl);
}

TEST_CASE("without torchrun's variables there is one rank") {
  const Environment environment({});
  const JoinOptions options = join_options_from_environment(Backend::gloo);
  CHECK(options.size == 1);
  CHECK(options.rank == 0);
}

TEST_CASE("nonsense in torchrun's variables is refused by name") {
  const std::map<std::string, std::string> good{{"RANK", "0"},
                                                {"WORLD_SIZE", "2"},
                                                {"LOCAL_RANK", "0"},
                                                {"MASTER_ADDR", "127.0.0.1"},
                                                {"MASTER_PORT", "29500"}};
  CHECK(refusal(good) == "accepted");
  const std::pair<const char*, const char*> bad[] = {
      {"RANK", "2"},         {"RANK", "-1"},      {"RANK", "one"},       {"WORLD_SIZE", "0"},
      {"WORLD_SIZE", "2.5"}, {"LOCAL_RANK", "x"}, {"MASTER_PORT", "0"},  {"MASTER_PORT", "70000"},
      {"RANK", ""},          {"LOCAL_RANK", ""},  {"MASTER_ADDR", ""},   {"MASTER_PORT", ""},
      {"RANK", "1 "},        {"RANK", "0x1"},     {"WORLD_SIZE", "1e9"},
  };
  for (const auto& [name, value] : bad) {
    auto values = good;
    values[name] = value;
    CAPTURE(name, value);
    CHECK(refusal(values).find(name) != std::string::npos);
  }
}
