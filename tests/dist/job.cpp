#include "job.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace tandem::dist {
namespace {

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_to(int fd, const std::string& path) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(file, fd);
  close(file);
}

}  // namespace

Job::Job(const std::vector<std::string>& arguments) {
  std::string pattern = (std::filesystem::temp_directory_path() / "tandem_job_XXXXXX").string();
  REQUIRE(mkdtemp(pattern.data()) != nullptr);
  folder_ = pattern;
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  std::vector<const char*> argv{TANDEM_RANK_TOOL};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  argv.push_back(nullptr);
  const std::string report = std::to_string(ends[1]);
  pid_ = fork();
  REQUIRE(pid_ >= 0);
  if (pid_ == 0) {
    setpgid(0, 0);
    fcntl(ends[1], F_SETFD, 0);
    setenv("TANDEM_TEST_REPORT", report.c_str(), 1);
    write_to(STDOUT_FILENO, folder_ + "/out");
    write_to(STDERR_FILENO, folder_ + "/err");
    execv(argv[0], const_cast<char**>(argv.data()));
    _exit(127);
  }
  close(ends[1]);
  reports_ = ends[0];
}

Job::~Job() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(reports_);
  std::filesystem::remove_all(folder_);
}

Report Job::next(std::chrono::seconds limit) {
  for (;;) {
    const std::size_t end = buffer_.find('\n');
    if (end != std::string::npos) {
      Report report;
      std::istringstream line(buffer_.substr(0, end));
      buffer_.erase(0, end + 1);
      line >> report.rank >> report.pid >> std::ws;
      std::getline(line, report.text);
      return report;
    }
    pollfd one{reports_, POLLIN, 0};
    const int ready = poll(&one, 1, static_cast<int>(limit.count()) * 1000);
    INFO("stderr: " << err());
    REQUIRE(ready == 1);
    char data[4096];
    const ssize_t n = read(reports_, data, sizeof data);
    if (n <= 0) return {};
    buffer_.append(data, static_cast<std::size_t>(n));
  }
}

std::map<int, pid_t> Job::wait_for(const std::string& text, int ranks) {
  std::map<int, pid_t> result;
  while (static_cast<int>(result.size()) < ranks) {
    const Report report = next();
    INFO("stderr: " << err());
    REQUIRE(report.pid != 0);
    if (report.text == text) result[report.rank] = report.pid;
  }
  return result;
}

std::vector<Report> Job::rest(std::chrono::seconds limit) {
  std::vector<Report> result;
  for (;;) {
    const Report report = next(limit);
    if (report.pid == 0) return result;
    result.push_back(report);
  }
}

int Job::exit_code() {
  int status = 0;
  REQUIRE(waitpid(pid_, &status, 0) == pid_);
  pid_ = 0;
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

std::string Job::out() const { return content_of(folder_ + "/out"); }
std::string Job::err() const { return content_of(folder_ + "/err"); }

}  // namespace tandem::dist
