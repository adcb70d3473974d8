// A save that ends at any of its calls, in a crash of the program, in a power cut or on a full
// disk: an older or the newer checkpoint is found whole.

#include <ATen/ops/zeros.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <map>
#include <set>

#include "../support/replay.h"
#include "../support/temporary.h"
#include "states.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"

namespace crash_test {

using namespace tandem;
using namespace tandem::testing;
using checkpoint::Checkpointer;
namespace fs = std::filesystem;

namespace {

constexpr int exited = 86;  // of TANDEM_IO_EXIT_AT

// The program that saves, in processes of its own.
class Tool {
 public:
  Tool() {
    int to[2], from[2];
    if (::pipe2(to, O_CLOEXEC) != 0 || ::pipe2(from, O_CLOEXEC) != 0) throw 0;
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(to[0], 0);
      ::dup2(from[1], 1);
      ::execl(TANDEM_CHECKPOINT_TOOL, TANDEM_CHECKPOINT_TOOL, nullptr);
      ::_exit(127);
    }
    ::close(to[0]);
    ::close(from[1]);
    to_ = ::fdopen(to[1], "w");
    from_ = ::fdopen(from[0], "r");
  }
  ~Tool() {
    std::fclose(to_);
    std::fclose(from_);
    ::waitpid(child_, nullptr, 0);
  }
  Tool(const Tool&) = delete;
  Tool& operator=(const Tool&) = delete;

  int run(const std::string& line) {
    std::fprintf(to_, "%s\n", line.c_str());
    std::fflush(to_);
    int status = -2;
    REQUIRE(std::fscanf(from_, "%d", &status) == 1);
    return status;
  }

 private:
  pid_t child_ = -1;
  FILE *to_ = nullptr, *from_ = nullptr;
};

// Saves these steps ("10 20") with these variables set ("NAME=VALUE ..."); the exit status.
int run_tool(const fs::path& directory, int keep, const std::string& steps,
             const std::string& variables) {
  static Tool tool;
  return tool.run(variables + " " + directory.string() + " " + std::to_string(keep) + " " + steps);
}

// The step of the newest good checkpoint; 0 when there is none; -1 when it is not what was saved.
std::int64_t found_step(const fs::path& directory) {
  if (!fs::is_directory(directory)) return 0;
  const auto state = Checkpointer(directory, 1).newest_good();
  if (!state) return 0;
  return equal(*state, state_of(state->step)) ? state->step : -1;
}

// A directory with the checkpoints of these steps, and a fresh copy of it for each attempt.
class Attempts {
 public:
  explicit Attempts(const std::vector<std::int64_t>& steps) {
    Checkpointer saver(base_ / "base", 9);
    for (const std::int64_t step : steps) saver.commit(state_of(step));
  }
  fs::path fresh() {
    fs::remove_all(base_ / "attempt");
    fs::copy(base_ / "base", base_ / "attempt", fs::copy_options::recursive);
    return base_ / "attempt";
  }
  // The calls of a run that nothing disturbs.
  std::vector<IoCall> calls(int keep, std::int64_t step) {
    fs::remove(base_ / "trace");
    REQUIRE(run_tool(fresh(), keep, std::to_string(step),
                     "TANDEM_IO_TRACE=" + (base_ / "trace").string()) == 0);
    std::vector<IoCall> calls = read_trace(base_ / "trace");
    calls.erase(std::remove_if(calls.begin(), calls.end(),
                               [](const IoCall& call) { return call.is_mark(); }),
                calls.end());
    return calls;
  }

