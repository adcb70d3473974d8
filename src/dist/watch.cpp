#include "dist/watch.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

#include "tandem/base/error.h"

namespace tandem::dist {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds goodbye_grace{500};

std::string own_name(int rank) {
  char host[256] = "unknown";
  gethostname(host, sizeof host - 1);
  return "rank " + std::to_string(rank) + " (process " + std::to_string(getpid()) + " on " + host +
         ")";
}

// Keeps a stray connection from being taken for a rank.
std::string make_token() {
  std::uint64_t bits[2] = {};
  (void)!getrandom(bits, sizeof bits, 0);
  return std::to_string(bits[0]) + "-" + std::to_string(bits[1]);
}

std::string seconds(std::chrono::milliseconds time) {
  std::ostringstream text;
  text << static_cast<double>(time.count()) / 1000 << " s";
  return text.str();
}

}  // namespace

Watch::Watch(const WatchOptions& options, const Board& board)
    : options_(options), name_(own_name(options.rank)) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) throw Error(ErrorKind::io, "[dist] no pipe");
  wake_read_ = Fd(ends[0]);
  wake_write_ = Fd(ends[1]);
  const Deadline deadline = Clock::now() + options.join;
  options.rank == 0 ? meet_as_hub(board, deadline) : meet_hub(board, deadline);
  for (Link& link : links_) link.last_heard = Clock::now();
  thread_ = std::thread([this] { run(); });
}

Watch::~Watch() { say_goodbye(); }

void Watch::meet_as_hub(const Board& board, Deadline deadline) {
  const Listener listener = listen_on(options_.address);
  const std::string token = make_token();
  board.publish(std::to_string(listener.port) + " " + token);
  std::vector<bool> here(static_cast<std::size_t>(options_.size), false);
  here[0] = true;
  while (links_.size() + 1 < here.size()) {
    try {
      Link link;
      link.fd = accept_from(listener.fd, deadline);
      // Another's slow connection must not use up the time of all.
      std::istringstream hello(
          read_line(link.fd, std::min(deadline, Clock::now() + std::chrono::seconds(5))));
      std::string its_token;
      hello >> its_token >> link.rank >> std::ws;
      std::getline(hello, link.name);
      if (its_token != token || link.rank <= 0 || link.rank >= options_.size) continue;
      if (here[static_cast<std::size_t>(link.rank)])
        throw Error(ErrorKind::config,
                    "[dist] two processes say that they are rank " + std::to_string(link.rank));
      here[static_cast<std::size_t>(link.rank)] = true;
      links_.push_back(std::move(link));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::interrupted || Clock::now() < deadline) {
        if (error.kind() == ErrorKind::interrupted) continue;
        throw;
      }
      std::string missing;
      for (std::size_t r = 0; r < here.size(); ++r)
        if (!here[r]) missing += (missing.empty() ? "" : ", ") + std::to_string(r);
      throw Error(ErrorKind::interrupted,
                  "[dist] rank " + missing + " did not arrive within " + seconds(options_.join));
    }
  }
  for (const Link& link : links_) send_text(link.fd, name_ + "\n");
}

void Watch::meet_hub(const Board& board, Deadline deadline) {
  std::istringstream published(board.look_up());
  int port = 0;
  std::string token;
  published >> port >> token;
  Link link;
  link.fd = connect_to(options_.address, port, deadline);
  send_text(link.fd, token + " " + std::to_string(options_.rank) + " " + name_ + "\n");
  // Rank 0 gives up first, so that it can say who is missing.
  link.name = read_line(link.fd, deadline + std::chrono::seconds(2));
  links_.push_back(std::move(link));
}

std::string Watch::lost() const {
  std::lock_guard lock(mutex_);
  return lost_;
}

std::string Watch::wait_for_cause(std::chrono::milliseconds limit) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, limit, [&] { return !lost_.empty() || !left_.empty(); });
  // A goodbye may be older than the loss that is to be explained.
  if (lost_.empty() && !left_.empty())
    changed_.wait_for(lock, std::min(limit, goodbye_grace), [&] { return !lost_.empty(); });
  return lost_.empty() ? left_ : lost_;
}

void Watch::complain() {
  complaint_ = true;
  (void)!write(wake_write_.get(), "c", 1);
}

void Watch::say_goodbye() noexcept {
  if (!thread_.joinable()) return;
  stopping_ = true;
  (void)!write(wake_write_.get(), "x", 1);
  thread_.join();
  for (Link& link : links_) {
    if (!link.gone) send_text(link.fd, "B " + name_ + " left the job\n");
    shutdown(link.fd.get(), SHUT_WR);
    link.fd.close();
  }
}

