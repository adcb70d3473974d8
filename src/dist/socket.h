#pragma once
// The few socket calls that the watch needs. No torch.

#include <chrono>
#include <string>

namespace tandem::dist {

// Closes a file descriptor when it goes.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { close(); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void close() noexcept;

 private:
  int fd_ = -1;
};

using Deadline = std::chrono::steady_clock::time_point;

// A listening socket on `address` (any interface when the address is not one of this machine's)
// and a port that the system chose. Throws Error(io).
struct Listener {
  Fd fd;
  int port = 0;
};
Listener listen_on(const std::string& address);

// Both throw Error(interrupted) at the deadline.
Fd connect_to(const std::string& address, int port, Deadline deadline);
Fd accept_from(const Fd& listener, Deadline deadline);

// One line without its end, at most 512 bytes. Throws Error(interrupted) at the deadline, on a
// closed connection and on a longer line.
std::string read_line(const Fd& fd, Deadline deadline);

// Never blocks and never raises SIGPIPE: a peer that does not read has other troubles.
void send_text(const Fd& fd, const std::string& text) noexcept;

}  // namespace tandem::dist