 private:
  TemporaryDirectory base_;
};

void crash_at_every_call(const std::vector<std::int64_t>& before, std::int64_t step, int keep) {
  Attempts attempts(before);
  const std::vector<IoCall> calls = attempts.calls(keep, step);
  REQUIRE(calls.size() > 15);
  std::size_t newer = 0, older = 0;
  for (std::size_t n = 1; n <= calls.size(); ++n) {
    for (const char* how : {"", ":partial"}) {
      // After a call that is whole is before the next one; only a write has a half.
      if (*how != '\0' && calls[n - 1].op != "write" && n < calls.size()) continue;
      INFO("call " << n << how << ": " << calls[n - 1].op << " " << calls[n - 1].path);
      const fs::path directory = attempts.fresh();
      REQUIRE(run_tool(directory, keep, std::to_string(step),
                       "TANDEM_IO_EXIT_AT=" + std::to_string(n) + how) == exited);
      const std::int64_t found = found_step(directory);
      CHECK((found == step || found == before.back()));
      ++(found == step ? newer : older);
      // Nothing that bears a checkpoint's name is broken, and the next save clears what is left.
      Checkpointer(directory, 1).commit(state_of(99));
      CHECK(found_step(directory) == 99);
      CHECK(list_directory(directory) == std::vector<std::string>{"step-000099"});
    }
  }
  CHECK(newer > 0);
  if (before.back() != step) CHECK(older > 10);
}

}  // namespace

TEST_CASE("a save that ends before or inside any of its calls loses nothing") {
  crash_at_every_call({10, 20}, 30, 1);
}

TEST_CASE("a second save of the same step that ends at any of its calls loses nothing") {
  crash_at_every_call({30}, 30, 1);
}

TEST_CASE("a call that fails is an I/O error and leaves the old checkpoint") {
  Attempts attempts({10});
  const std::vector<IoCall> calls = attempts.calls(2, 20);
  for (std::size_t n = 1; n <= calls.size(); ++n) {
    INFO("call " << n << ": " << calls[n - 1].op << " " << calls[n - 1].path);
    const fs::path directory = attempts.fresh();
    const char* failure = n % 3 == 0 ? ":EIO" : n % 3 == 1 ? ":ENOSPC" : ":EDQUOT";
    CHECK(run_tool(directory, 2, "20", "TANDEM_IO_FAIL_AT=" + std::to_string(n) + failure) == 74);
    const std::vector<std::string> names = list_directory(directory);
    if (n < calls.size()) {
      CHECK(names == std::vector<std::string>{"step-000010"});
      CHECK(found_step(directory) == 10);
    } else {  // the fsync of the parent: the new one is whole, though no promise was kept
      CHECK(names == std::vector<std::string>{"step-000010", "step-000020"});
    }
  }
}

TEST_CASE("what cannot be removed is no reason to stop") {
  Attempts attempts({10});
  const std::vector<IoCall> calls = attempts.calls(1, 20);
  REQUIRE(calls.back().op == "rmdir");
  const fs::path directory = attempts.fresh();
  CHECK(run_tool(directory, 1, "20",
                 "TANDEM_IO_FAIL_AT=" + std::to_string(calls.size()) + ":EACCES") == 0);
  CHECK(found_step(directory) == 20);
  CHECK(list_directory(directory).size() == 2);
  Checkpointer(directory, 1).commit(state_of(30));
  CHECK(list_directory(directory) == std::vector<std::string>{"step-000030"});
}

TEST_CASE("nonsense in the variables of crash tests is refused") {
  TemporaryDirectory directory;
  for (const char* name : {"TANDEM_IO_EXIT_AT", "TANDEM_IO_FAIL_AT"}) {
    for (const char* value : {"", "0", "x", "1:", "1:EWHAT"}) {
      CHECK(run_tool(directory / "x", 1, "1", name + std::string("=") + value) == 64);
    }
  }
  CHECK(run_tool(directory / "x", 1, "1", "TANDEM_IO_TRACE=" + (directory / "no/such").string()) ==
        74);
  CHECK(list_directory(directory.path()).empty());
}