void Watch::run() {
  const auto interval = std::clamp<std::chrono::milliseconds>(
      options_.silence / 5, std::chrono::milliseconds(50), std::chrono::milliseconds(1000));
  Clock::time_point next = Clock::now(), last_turn = Clock::now();
  std::vector<pollfd> polled;
  while (!stopping_) {
    const Clock::time_point now = Clock::now();
    // This process itself was stopped: the others' lines wait unread, they are not silent.
    if (now - last_turn > 2 * interval)
      for (Link& link : links_) link.last_heard = now;
    last_turn = now;
    if (now >= next) {
      beat(now);
      next = now + interval;
    }
    if (complaint_.exchange(false)) name_the_missing();
    leave_if_overdue(now);

    polled.assign(1, pollfd{wake_read_.get(), POLLIN, 0});
    for (const Link& link : links_) polled.push_back({link.gone ? -1 : link.fd.get(), POLLIN, 0});
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(next - now).count();
    if (poll(polled.data(), polled.size(), static_cast<int>(wait)) <= 0) continue;
    char drain[64];
    if (polled[0].revents != 0) (void)!read(wake_read_.get(), drain, sizeof drain);
    for (std::size_t i = 0; i < links_.size(); ++i)
      if (polled[i + 1].revents != 0) receive(links_[i]);
  }
}

void Watch::beat(Clock::time_point now) {
  const std::string line = ". " + std::to_string(count_.load()) + "\n";
  for (Link& link : links_) {
    if (link.gone) continue;
    send_text(link.fd, line);
    if (now - link.last_heard > options_.silence)
      declare_lost(&link, "no sign of life for " + seconds(options_.silence) +
                              " (stopped, or its machine is gone)");
  }
}

void Watch::receive(Link& link) {
  char data[1024];
  const ssize_t n = recv(link.fd.get(), data, sizeof data, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
  if (n <= 0) {
    declare_lost(&link, "its connection closed (killed or crashed)");
    return;
  }
  link.last_heard = Clock::now();
  link.buffer.append(data, static_cast<std::size_t>(n));
  for (std::size_t end; (end = link.buffer.find('\n')) != std::string::npos;) {
    const std::string line = link.buffer.substr(0, end);
    link.buffer.erase(0, end + 1);
    handle(link, line);
  }
  if (link.buffer.size() > 4096) declare_lost(&link, "it sent what is no line of life");
}

void Watch::handle(Link& link, const std::string& line) {
  const std::string rest = line.size() > 2 ? line.substr(2) : "";
  switch (line.empty() ? ' ' : line[0]) {
    case '.': {
      std::istringstream(rest) >> link.count;
      break;
    }
    case 'T':
      name_the_missing();
      break;
    case 'L':
      declare_lost(nullptr, rest);
      break;
    case 'B': {
      // On rank 0 the sender itself has left; elsewhere rank 0 may speak of another.
      if (options_.rank == 0 || rest.rfind(link.name, 0) == 0) link.gone = true;
      for (const Link& other : links_)
        if (options_.rank == 0 && !other.gone) send_text(other.fd, line + "\n");
      std::lock_guard lock(mutex_);
      if (left_.empty()) left_ = rest;
      changed_.notify_all();
      break;
    }
    default:
      break;
  }
}

// With a link: that rank is lost, for the reason `text`. Without: `text` is rank 0's verdict.
void Watch::declare_lost(const Link* link, const std::string& text) {
  if (link != nullptr) links_[static_cast<std::size_t>(link - links_.data())].gone = true;
  if (!lost().empty()) return;
  const std::string verdict = link == nullptr ? text : "lost " + link->name + ": " + text;
  // The others first: once this rank's main thread knows, the process may be gone.
  if (options_.rank == 0)
    for (const Link& other : links_)
      if (!other.gone) send_text(other.fd, "L " + verdict + "\n");
  std::lock_guard lock(mutex_);
  lost_ = verdict;
  lost_at_ = Clock::now();
  changed_.notify_all();
}

void Watch::name_the_missing() {
  if (options_.rank != 0) {
    for (const Link& link : links_) send_text(link.fd, "T\n");
    return;
  }
  std::uint64_t most = count_, least = count_;
  for (const Link& link : links_) {
    most = std::max(most, link.count);
    least = std::min(least, link.count);
  }
  if (least == most) return;
  std::string names = count_ == least ? name_ : "";
  for (const Link& link : links_)
    if (link.count == least && !link.gone) names += (names.empty() ? "" : ", ") + link.name;
  declare_lost(nullptr, "lost " + names + ": alive, but it has not reached collective " +
                            std::to_string(most) + ", where the others wait");
}

void Watch::leave_if_overdue(Clock::time_point now) const {
  std::lock_guard lock(mutex_);
  if (lost_.empty() || now - lost_at_ < options_.leave_within) return;
  const std::string line = "tandem: [dist] " + lost_ + "; start again to go on\n";
  (void)!write(STDERR_FILENO, line.data(), line.size());
  _exit(exit_code(ErrorKind::interrupted));
}

}  // namespace tandem::dist
