#include "train/late.h"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/stack.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <optional>

namespace tandem::train {

struct LateNumbers::Copy {
  at::Tensor host{};
  std::optional<c10::Event> done{};
};

LateNumbers::LateNumbers(const std::vector<at::Tensor>& scalars) : copy_(std::make_unique<Copy>()) {
  std::vector<at::Tensor> doubles;
  for (const at::Tensor& scalar : scalars) doubles.push_back(scalar.detach().to(at::kDouble));
  const at::Tensor numbers = at::stack(doubles);
  if (numbers.device().is_cpu()) {
    copy_->host = numbers;
    return;
  }
  copy_->host = at::empty_like(numbers, numbers.options().device(at::kCPU).pinned_memory(true));
  copy_->host.copy_(numbers, /*non_blocking=*/true);
  const c10::impl::VirtualGuardImpl guard(numbers.device().type());
  copy_->done.emplace(numbers.device().type());
  copy_->done->record(guard.getStream(numbers.device()));
}

LateNumbers::~LateNumbers() = default;
LateNumbers::LateNumbers(LateNumbers&&) noexcept = default;
LateNumbers& LateNumbers::operator=(LateNumbers&&) noexcept = default;

std::vector<double> LateNumbers::read() {
  if (copy_->done) copy_->done->synchronize();
  const auto* values = copy_->host.const_data_ptr<double>();
  return {values, values + copy_->host.numel()};
}

}  // namespace tandem::train
