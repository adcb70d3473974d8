#include "tandem/dist/launcher.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

#include "dist/socket.h"
#include "tandem/base/error.h"

namespace tandem::dist {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int lost_code = 75, interrupted_code = 130;
// A file in memory that all ranks share: what they have told, each behind its kind.
constexpr const char* told_variable = "TANDEM_TOLD_FD";

struct Child {
  int rank = 0;
  pid_t pid = 0;
  bool running = true;
};

// Bound, not listening: rank 0's store does that.
Listener bind_a_free_port() {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (!fd || bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0)
    throw Error(ErrorKind::io, std::string("[dist] no free port: ") + strerror(errno));
  return {std::move(fd), ntohs(address.sin_port)};
}

// This process's environment with the rank's variables in it.
std::vector<std::string> environment_of(int rank, int size, const Listener& master, int told) {
  const std::string r = std::to_string(rank), n = std::to_string(size);
  std::vector<std::pair<std::string, std::string>> set{
      {"RANK", r},
      {"LOCAL_RANK", r},
      {"WORLD_SIZE", n},
      {"LOCAL_WORLD_SIZE", n},
      {"MASTER_ADDR", "127.0.0.1"},
      {"MASTER_PORT", std::to_string(master.port)},
      {"TANDEM_MASTER_FD", rank == 0 ? std::to_string(master.fd.get()) : ""},
      {told_variable, told >= 0 ? std::to_string(told) : ""}};
  // Ranks that each use all cores only disturb each other.
  if (getenv("OMP_NUM_THREADS") == nullptr) {
    const int cores = static_cast<int>(std::thread::hardware_concurrency());
    set.emplace_back("OMP_NUM_THREADS", std::to_string(std::max(1, cores / size)));
  }
  std::vector<std::string> result;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    const std::string name = text.substr(0, text.find('='));
    const auto same = [&](const auto& pair) { return pair.first == name; };
    if (std::none_of(set.begin(), set.end(), same)) result.push_back(text);
  }
  for (const auto& [name, value] : set) result.push_back(name + "=" + value);
  return result;
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

// Between fork and exec: system calls only.
[[noreturn]] void become(int rank, pid_t parent, int master_fd, int told, const sigset_t& mask,
                         char** command, char** environment) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(lost_code);
  if (told >= 0) fcntl(told, F_SETFD, 0);
  if (rank == 0) {
    fcntl(master_fd, F_SETFD, 0);
  } else {
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0) dup2(nowhere, STDOUT_FILENO);
  }
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  environ = environment;
  execvp(command[0], command);
  for (const char* text :
       {"tandem: [dist] cannot start ", const_cast<const char*>(command[0]), "\n"})
    (void)!write(STDERR_FILENO, text, strlen(text));
  _exit(exit_code(ErrorKind::io));
}

// SIGINT, SIGTERM, SIGHUP and SIGCHLD wait until they are asked for.
class HeldSignals {
 public:
  HeldSignals() {
    sigemptyset(&held_);
    for (const int s : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&held_, s);
    pthread_sigmask(SIG_BLOCK, &held_, &before_);
    struct sigaction action {};
    action.sa_handler = SIG_DFL;  // a parent that ignores SIGCHLD would hide our children from us
    sigaction(SIGCHLD, &action, &child_before_);
  }
  ~HeldSignals() {
    sigaction(SIGCHLD, &child_before_, nullptr);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;
  const sigset_t& before() const { return before_; }

  // The next one; 0 at the deadline.
  int wait(const std::optional<Clock::time_point>& deadline) const {
    for (;;) {
      if (!deadline) {
        const int got = sigwaitinfo(&held_, nullptr);
        if (got > 0) return got;
        continue;
      }
      const auto left = std::max(Clock::duration::zero(), *deadline - Clock::now());
      const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
      const timespec time{ns / 1'000'000'000, ns % 1'000'000'000};
      const int got = sigtimedwait(&held_, nullptr, &time);
      if (got > 0) return got;
      if (errno == EAGAIN) return 0;
    }
  }

 private:
  sigset_t held_{}, before_{};
  struct sigaction child_before_ {};
};

class Job {
 public:
  explicit Job(const LaunchOptions& options) : options_(options) {}
  ~Job() {
    send(SIGKILL);
    reap(0);
  }
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  void start_all(int processes, const std::vector<std::string>& command) {
    const Listener master = bind_a_free_port();
    for (int rank = 0; rank < processes; ++rank) start(rank, processes, command, master);
  }

  int wait() {
    while (left() > 0) {
      const int signal = signals_.wait(deadline_);
      if (signal == SIGCHLD)
        reap(WNOHANG);
      else if (signal == 0)
        kill_all();
      else
        pass_on(signal);
    }
    return code();
  }

