#include "dist/socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>

#include "tandem/base/error.h"

namespace tandem::dist {
namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Addresses resolve(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (code != 0)
    throw Error(ErrorKind::io,
                "[dist] cannot resolve the master address '" + host + "': " + gai_strerror(code));
  return {found, freeaddrinfo};
}

Fd open_socket(int family) { return Fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

int port_of(const Fd& fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length);
  if (address.ss_family == AF_INET6)
    return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

int milliseconds_until(Deadline deadline) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return left.count() < 0 ? 0 : static_cast<int>(left.count());
}

// Waits for something to read; false at the deadline.
bool readable(const Fd& fd, Deadline deadline) {
  for (;;) {
    pollfd one{fd.get(), POLLIN, 0};
    const int ready = poll(&one, 1, milliseconds_until(deadline));
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) return false;
  }
}

void send_at_once(const Fd& fd) {
  const int yes = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

bool is_loopback(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  return address.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = other.fd_;
    other.fd_ = -1;
  }
  return *this;
}

void Fd::close() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Listener listen_on(const std::string& address) {
  const Addresses found = resolve(address, 0);
  const bool here = address == "localhost" || address == "::1" || address.rfind("127.", 0) == 0;
  for (const addrinfo* a = found.get(); a != nullptr; a = a->ai_next) {
    // Debian's /etc/hosts gives a machine's own name as 127.0.1.1, where no other can reach it.
    if (!here && is_loopback(*a->ai_addr)) continue;
    Fd fd = open_socket(a->ai_family);
    if (fd && bind(fd.get(), a->ai_addr, a->ai_addrlen) == 0 && listen(fd.get(), 1024) == 0) {
      const int port = port_of(fd);
      return {std::move(fd), port};
    }
  }
  // The master's name may also be that of a gateway in front of this machine.
  Fd fd = open_socket(AF_INET);
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_ANY);
  if (!fd || bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0 ||
      listen(fd.get(), 1024) != 0)
    throw Error(ErrorKind::io, "[dist] cannot listen on '" + address + "': " + strerror(errno));
  const int port = port_of(fd);
  return {std::move(fd), port};
}

Fd connect_to(const std::string& address, int port, Deadline deadline) {
  const Addresses found = resolve(address, port);
  std::string reason;
  do {
    for (const addrinfo* a = found.get(); a != nullptr; a = a->ai_next) {
      Fd fd = open_socket(a->ai_family);
      if (fd && connect(fd.get(), a->ai_addr, a->ai_addrlen) == 0) {
        send_at_once(fd);
        return fd;
      }
      reason = strerror(errno);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  } while (std::chrono::steady_clock::now() < deadline);
  throw Error(ErrorKind::interrupted, "[dist] cannot reach rank 0 at " + address + ":" +
                                          std::to_string(port) + ": " + reason);
}

Fd accept_from(const Fd& listener, Deadline deadline) {
  while (readable(listener, deadline)) {
    Fd fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) continue;
    send_at_once(fd);
    return fd;
  }
  throw Error(ErrorKind::interrupted, "[dist] not all ranks arrived in time");
}

std::string read_line(const Fd& fd, Deadline deadline) {
  std::string line;
  char c = 0;
  while (line.size() <= 512 && readable(fd, deadline) && recv(fd.get(), &c, 1, 0) == 1) {
    if (c == '\n') return line;
    line += c;
  }
  throw Error(ErrorKind::interrupted, "[dist] a rank left while the ranks were joining");
}

void send_text(const Fd& fd, const std::string& text) noexcept {
  if (fd) (void)!send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace tandem::dist
