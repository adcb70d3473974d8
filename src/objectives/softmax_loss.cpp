#include "objectives/softmax_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <utility>

#include "tandem/base/error.h"
#include "tandem/objectives/gpu_kernels.h"
#include "tandem/tensor/device.h"
#include "tandem/tensor/kernel_call.h"

namespace tandem::objectives {
namespace {

SoftmaxLossKernel *kernel_on_cpu = nullptr, *kernel_on_cuda = nullptr;

SoftmaxLossKernel* kernel_for(const at::Tensor& scores) {
  const bool fits = number_of(scores.scalar_type()) != Number::none && scores.is_contiguous() &&
                    scores.numel() > 0 && scores.size(1) <= widest_row;
  if (!fits) return nullptr;
  return scores.is_cuda() ? kernel_on_cuda : scores.is_cpu() ? kernel_on_cpu : nullptr;
}

SoftmaxLoss by_kernel(SoftmaxLossKernel* kernel, const at::Tensor& scores,
                      const SoftmaxLossInput& in) {
  const auto floats = [](const at::Tensor& x) {
    return x.defined() ? x.const_data_ptr<float>() : nullptr;
  };
  const at::Tensor labels = in.labels.contiguous();
  const at::Tensor counted = in.counted.defined() ? in.counted.contiguous() : in.counted;
  const at::Tensor shares = in.shares.defined() ? in.shares.contiguous() : in.shares;
  const KernelCall call(scores);
  const auto of_rows = scores.options().dtype(at::kFloat);
  SoftmaxLoss out;
  out.losses = at::empty({scores.size(0)}, of_rows);
  out.smoothed = in.smoothing > 0 ? at::empty({scores.size(0)}, of_rows) : out.losses;
  SoftmaxLossArguments a;
  a.scores = scores.mutable_data_ptr();
  a.type = number_of(scores.scalar_type());
  a.labels = labels.const_data_ptr<std::int64_t>();
  a.counted = floats(counted);
  a.shares = floats(shares);
  a.losses = out.losses.mutable_data_ptr<float>();
  if (in.smoothing > 0) a.smoothed = out.smoothed.mutable_data_ptr<float>();
  a.rows = scores.size(0);
  a.words = scores.size(1);
  a.smoothing = static_cast<float>(in.smoothing);
  a.slopes = in.slopes;
  a.stream = call.stream();
  KernelCall::check(kernel(a), "softmax_loss");
  if (in.slopes) out.slopes = scores;
  return out;
}

}  // namespace

SoftmaxLoss softmax_loss_aten(at::Tensor scores, const SoftmaxLossInput& in) {
  scores = scores.to(at::kFloat);  // [c, V]; those in half precision are freed
  const at::Tensor label = in.labels.unsqueeze(1);
  const at::Tensor most = scores.amax(1, /*keepdim=*/true);
  scores.sub_(most);
  const at::Tensor chosen = scores.gather(1, label).squeeze(1);
  const at::Tensor all = in.smoothing > 0 ? scores.mean(1) : at::Tensor();
  scores.exp_();
  const at::Tensor sum = scores.sum(1, /*keepdim=*/true);
  const at::Tensor log_sum = sum.log().squeeze(1);
  SoftmaxLoss out;
  out.losses = log_sum - chosen;
  out.smoothed = in.smoothing > 0 ? out.losses * (1 - in.smoothing) + (log_sum - all) * in.smoothing
                                  : out.losses;
  if (in.counted.defined()) {
    out.losses = out.losses * in.counted;
    out.smoothed = out.smoothed * in.counted;
  }
  if (!in.slopes) return out;
  scores.div_(sum);
  if (in.smoothing > 0) scores.sub_(in.smoothing / static_cast<double>(scores.size(1)));
  scores.scatter_add_(1, label, at::full(label.sizes(), in.smoothing - 1, scores.options()));
  if (in.counted.defined()) scores.mul_(in.counted.unsqueeze(1));
  if (in.shares.defined()) scores.mul_(in.shares.unsqueeze(1));
  out.slopes = scores;
  return out;
}

SoftmaxLoss softmax_loss(at::Tensor scores, const SoftmaxLossInput& in) {
  SoftmaxLossKernel* const kernel = kernel_for(scores);
  if (kernel != nullptr) return by_kernel(kernel, scores, in);
  return softmax_loss_aten(std::move(scores), in);
}

void set_softmax_loss_kernel(c10::DeviceType type, SoftmaxLossKernel* kernel) {
  TANDEM_CHECK(type == c10::DeviceType::CPU || type == c10::DeviceType::CUDA,
               "[softmax_loss] expected a CPU or a GPU");
  (type == c10::DeviceType::CPU ? kernel_on_cpu : kernel_on_cuda) = kernel;
}

int use_gpu_kernels() {
  auto* const kernel =
      reinterpret_cast<SoftmaxLossKernel*>(cuda_function("tandem_cuda_softmax_loss"));
  set_softmax_loss_kernel(c10::DeviceType::CUDA, kernel);
  return kernel == nullptr ? 0 : 1;
}

}  // namespace tandem::objectives