 private:
  void start(int rank, int processes, const std::vector<std::string>& command,
             const Listener& master) {
    const std::vector<std::string> environment =
        environment_of(rank, processes, master, told_.get());
    const std::vector<char*> arguments = pointers_to(command), variables = pointers_to(environment);
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid < 0)
      throw Error(ErrorKind::io, std::string("[dist] cannot start a process: ") + strerror(errno));
    if (pid == 0)
      become(rank, parent, master.fd.get(), told_.get(), signals_.before(),
             const_cast<char**>(arguments.data()), const_cast<char**>(variables.data()));
    setpgid(pid, pid);  // here as well: a signal may come before the child has done it
    children_.push_back({rank, pid});
  }

  long left() const {
    return std::count_if(children_.begin(), children_.end(), [](auto& c) { return c.running; });
  }

  void send(int signal) const {
    for (const Child& child : children_)
      if (child.running) kill(-child.pid, signal);
  }

  void kill_all() {
    killed_ = true;
    deadline_.reset();
    send(SIGKILL);
  }

  void pass_on(int signal) {
    if (signal == SIGINT && ++interrupts_ > 1)
      kill_all();
    else
      send(signal);
  }

  // Each child by its own id: the process may have other children.
  void reap(int flags) {
    for (Child& child : children_) {
      int status = 0;
      if (!child.running) continue;
      const pid_t got = waitpid(child.pid, &status, flags);
      if (got == 0) continue;
      if (got < 0) status = W_EXITCODE(lost_code, 0);
      child.running = false;
      kill(-child.pid, SIGKILL);  // what it started itself
      judge(child, status);
    }
  }

  void judge(const Child& child, int status) {
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : lost_code;
    if (killed_ || code == 0) return;
    if (WIFSIGNALED(status)) {
      signalled_ = true;
      // It cannot say so itself, and the others know it only once they have all met.
      tell("rank " + std::to_string(child.rank) + " (process " + std::to_string(child.pid) +
           ") was killed by signal " + std::to_string(WTERMSIG(status)));
    }
    if (code == lost_code)
      left_lost_ = true;
    else if (own_code_ == 0)
      own_code_ = code;
    // After a Ctrl-C or SIGTERM the ranks end one by one, and rank 0 may still be writing.
    if (code == interrupted_code || code == 128 + SIGTERM) return;
    const Clock::time_point limit =
        Clock::now() + (code == lost_code ? options_.grace : options_.patience);
    deadline_ = deadline_ ? std::min(*deadline_, limit) : limit;
  }

  static void tell(const std::string& text) {
    const std::string line = "tandem: [dist] " + text + "\n";
    (void)!write(STDERR_FILENO, line.data(), line.size());
  }

  int code() const {
    if (interrupts_ > 1) return interrupted_code;
    if (signalled_) return lost_code;
    if (own_code_ != 0) return own_code_;
    return left_lost_ ? lost_code : 0;
  }

  LaunchOptions options_;
  HeldSignals signals_;
  Fd told_{memfd_create("tandem told", MFD_CLOEXEC)};
  std::vector<Child> children_;
  std::optional<Clock::time_point> deadline_;
  int interrupts_ = 0, own_code_ = 0;
  bool signalled_ = false, left_lost_ = false, killed_ = false;
};

}  // namespace

int launch(int processes, const std::vector<std::string>& command, const LaunchOptions& options) {
  if (processes < 1 || command.empty())
    throw Error(ErrorKind::config, "[dist] expected at least one process and a command; got " +
                                       std::to_string(processes) + " processes");
  Job job(options);
  job.start_all(processes, command);
  return job.wait();
}

bool first_to_tell(const std::string& text, bool consequence) {
  const char* variable = getenv(told_variable);
  if (variable == nullptr || *variable == '\0') return true;
  const int fd = atoi(variable);
  struct flock lock {};  // of the process: the ranks share one open file
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (fcntl(fd, F_SETLKW, &lock) != 0) return true;
  std::string told;
  char data[4096];
  for (ssize_t n; (n = pread(fd, data, sizeof data, static_cast<off_t>(told.size()))) > 0;)
    told.append(data, static_cast<std::size_t>(n));
  const std::string entry = std::string(1, consequence ? 'c' : 'o') + text + '\0';
  const bool own_error =
      !told.empty() && (told[0] == 'o' || told.find(std::string("\0o", 2)) != told.npos);
  const bool first = told.find(entry) == told.npos && !(consequence && own_error);
  if (first) (void)!pwrite(fd, entry.data(), entry.size(), static_cast<off_t>(told.size()));
  lock.l_type = F_UNLCK;
  fcntl(fd, F_SETLK, &lock);
  return first;
}

}  // namespace tandem::dist
