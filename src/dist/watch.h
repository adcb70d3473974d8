#pragma once
// Finds out which rank was lost, and says so to all of them.
//
// c10d tells the survivors "connection reset by peer", not by whom, and says nothing at all about a
// process that is stopped. So every rank keeps one socket to rank 0 with a line of life on it:
// a killed process is seen at once (the system closes its sockets), a stopped process or a lost
// machine by its silence. Rank 0 tells the others; the loss of rank 0 is seen by all.
//
// Goals: one verdict for the whole job, first cause wins; the process leaves even when its main
// thread hangs. Non-goals: restarting anything. No torch here.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "dist/socket.h"

namespace tandem::dist {

struct WatchOptions {
  int rank = 0, size = 1;
  std::string address;                            // where rank 0 listens
  std::chrono::milliseconds silence{30'000};      // no sign of life for so long: lost
  std::chrono::milliseconds join{60'000};         // for all ranks to arrive
  std::chrono::milliseconds leave_within{6'000};  // after a loss the process ends with code 75
};

// How rank 0's port reaches the others: a key in the job's store.
struct Board {
  std::function<void(const std::string&)> publish;
  std::function<std::string()> look_up;  // waits for it
};

class Watch {
 public:
  // Returns when every rank has arrived; throws Error(interrupted) naming those that did not.
  Watch(const WatchOptions& options, const Board& board);
  ~Watch();  // says goodbye: the others do not take it for a loss
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // "lost rank 2 (process 1234 on host): ..."; empty while all are there.
  std::string lost() const;
  // The same, waiting for it; else "rank 1 (...) left the job" where one said goodbye; else empty.
  std::string wait_for_cause(std::chrono::milliseconds limit) const;

  // Counts the collectives that this rank has entered.
  void entered() { count_.fetch_add(1, std::memory_order_relaxed); }
  // This rank waited too long in its last collective: rank 0 names who has not reached it.
  void complain();
  // Ends the line of life; later calls do nothing.
  void say_goodbye() noexcept;

 private:
  struct Link {
    Fd fd;
    int rank = 0;
    std::string name, buffer{};
    std::chrono::steady_clock::time_point last_heard{};
    std::uint64_t count = 0;
    bool gone = false;  // said goodbye or was lost
  };

  void meet_as_hub(const Board& board, Deadline deadline);
  void meet_hub(const Board& board, Deadline deadline);
  void run();
  void beat(std::chrono::steady_clock::time_point now);
  void receive(Link& link);
  void handle(Link& link, const std::string& line);
  void declare_lost(const Link* link, const std::string& text);
  void name_the_missing();
  void leave_if_overdue(std::chrono::steady_clock::time_point now) const;

  WatchOptions options_;
  std::string name_;  // "rank 2 (process 1234 on host)"
  std::vector<Link> links_;
  std::atomic<std::uint64_t> count_{0};
  std::atomic<bool> stopping_{false}, complaint_{false};
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::string lost_, left_;
  std::chrono::steady_clock::time_point lost_at_{};
  Fd wake_read_, wake_write_;
  std::thread thread_;
};

}  // namespace tandem::dist