TEST_CASE("a really full disk is an error with the bytes wanted, and the old checkpoint stays") {
  TemporaryDirectory directory;
  if (::mount("tandem-test", directory.path().c_str(), "tmpfs", 0, "size=256k") != 0) {
    WARN("not tested: a small file system can be mounted by root only");
    return;
  }
  struct Mounted {
    const fs::path& at;
    ~Mounted() { ::umount(at.c_str()); }
  } mounted{directory.path()};
  Checkpointer saver(directory / "checkpoints", 1);
  saver.commit(state_of(10));
  checkpoint::State large = state_of(20);
  large.model.emplace_back("large", at::zeros({250'000}));
  try {
    saver.commit(large);
    FAIL("expected an error");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::io);
    CHECK(exit_code(error.kind()) == 74);
    CHECK(error.where().find("model.safetensors") != std::string::npos);
    CHECK(error.message().find("wanted " +
                               std::to_string(safetensors_size(large.model, {{"format", "pt"}}))) !=
          std::string::npos);
  }
  CHECK(list_directory(directory / "checkpoints") == std::vector<std::string>{"step-000010"});
  CHECK(found_step(directory / "checkpoints") == 10);
  saver.commit(state_of(20));
  CHECK(found_step(directory / "checkpoints") == 20);
}

namespace {

// Power cuts in a run that saves steps 10, 20 and 20 again from an empty directory.
class PowerCuts {
 public:
  PowerCuts() {
    fs::create_directory(base_ / "root");
    REQUIRE(run_tool(base_ / "root/run/checkpoints", 1, "10 20 20",
                     "TANDEM_IO_TRACE=" + (base_ / "trace").string()) == 0);
    calls_ = read_trace(base_ / "trace");
  }
  const std::vector<IoCall>& calls() const { return calls_; }

  // The first state of the disk that breaks the promise, in words; empty when there is none.
  std::string loss(const std::vector<IoCall>& calls, std::size_t* states = nullptr) {
    std::string lost;
    for_each_power_cut(base_ / "root", base_ / "nothing", calls, [&](const PowerCut& cut) {
      if (states != nullptr) ++*states;
      const std::int64_t found = found_in(cut);
      std::set<std::int64_t> allowed{step_of(cut.ended.empty() ? "" : cut.ended.back())};
      if (!cut.under_way.empty()) allowed.insert(step_of(cut.under_way));
      if (allowed.count(found) == 0) {
        lost = "after call " + std::to_string(cut.after) + " newest_good finds step " +
               std::to_string(found);
      }
      return lost.empty();
    });
    return lost;
  }

 private:
  static std::int64_t step_of(const std::string& scope) {
    return scope.rfind("commit ", 0) == 0 ? std::stoll(scope.substr(7)) : 0;
  }
  std::int64_t found_in(const PowerCut& cut) {
    const auto known = found_.find(cut.content);
    if (known != found_.end()) return known->second;
    fs::remove_all(base_ / "disk");
    cut.materialise(base_ / "disk");
    return found_[cut.content] = found_step(base_ / "disk/run/checkpoints");
  }

  TemporaryDirectory base_;
  std::vector<IoCall> calls_{};
  std::map<std::string, std::int64_t> found_{};
};

}  // namespace

TEST_CASE(
    "after a power cut at any point the promised checkpoint is found, by grace of each fsync") {
  PowerCuts cuts;
  std::size_t states = 0;
  CHECK(cuts.loss(cuts.calls(), &states) == "");
  CHECK(states > 500);

  std::size_t fsyncs = 0;
  for (std::size_t i = 0; i < cuts.calls().size(); ++i) {
    if (!cuts.calls()[i].is_sync()) continue;
    ++fsyncs;
    std::vector<IoCall> without = cuts.calls();
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
    INFO("without call " << i + 1 << ": " << cuts.calls()[i].op << " " << cuts.calls()[i].path);
    CHECK(cuts.loss(without) != "");
  }
  // Two for the new directories; for each save five files, their directory and its parent.
  CHECK(fsyncs == 2 + 3 * 7);
}

}  // namespace crash_test
