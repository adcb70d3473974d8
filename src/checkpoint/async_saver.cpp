#include "tandem/checkpoint/async_saver.h"

#include <utility>

namespace tandem::checkpoint {

AsyncSaver::AsyncSaver(Checkpointer& checkpointer, std::function<void(const State&)> done)
    : checkpointer_(checkpointer), done_(std::move(done)), thread_([this] { run(); }) {}

AsyncSaver::~AsyncSaver() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void AsyncSaver::save(State state) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !busy_; });
  rethrow();
  waiting_ = std::move(state);
  busy_ = true;
  changed_.notify_all();
}

void AsyncSaver::check() {
  const std::lock_guard lock(mutex_);
  rethrow();
}

void AsyncSaver::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !busy_; });
  rethrow();
}

void AsyncSaver::rethrow() {
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void AsyncSaver::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return waiting_ || stop_; });
    if (!waiting_) return;
    const State state = std::move(*waiting_);
    waiting_.reset();
    lock.unlock();
    std::exception_ptr failure;
    try {
      checkpointer_.commit(state);
      if (done_) done_(state);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    failure_ = failure;
    busy_ = false;
    changed_.notify_all();
  }
}

}  // namespace tandem::checkpoint
