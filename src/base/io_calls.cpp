#include "base/io_calls.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <utility>

#include "tandem/base/error.h"

namespace tandem::io {
namespace {

constexpr int exit_status = 86;

// What the environment asked for; read once.
struct Plan {
  std::int64_t exit_at = 0, fail_at = 0;  // 0: never
  bool partial = false;
  int failure = 0;
  int trace = -1;
};

std::int64_t number_of(const char* name, const std::string& text, std::string& rest) {
  char* end = nullptr;
  const long long number = std::strtoll(text.c_str(), &end, 10);
  if (end == text.c_str() || number < 1) {
    throw Error(ErrorKind::config, std::string("[base] expected the number of a call; got ") + text,
                name);
  }
  rest = end;
  return number;
}

int errno_of(const std::string& text) {
  static const std::pair<const char*, int> known[] = {{":ENOSPC", ENOSPC},
                                                      {":EIO", EIO},
                                                      {":EDQUOT", EDQUOT},
                                                      {":EACCES", EACCES},
                                                      {":EROFS", EROFS}};
  for (const auto& [name, number] : known) {
    if (text == name) return number;
  }
  throw Error(ErrorKind::config, "[base] expected N:ENOSPC (or EIO, EDQUOT, EACCES, EROFS)",
              "TANDEM_IO_FAIL_AT");
}

Plan read_plan() {
  Plan plan;
  std::string rest;
  if (const char* text = std::getenv("TANDEM_IO_EXIT_AT")) {
    plan.exit_at = number_of("TANDEM_IO_EXIT_AT", text, rest);
    plan.partial = rest == ":partial";
    if (!rest.empty() && !plan.partial) {
      throw Error(ErrorKind::config, "[base] expected N or N:partial", "TANDEM_IO_EXIT_AT");
    }
  }
  if (const char* text = std::getenv("TANDEM_IO_FAIL_AT")) {
    plan.fail_at = number_of("TANDEM_IO_FAIL_AT", text, rest);
    plan.failure = errno_of(rest);
  }
  if (const char* path = std::getenv("TANDEM_IO_TRACE")) {
    plan.trace = ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (plan.trace < 0) throw Error(ErrorKind::io, "[base] cannot write the trace", path);
  }
  return plan;
}

const Plan& plan() {
  static const Plan plan = read_plan();
  return plan;
}

std::mutex mutex;  // over the count and the trace
std::int64_t calls = 0;
thread_local bool in_scope = false;

void append(std::string_view record) {
  while (!record.empty()) {
    const ssize_t wrote = ::write(plan().trace, record.data(), record.size());
    if (wrote < 0 && errno == EINTR) continue;
    // A trace with a gap would prove nothing.
    if (wrote < 0) throw Error(ErrorKind::io, "[base] cannot write the trace", "TANDEM_IO_TRACE");
    record.remove_prefix(static_cast<std::size_t>(wrote));
  }
}

std::string field(const std::string& path) {
  std::string text = "\t";
  for (const char c : std::filesystem::absolute(path).lexically_normal().string()) {
    if (c == '\t') {
      text += "%09";
    } else if (c == '\n') {
      text += "%0A";
    } else if (c == '%') {
      text += "%25";
    } else {
      text += c;
    }
  }
  return text;
}

// Makes one call: `run(part)` is asked for half of the work when part is true, which only a write
// can do. `record` is made when the call succeeded.
template <class Run, class Record>
auto call(const Run& run, const Record& record) -> decltype(run(false)) {
  if (!in_scope) return run(false);
  const std::lock_guard lock(mutex);
  const std::int64_t number = ++calls;
  if (number == plan().fail_at) {
    errno = plan().failure;
    return -1;
  }
  if (number == plan().exit_at && !plan().partial) ::_exit(exit_status);
  const bool last = number == plan().exit_at;
  const auto result = run(last);
  const int error = errno;
  if (result >= 0 && plan().trace >= 0) append(record(result));
  if (last) ::_exit(exit_status);
  errno = error;
  return result;
}

void mark(const std::string& line) {
  const std::lock_guard lock(mutex);
  if (plan().trace >= 0) append(line);
}

}  // namespace

void begin_scope(const std::string& name) {
  TANDEM_CHECK(!in_scope, "a SaveScope inside another");
  mark("begin\t" + name + "\n");
  in_scope = true;
}

void end_scope() { in_scope = false; }

void mark_done(const std::string& name) { mark("end\t" + name + "\n"); }

int create(const std::string& path) {
  return call(
      [&](bool) {
        return ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
      },
      [&](int) { return "create" + field(path) + "\n"; });
}

ssize_t write(int descriptor, const std::string& path, std::int64_t offset, const void* bytes,
              std::size_t count) {
  return call(
      [&](bool half) {
        return ::pwrite(descriptor, bytes, half ? (count + 1) / 2 : count, offset);
      },
      [&](ssize_t wrote) {
        std::string line = "write" + field(path) + "\t" + std::to_string(offset) + "\t" +
                           std::to_string(wrote) + "\n";
        line.append(static_cast<const char*>(bytes), static_cast<std::size_t>(wrote));
        return line + "\n";
      });
}

int fsync(int descriptor, const std::string& path) {
  return call([&](bool) { return ::fsync(descriptor); },
              [&](int) { return "fsync" + field(path) + "\n"; });
}

int fsync_directory(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return -1;
  const int result = call([&](bool) { return ::fsync(descriptor); },
                          [&](int) { return "fsyncdir" + field(path) + "\n"; });
  const int error = errno;
  ::close(descriptor);
  errno = error;
  return result;
}

int close(int descriptor, const std::string& path) {
  return call([&](bool) { return ::close(descriptor); },
              [&](int) { return "close" + field(path) + "\n"; });
}

int mkdir(const std::string& path) {
  return call([&](bool) { return ::mkdir(path.c_str(), 0777); },
              [&](int) { return "mkdir" + field(path) + "\n"; });
}

int rename(const std::string& from, const std::string& to) {
  return call([&](bool) { return ::rename(from.c_str(), to.c_str()); },
              [&](int) { return "rename" + field(from) + field(to) + "\n"; });
}

int unlink(const std::string& path) {
  return call([&](bool) { return ::unlink(path.c_str()); },
              [&](int) { return "unlink" + field(path) + "\n"; });
}

int rmdir(const std::string& path) {
  return call([&](bool) { return ::rmdir(path.c_str()); },
              [&](int) { return "rmdir" + field(path) + "\n"; });
}

}  // namespace tandem::io
