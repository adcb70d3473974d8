#include "nn/fused_rms_norm.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "nn/kernels.h"
#include "tandem/tensor/kernel_call.h"

namespace tandem::nn {
namespace {

namespace ag = torch::autograd;

// Blocks of the backward pass, and rows of partial sums of the weight's gradient: some for each of
// a GPU's hundred processors, and a fixed number, so that the sums do not depend on the GPU.
constexpr std::int64_t most_parts = 512;

struct FusedRmsNormFunction : ag::Function<FusedRmsNormFunction> {
  // -> {out} or {out, sum}
  static ag::variable_list forward(ag::AutogradContext* context, const at::Tensor& given,
                                   const std::optional<at::Tensor>& given_delta,
                                   const at::Tensor& given_weight, double eps) {
    const at::Tensor x = given.contiguous(), weight = given_weight.contiguous();
    const at::Tensor delta = given_delta ? given_delta->contiguous() : at::Tensor();
    const KernelCall call(x);
    RmsNormArguments a;
    a.width = x.size(-1);
    a.rows = x.numel() / a.width;
    const at::Tensor out = at::empty_like(x, x.options().dtype(weight.scalar_type()));
    const at::Tensor rstd = at::empty({a.rows}, x.options().dtype(at::kFloat));
    const at::Tensor sum = delta.defined() ? at::empty_like(x) : at::Tensor();
    a.x = x.const_data_ptr();
    a.x_type = number_of(x.scalar_type());
    if (delta.defined()) {
      a.delta = delta.const_data_ptr();
      a.delta_type = number_of(delta.scalar_type());
      a.sum = sum.mutable_data_ptr();
    }
    a.weight = weight.const_data_ptr();
    a.weight_type = number_of(weight.scalar_type());
    a.out = out.mutable_data_ptr();
    a.rstd = rstd.mutable_data_ptr<float>();
    a.eps = static_cast<float>(eps);
    a.stream = call.stream();
    KernelCall::check(kernels_of(x.device().type()).rms_norm(a), "rms_norm");
    context->set_materialize_grads(false);
    context->saved_data["delta_type"] =
        static_cast<std::int64_t>((delta.defined() ? delta : x).scalar_type());
    context->save_for_backward({delta.defined() ? sum : x, weight, rstd});
    return delta.defined() ? ag::variable_list{out, sum} : ag::variable_list{out};
  }

  static ag::variable_list backward(ag::AutogradContext* context, const ag::variable_list& grads) {
    const auto delta_type = static_cast<at::ScalarType>(context->saved_data["delta_type"].toInt());
    const bool has_delta = grads.size() > 1;
    const at::Tensor of_sum = has_delta ? grads[1] : at::Tensor();
    if (!grads[0].defined()) {  // the norm was not used
      const at::Tensor of_delta = of_sum.defined() ? of_sum.to(delta_type) : at::Tensor();
      return {of_sum, of_delta, at::Tensor(), at::Tensor()};
    }
    const ag::variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &rstd = saved[2];
    const at::Tensor grad = grads[0].contiguous();
    const at::Tensor more = of_sum.defined() ? of_sum.contiguous() : at::Tensor();
    const KernelCall call(x);
    RmsNormBackwardArguments a;
    a.width = x.size(-1);
    a.rows = x.numel() / a.width;
    a.parts = std::min(a.rows, most_parts);
    const at::Tensor of_x = at::empty_like(x);
    at::Tensor of_delta = has_delta ? of_x : at::Tensor(), partials;
    if (has_delta && delta_type != x.scalar_type()) {
      of_delta = at::empty_like(x, x.options().dtype(delta_type));
      a.grad_delta = of_delta.mutable_data_ptr();
      a.delta_type = number_of(delta_type);
    }
    if (weight.requires_grad()) {
      partials = at::empty({a.parts, a.width}, x.options().dtype(at::kFloat));
      a.partials = partials.mutable_data_ptr<float>();
    }
    a.x = x.const_data_ptr();
    a.x_type = number_of(x.scalar_type());
    a.weight = weight.const_data_ptr();
    a.weight_type = number_of(weight.scalar_type());
    a.rstd = rstd.const_data_ptr<float>();
    a.grad = grad.const_data_ptr();
    if (more.defined()) a.grad_sum = more.const_data_ptr();
    a.grad_x = of_x.mutable_data_ptr();
    a.stream = call.stream();
    KernelCall::check(kernels_of(x.device().type()).rms_norm_backward(a), "rms_norm_backward");
    at::Tensor of_weight;
    if (partials.defined()) of_weight = partials.sum(0).to(weight.scalar_type());
    return {of_x, of_delta, of_weight, at::Tensor()};
  }
};

// As rms_norm_by_type (cuda/rms_norm_rows.h) has them.
bool has_types(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight) {
  const Number of_x = number_of(x.scalar_type()), of_weight = number_of(weight.scalar_type());
  if (of_x == Number::none || (of_weight != Number::f32 && of_weight != of_x)) return false;
  if (!delta.defined()) return true;
  const Number of_delta = number_of(delta.scalar_type());
  return of_delta == of_x || (of_x == Number::f32 && of_delta != Number::none);
}

}  // namespace

std::optional<FusedRmsNorm> fused_rms_norm(const at::Tensor& x, const at::Tensor& delta,
                                           const at::Tensor& weight, double eps) {
  const Kernels& kernels = kernels_of(x.device().type());
  if (kernels.rms_norm == nullptr || kernels.rms_norm_backward == nullptr) return std::nullopt;
  const bool fits = x.dim() > 0 && x.numel() > 0 && x.size(-1) <= widest_row && weight.dim() == 1 &&
                    weight.size(0) == x.size(-1) && weight.device() == x.device() &&
                    has_types(x, delta, weight);
  if (!fits) return std::nullopt;
  if (!delta.defined()) {
    return FusedRmsNorm{FusedRmsNormFunction::apply(x, std::nullopt, weight, eps)[0], {}};
  }
  if (delta.sizes() != x.sizes() || delta.device() != x.device()) return std::nullopt;
  const auto both = FusedRmsNormFunction::apply(x, delta, weight, eps);
  return FusedRmsNorm{both[0], both[1]};
}

}  // namespace tandem::nn
