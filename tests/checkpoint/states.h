#pragma once
// Small states that differ in every part by their step.

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>

#include <string>

#include "tandem/checkpoint/checkpoint.h"

namespace tandem::testing {

inline checkpoint::State state_of(std::int64_t step) {
  checkpoint::State state;
  state.step = step;
  const auto value = static_cast<double>(step);
  state.model = {{"weight", at::arange(6, at::kFloat).reshape({2, 3}).add(value)},
                 {"bias", at::full({3}, value)},
                 {"position_ids", at::full({1, 4}, step, at::kLong)}};
  state.optimizer = {{"exp_avg.weight", at::full({2, 3}, value / 2)},
                     {"exp_avg_sq.weight", at::full({2, 3}, value / 4)}};
  state.json =
      "{\"step\": " + std::to_string(step) + ", \"position\": " + std::to_string(step * 8) + "}\n";
  state.files = {{"config.json", "{\"seen\": " + std::to_string(step) + "}"}};
  return state;
}

// Equal in all that matters: bytes of the tensors, texts.
inline bool equal(const checkpoint::State& a, const checkpoint::State& b) {
  return a.step == b.step && a.json == b.json && a.files == b.files &&
         safetensors_bytes(a.model) == safetensors_bytes(b.model) &&
         safetensors_bytes(a.optimizer) == safetensors_bytes(b.optimizer);
}

}  // namespace tandem::testing
