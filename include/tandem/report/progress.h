#pragma once
// What a person watches: a bar on a terminal, plain lines at growing distances elsewhere.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace tandem::report {

struct ShownLoss {
  std::string name{};
  double value = 0;
  double chance = 0;  // what guessing gives; 0: not known
};

struct Progress {
  std::string stage{};
  std::int64_t step = 0, total = 0;  // of the stage
  double loss = 0, lr = 0;
  std::vector<ShownLoss> losses{};  // its parts, without their weights
  double samples_per_second = 0;
  double seconds_left = 0;   // of training steps; evaluations and checkpoints come on top
  double waiting = 0;        // share of the steps' time that they waited for the loader
  std::string waited_for{};  // "reading", "decoding", ...: most of that time
};

// How fast a stage trains, by the time of its training steps alone: the clock is stopped for what
// stands between them (an evaluation, a checkpoint that the next step waits for). `now`: seconds of
// a clock that does not jump.
class Pace {
 public:
  void start(double now);
  void stop(double now);
  // Sets samples_per_second, seconds_left and waiting of `shown`, whose step and total are set:
  // since the first start it made `steps` steps of `batch` samples, which waited `waited` seconds.
  void tell(Progress& shown, std::int64_t steps, std::int64_t batch, double waited,
            double now) const;

 private:
  double counted_ = 0, started_ = 0;
  bool runs_ = false;
};

// "qformer 120/5000  loss 3.21 (chance 4.16)  lr 0.0004  412 samples/s  0:12 left  3 % waiting
// (decoding)"; of several losses each stands behind the sum: "loss 9.1  itc 3.9 (chance 4.16)
// ..."
std::string line_of(const Progress& progress);

class ProgressBar {
 public:
  // quiet: nothing is drawn (ranks other than 0).
  explicit ProgressBar(bool quiet);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void show(const Progress& progress);
  void finish();  // leaves the cursor on a fresh line

 private:
  bool quiet_, terminal_;
  std::chrono::steady_clock::time_point last_{};
  std::int64_t next_line_ = 1;  // without a terminal: the step of the next line
};

}  // namespace tandem::report
