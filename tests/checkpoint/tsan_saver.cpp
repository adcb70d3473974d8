// The background saver under ThreadSanitizer: training changes its tensors while an earlier copy of
// them is written. `tsan_saver DIRECTORY` must find no race; `tsan_saver DIRECTORY planted` hands
// over the tensors themselves, and must find one.

#include <ATen/ops/zeros.h>

#include <cstdio>
#include <cstring>

#include "tandem/base/error.h"
#include "tandem/checkpoint/async_saver.h"

namespace {

// In code that the sanitizer sees; LibTorch's is not.
void fill(const tandem::NamedTensors& tensors, float value) {
  for (const auto& [name, tensor] : tensors) {
    auto* data = static_cast<float*>(tensor.mutable_data_ptr());
    for (std::int64_t i = 0; i < tensor.numel(); ++i) data[i] = value;
  }
}

int run(const char* directory, bool planted) {
  using namespace tandem::checkpoint;
  constexpr int saves = 12;
  Checkpointer checkpointer(directory, 3);
  std::int64_t done = 0;
  {
    AsyncSaver saver(checkpointer, [&](const State&) { ++done; });
    State state;
    state.model = {{"weight", at::zeros({256, 256})}, {"bias", at::zeros({256})}};
    state.optimizer = {{"exp_avg.weight", at::zeros({256, 256})}};
    for (int step = 1; step <= saves; ++step) {
      state.step = step;
      fill(state.model, static_cast<float>(step));
      saver.save(planted ? state : private_copy(state));
      saver.check();
    }
    saver.wait();
  }
  const State found = checkpointer.newest_good().value();
  const float last = *static_cast<const float*>(found.model[0].second.const_data_ptr());
  return done == saves && found.step == saves && last == static_cast<float>(saves) ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) return 64;
  try {
    return run(arguments[1], count > 2 && std::strcmp(arguments[2], "planted") == 0);
  } catch (const tandem::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 70;
  }
}
