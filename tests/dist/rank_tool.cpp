// A rank of the tests' jobs: `rank_tool launch N GRACE_MS MODE ARGS...` starts N ranks of
// `rank_tool MODE ARGS...`. Every rank says what it found in lines "RANK PID TEXT" on the file
// descriptor TANDEM_TEST_REPORT, which closes when the last process has gone.

#include "rank_tool.h"

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <map>

#include "tandem/base/error.h"
#include "tandem/dist/launcher.h"

namespace tandem::dist::tool {

void say(const std::string& text) {
  const char* fd = std::getenv("TANDEM_TEST_REPORT");
  const char* rank = std::getenv("RANK");
  const std::string line = std::string(rank != nullptr ? rank : "-") + " " +
                           std::to_string(getpid()) + " " + text + "\n";
  if (fd != nullptr) (void)!write(std::atoi(fd), line.data(), line.size());
}

void expect(bool holds, const std::string& what) {
  if (!holds) throw Error(ErrorKind::internal, "[rank_tool] wrong: " + what);
}

std::string bits(const at::Tensor& tensor) {
  const at::Tensor t = tensor.detach().contiguous();
  const auto* byte = static_cast<const unsigned char*>(t.const_data_ptr());
  std::uint64_t hash = 14695981039346656037ull;
  for (std::size_t i = 0; i < t.nbytes(); ++i) hash = (hash ^ byte[i]) * 1099511628211ull;
  return std::to_string(hash);
}

namespace {

[[noreturn]] void hang() {
  for (;;) pause();
}

// ARGS: KIND SILENCE_MS TIMEOUT_MS. Says "ready" and hangs until somebody is lost: in collectives,
// or (`elsewhere`) in something that knows nothing of the others. In `late` rank 1 does not come.
int lose(const std::vector<std::string>& args) {
  JoinOptions options = join_options_from_environment(Backend::gloo);
  options.silence = std::chrono::milliseconds(std::stoi(args.at(1)));
  options.timeout = std::chrono::milliseconds(std::stoi(args.at(2)));
  const Mesh mesh = join(options);
  mesh.barrier();
  say("ready");
  if (args[0] == "elsewhere" || (args[0] == "late" && mesh.rank() == 1)) hang();
  for (;;) {
    at::Tensor t = at::ones({1 << 16});
    all_reduce_sum(mesh, t);
  }
}

// ARGS: RANK. That rank has an error of its own.
int leave(const std::vector<std::string>& args) {
  const Mesh mesh = join(join_options_from_environment(Backend::gloo));
  mesh.barrier();
  if (mesh.rank() == std::stoi(args.at(0))) throw Error(ErrorKind::data, "[rank_tool] bad data");
  mesh.barrier();
  return 0;
}

// ARGS: RANK. That rank never joins.
int absent(const std::vector<std::string>& args) {
  JoinOptions options = join_options_from_environment(Backend::gloo);
  options.join = std::chrono::milliseconds(3000);
  if (options.rank == std::stoi(args.at(0))) hang();
  join(options);
  return 0;
}

// ARGS: CODE_0 CODE_1 ...: each rank's exit code; no joining.
int codes(const std::vector<std::string>& args) {
  const int code = std::stoi(args.at(static_cast<std::size_t>(std::atoi(std::getenv("RANK")))));
  say("exits " + std::to_string(code));
  std::cout << "out of rank " << std::getenv("RANK") << std::endl;
  std::cerr << "err of rank " << std::getenv("RANK") << std::endl;
  if (code < 0) raise(-code);
  return code;
}

// ARGS: stubborn | polite. Waits for SIGINT or SIGTERM and leaves (polite) with 128 + signal.
int wait_for_signal(const std::vector<std::string>& args) {
  sigset_t held;
  sigemptyset(&held);
  for (const int s : {SIGINT, SIGTERM}) sigaddset(&held, s);
  sigprocmask(SIG_BLOCK, &held, nullptr);
  say("ready");
  for (;;) {
    int signal = 0;
    sigwait(&held, &signal);
    say("got " + std::to_string(signal));
    if (args.at(0) == "polite") return 128 + signal;
  }
}

int run(const std::string& mode, const std::vector<std::string>& args) {
  const std::map<std::string, int (*)(const std::vector<std::string>&)> modes{
      {"collectives", collectives},
      {"sync", sync},
      {"lose", lose},
      {"leave", leave},
      {"absent", absent},
      {"codes", codes},
      {"signal", wait_for_signal}};
  return modes.at(mode)(args);
}

}  // namespace
}  // namespace tandem::dist::tool

int main(int argc, char** argv) {
  using namespace tandem;
  std::vector<std::string> args(argv + 1, argv + argc);
  try {
    if (args.at(0) == "launch") {
      dist::LaunchOptions options;
      options.grace = std::chrono::milliseconds(std::stoi(args.at(2)));
      std::vector<std::string> command{"/proc/self/exe"};
      command.insert(command.end(), args.begin() + 3, args.end());
      return dist::launch(std::stoi(args.at(1)), command, options);
    }
    return dist::tool::run(args[0], {args.begin() + 1, args.end()});
  } catch (const Error& error) {
    std::cerr << error.what() << std::endl;
    return exit_code(error.kind());
  }
}
