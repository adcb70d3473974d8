#include "train/signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace tandem::train {
namespace {

std::atomic<int> seen{0};
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void on_signal(int number) {
  if (number == SIGINT && seen.load() != 0) _exit(128 + SIGINT);
  int none = 0;
  seen.compare_exchange_strong(none, number);
}

}  // namespace

void watch_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int signal_seen() noexcept { return seen.load(); }

void pretend_signal(int number) noexcept {
  int none = 0;
  seen.compare_exchange_strong(none, number);
}

}  // namespace tandem::train
