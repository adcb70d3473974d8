#pragma once
// SIGINT and SIGTERM ask the run to stop after the step in work; a second SIGINT ends it at once.

namespace tandem::train {

void watch_signals();
// 0, or the signal that asked first.
int signal_seen() noexcept;
void pretend_signal(int number) noexcept;  // another rank saw one

}  // namespace tandem::train
