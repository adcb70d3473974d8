// Commits states for tests that end a save at any point or make its calls fail (base/files.h).
//
// checkpoint_tool: each line of the input is one run, `[NAME=VALUE ...] DIRECTORY KEEP STEP...`,
// and is answered with the exit status of the process that it ran in. A run is a fork of this
// process, which itself never touches the layer of I/O calls: so every run reads its variables
// afresh, and LibTorch is loaded once, not a hundred times.

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>

#include "states.h"
#include "tandem/base/error.h"

namespace {

int run(const std::string& line) {
  using namespace tandem;
  std::vector<std::string> arguments;
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) {
      arguments.push_back(word);
    } else {
      ::setenv(word.substr(0, equals).c_str(), word.substr(equals + 1).c_str(), 1);
    }
  }
  if (arguments.size() < 3) return 64;
  try {
    checkpoint::Checkpointer saver(arguments[0], std::stoll(arguments[1]));
    for (std::size_t i = 2; i < arguments.size(); ++i) {
      saver.commit(testing::state_of(std::stoll(arguments[i])));
    }
    return 0;
  } catch (const Error& error) {
    return exit_code(error.kind());
  }
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    const pid_t child = ::fork();
    if (child < 0) return 70;
    if (child == 0) ::_exit(run(line));
    int status = 0;
    if (::waitpid(child, &status, 0) != child) return 70;
    std::cout << (WIFEXITED(status) ? WEXITSTATUS(status) : -1) << std::endl;
  }
  return 0;
}
