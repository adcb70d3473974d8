#pragma once
// A named pipe that nobody writes to, which stands where a file should. Opening it as files are
// opened waits for ever: while it is there an alarm is set, which ends such a test.

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

namespace tandem::testing {

class Fifo {
 public:
  explicit Fifo(const std::filesystem::path& path) {
    if (::mkfifo(path.c_str(), 0644) != 0) throw std::runtime_error("no pipe: " + path.string());
    ::alarm(seconds);
  }
  ~Fifo() { ::alarm(0); }
  Fifo(const Fifo&) = delete;
  Fifo& operator=(const Fifo&) = delete;

 private:
  static constexpr unsigned seconds = 120;
};

}  // namespace tandem::testing
