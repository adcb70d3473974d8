#pragma once
// Numbers of a step on their way from the device: read a step later, so that the host never waits
// for work that it has just handed out.

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

namespace tandem::train {

class LateNumbers {
 public:
  explicit LateNumbers(const std::vector<at::Tensor>& scalars);
  ~LateNumbers();
  LateNumbers(LateNumbers&&) noexcept;
  LateNumbers& operator=(LateNumbers&&) noexcept;

  std::vector<double> read();  // waits for the copy

 private:
  struct Copy;
  std::unique_ptr<Copy> copy_;
};

}  // namespace tandem::train
