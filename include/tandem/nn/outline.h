#pragma once
// Models of names and shapes alone: what a plan needs of one that may be larger than the memory.

namespace tandem::nn {

// While one lives, on its thread, make_parameter gives tensors of the meta device, and initial
// values are left out.
class Outline {
 public:
  Outline();
  ~Outline();
  Outline(const Outline&) = delete;
  Outline& operator=(const Outline&) = delete;

  static bool drawn();
};

}  // namespace tandem::nn
