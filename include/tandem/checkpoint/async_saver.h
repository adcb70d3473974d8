#pragma once
// Saves in the background. The caller hands over a private copy of the state (private_copy) and
// goes on; a thread commits it with all the promises of Checkpointer::commit. One save at a time:
// the next one waits for it, so that at most one copy is held and checkpoints become durable in
// order.
//
// A save that failed is thrown, once, by the next call of any of these. All calls come from one
// thread; meanwhile nobody else uses the Checkpointer.

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "tandem/checkpoint/checkpoint.h"

namespace tandem::checkpoint {

class AsyncSaver {
 public:
  // done: called on the saving thread after each commit.
  explicit AsyncSaver(Checkpointer& checkpointer, std::function<void(const State&)> done = {});
  ~AsyncSaver();  // waits for the save under way; its failure goes to nobody: call wait() before
  AsyncSaver(const AsyncSaver&) = delete;
  AsyncSaver& operator=(const AsyncSaver&) = delete;

  // Waits for the save before, then returns at once.
  void save(State state);
  // Throws the failure of a save that has ended; never waits for one.
  void check();
  // Until nothing is under way: what was saved is durable.
  void wait();

 private:
  void run();
  void rethrow();  // with the mutex held

  Checkpointer& checkpointer_;
  std::function<void(const State&)> done_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<State> waiting_;
  bool busy_ = false, stop_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace tandem::checkpoint
