#pragma once
// What each family's comparison with its original asks.

#include <ATen/TensorOperators.h>

#include <catch2/catch.hpp>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "../support/fixtures.h"
#include "tandem/jobs/model_files.h"
#include "tandem/jobs/verify.h"
#include "tandem/tensor/safetensors.h"

namespace tandem::testing {

// `verify` finds what each fixture recorded, more than `lines` values of each.
inline void check_recorded(const std::vector<std::string>& names, std::size_t lines = 0) {
  for (const std::string& name : names) {
    CAPTURE(name);
    const jobs::VerifyReport report =
        jobs::verify(fixture(name), fixture(name) / "reference.safetensors");
    INFO(report.text());
    CHECK(report.equal());
    CHECK(report.lines.size() > lines);
  }
}

// Tensors below `prefix`, without it.
inline std::map<std::string, at::Tensor> below(const TensorFile& file, const std::string& prefix) {
  std::map<std::string, at::Tensor> found;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.rfind(prefix, 0) == 0) found[name.substr(prefix.size())] = tensor;
  }
  return found;
}

// Three training steps in a row, of which the fixture holds the second and third as extra.N.*: each
// one's losses, queues and copies, more than `least` tensors.
inline void check_steps(const std::string& name, const std::string& original, int least) {
  const TensorFile file = load_safetensors(fixture(name) / "reference.safetensors");
  const auto model = jobs::make_model(jobs::read_model(fixture(name), original));
  model->train(false);
  int compared = 0;
  for (const std::string step : {"", "extra.0.", "extra.1."}) {
    CAPTURE(step);
    const auto ours = model->reference_outputs(below(file, step + "input."));
    for (const auto& [output, recorded] : below(file, step + "output.")) {
      CAPTURE(output);
      const at::Tensor a = ours.at(output).to(at::kDouble), b = recorded.to(at::kDouble);
      REQUIRE(a.sizes() == b.sizes());
      CHECK(((a - b).abs() - b.abs() * 1e-5).max().item<double>() < 2e-6);
      ++compared;
    }
  }
  CHECK(compared > least);
}

}  // namespace tandem::testing
