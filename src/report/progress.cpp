#include "tandem/report/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <mutex>

#include "tandem/base/log.h"

namespace tandem::report {
namespace {

// The line that stands on the terminal now, so that the log can step around it.
std::mutex bar_mutex;
std::string drawn;

void write_all(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

void clear_bar() {
  const std::lock_guard lock(bar_mutex);
  if (!drawn.empty()) write_all("\r\033[K");
}

void redraw_bar() {
  const std::lock_guard lock(bar_mutex);
  if (!drawn.empty()) write_all(drawn);
}

std::string number(double value, const char* format) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::max(0.0, seconds) + 0.5);
  char text[64];
  if (whole >= 3600) {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", static_cast<long long>(whole / 3600),
                  static_cast<long long>(whole / 60 % 60), static_cast<long long>(whole % 60));
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld", static_cast<long long>(whole / 60),
                  static_cast<long long>(whole % 60));
  }
  return text;
}

int columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

void Pace::start(double now) {
  if (!runs_) started_ = now;
  runs_ = true;
}

void Pace::stop(double now) {
  if (runs_) counted_ += now - started_;
  runs_ = false;
}

void Pace::tell(Progress& shown, std::int64_t steps, std::int64_t batch, double waited,
                double now) const {
  const double seconds = counted_ + (runs_ ? now - started_ : 0);
  if (steps <= 0 || !(seconds > 0)) return;
  const auto done = static_cast<double>(steps);
  shown.samples_per_second = done * static_cast<double>(batch) / seconds;
  shown.seconds_left = seconds / done * static_cast<double>(shown.total - shown.step);
  shown.waiting = waited / seconds;
}

std::string line_of(const Progress& p) {
  const auto beside = [](const ShownLoss& loss) {
    return loss.chance > 0 ? " (chance " + number(loss.chance, "%.4g") + ")" : std::string();
  };
  std::string losses = number(p.loss, "%.4f");
  if (p.losses.size() == 1) losses += beside(p.losses.front());
  for (std::size_t i = 0; i < p.losses.size() && p.losses.size() > 1; ++i) {
    losses +=
        "  " + p.losses[i].name + " " + number(p.losses[i].value, "%.4g") + beside(p.losses[i]);
  }
  std::string text = p.stage + " " + std::to_string(p.step) + "/" + std::to_string(p.total) +
                     "  loss " + losses + "  lr " + number(p.lr, "%.3g") + "  " +
                     number(p.samples_per_second, "%.0f") + " samples/s  " +
                     duration(p.seconds_left) + " left";
  if (p.waiting >= 0.005) {
    text += "  " + number(100 * p.waiting, "%.0f") + " % waiting";
    if (!p.waited_for.empty()) text += " (" + p.waited_for + ")";
  }
  return text;
}

ProgressBar::ProgressBar(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO) == 1) {
  if (!quiet_ && terminal_) log_around_bar(clear_bar, redraw_bar);
}

ProgressBar::~ProgressBar() { finish(); }

void ProgressBar::show(const Progress& progress) {
  if (quiet_) return;
  const bool last = progress.step == progress.total;
  if (!terminal_) {
    if (progress.step < next_line_ && !last) return;
    log_info(line_of(progress));
    const std::int64_t tenth = std::max<std::int64_t>(1, progress.total / 20);
    next_line_ = last                    ? 1
                 : progress.step < tenth ? std::min(tenth, progress.step * 2)
                                         : progress.step + tenth;
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (!last && now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  const int width = columns();
  std::string text = line_of(progress);
  const int room = width - static_cast<int>(text.size()) - 4;
  if (room >= 10 && progress.total > 0) {
    const int cells = std::min(room, 40);
    const auto full = static_cast<int>(cells * progress.step / progress.total);
    text = "[" + std::string(static_cast<std::size_t>(full), '=') +
           std::string(static_cast<std::size_t>(cells - full), ' ') + "] " + text;
  } else if (static_cast<int>(text.size()) >= width) {
    text.resize(static_cast<std::size_t>(std::max(1, width - 1)));
  }
  const std::lock_guard lock(bar_mutex);
  drawn = "\r\033[K" + text;
  write_all(drawn);
}

void ProgressBar::finish() {
  if (quiet_ || !terminal_) return;
  log_around_bar(nullptr, nullptr);
  const std::lock_guard lock(bar_mutex);
  if (!drawn.empty()) write_all("\n");
  drawn.clear();
}

}  // namespace tandem::report
