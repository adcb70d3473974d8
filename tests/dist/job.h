#pragma once
// Starts rank_tool and watches it from outside.

#include <sys/types.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace tandem::dist {

struct Report {
  int rank = -1;
  pid_t pid = 0;
  std::string text;
};

class Job {
 public:
  explicit Job(const std::vector<std::string>& arguments);
  ~Job();  // kills the launcher, and so the ranks
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  // The next line of a rank; an empty report when the last process has gone. Fails the test where
  // neither comes in time.
  Report next(std::chrono::seconds limit = std::chrono::seconds(120));
  // Waits until each of the ranks has said this; their process ids.
  std::map<int, pid_t> wait_for(const std::string& text, int ranks);
  // All lines until the last process has gone.
  std::vector<Report> rest(std::chrono::seconds limit = std::chrono::seconds(120));

  pid_t launcher() const { return pid_; }
  // The launcher's exit code; -N where signal N killed it.
  int exit_code();
  // All that launcher and ranks wrote.
  std::string out() const;
  std::string err() const;

 private:
  std::string folder_, buffer_;
  pid_t pid_ = 0;
  int reports_ = -1;
};

}  // namespace tandem::dist
