#include <ATen/ops/full.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "../support/temporary.h"
#include "states.h"
#include "tandem/base/error.h"
#include "tandem/checkpoint/async_saver.h"

namespace async_test {

using namespace tandem;
using namespace tandem::testing;
using checkpoint::AsyncSaver;
using checkpoint::Checkpointer;

TEST_CASE("a private copy sees nothing of what happens to the tensors later") {
  checkpoint::State state = state_of(5);
  state.more = {{"ema.safetensors", {{"weight", at::full({2}, 1.0)}}}};
  const checkpoint::State copy = checkpoint::private_copy(state);
  for (auto* tensors : {&state.model, &state.optimizer, &state.more[0].second}) {
    for (auto& [name, tensor] : *tensors) tensor.fill_(9);
  }
  CHECK(equal(copy, state_of(5)));
  CHECK(copy.more[0].second[0].second.equal(at::full({2}, 1.0)));
}

TEST_CASE("saves in the background are those that were handed over, in their order") {
  TemporaryDirectory folder;
  Checkpointer saver(folder / "c", 9);
  std::atomic<int> done{0};
  {
    AsyncSaver background(saver, [&](const checkpoint::State&) { ++done; });
    checkpoint::State state = state_of(0);
    for (const std::int64_t step : {10, 20, 30}) {
      state = state_of(step);
      background.save(checkpoint::private_copy(state));
      for (auto& [name, tensor] : state.model) tensor.fill_(-1);
      background.check();
    }
    background.wait();
    CHECK(done == 3);
    background.save(state_of(40));
  }  // waits for the last one
  CHECK(done == 4);
  for (const std::int64_t step : {10, 20, 30, 40}) {
    CHECK(equal(Checkpointer::load(saver.directory_of(step)), state_of(step)));
  }
}

TEST_CASE("while a save is written training goes on, and the next save waits for its end") {
  TemporaryDirectory folder;
  Checkpointer saver(folder / "c", 9);
  std::promise<void> entered, released;
  AsyncSaver background(saver, [&](const checkpoint::State& state) {
    if (state.step != 10) return;
    entered.set_value();
    released.get_future().wait();
  });
  background.save(state_of(10));
  entered.get_future().wait();
  // The save is still under way: a step's question for failures comes back all the same.
  for (int step = 0; step < 3; ++step) background.check();
  std::atomic<bool> handed_over{false};
  std::thread next([&] {
    background.save(state_of(20));
    handed_over = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // time to do it wrong
  CHECK_FALSE(handed_over);
  CHECK_FALSE(std::filesystem::exists(saver.directory_of(20)));
  released.set_value();
  next.join();
  CHECK(handed_over);
  background.wait();
  for (const std::int64_t step : {10, 20}) {
    CHECK(equal(Checkpointer::load(saver.directory_of(step)), state_of(step)));
  }
}

TEST_CASE("a failed save is thrown once, by the next call, and the saver goes on") {
  TemporaryDirectory folder;
  Checkpointer saver(folder / "c", 9);
  AsyncSaver background(saver);
  background.save(state_of(10));
  background.wait();
  // Nothing can be made in what is no directory.
  std::filesystem::rename(folder / "c", folder / "away");
  put_file(folder / "c", "");
  background.save(state_of(20));
  CHECK_THROWS_AS(background.wait(), Error);
  background.check();
  background.wait();
  background.save(state_of(30));
  bool thrown = false;
  try {
    background.save(state_of(40));  // waits for the one before
  } catch (const Error& error) {
    thrown = exit_code(error.kind()) == 74;
  }
  CHECK(thrown);
  std::filesystem::remove(folder / "c");
  std::filesystem::rename(folder / "away", folder / "c");
  background.save(state_of(50));
  background.wait();
  CHECK(equal(Checkpointer(folder / "c", 9).newest_good().value(), state_of(50)));
}

}  // namespace async_test
