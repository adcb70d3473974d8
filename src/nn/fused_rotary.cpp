#include "nn/fused_rotary.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/kernels.h"
#include "tandem/tensor/kernel_call.h"

namespace tandem::nn {
namespace {

namespace ag = torch::autograd;

HeadStrides head_strides(const at::Tensor& x) { return {x.stride(0), x.stride(1), x.stride(2)}; }

at::Tensor with_heads_whole(const at::Tensor& x) { return x.stride(-1) == 1 ? x : x.contiguous(); }

// x and out [B, H, T, d], the numbers of a head side by side; cos and sin [1 or B, T, d] fp32
// contiguous.
void call_rotate(const at::Tensor& x, const at::Tensor& out, const at::Tensor& cos,
                 const at::Tensor& sin, bool backward) {
  const KernelCall call(x);
  RotateArguments a;
  a.x = x.const_data_ptr();
  a.out = out.mutable_data_ptr();
  a.type = number_of(x.scalar_type());
  a.x_strides = head_strides(x);
  a.out_strides = head_strides(out);
  a.cos = cos.const_data_ptr<float>();
  a.sin = sin.const_data_ptr<float>();
  a.batch = x.size(0);
  a.heads = x.size(1);
  a.tokens = x.size(2);
  a.width = x.size(3);
  a.table_stride = cos.size(0) == 1 ? 0 : a.tokens * a.width;
  a.backward = backward;
  a.stream = call.stream();
  KernelCall::check(kernels_of(x.device().type()).rotate(a), "rotate");
}

at::Tensor rotated_copy(const at::Tensor& given, const at::Tensor& cos, const at::Tensor& sin,
                        bool backward) {
  const at::Tensor x = with_heads_whole(given);
  at::Tensor out = at::empty_like(x);  // heads stay where they are, as attention wants them
  if (out.stride(-1) != 1) out = at::empty(x.sizes(), x.options());
  call_rotate(x, out, cos, sin, backward);
  return out;
}

struct FusedRotate : ag::Function<FusedRotate> {
  static at::Tensor forward(ag::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& cos, const at::Tensor& sin) {
    context->save_for_backward({cos, sin});
    return rotated_copy(x, cos, sin, /*backward=*/false);
  }
  static ag::variable_list backward(ag::AutogradContext* context, const ag::variable_list& grads) {
    const ag::variable_list saved = context->get_saved_variables();
    return {rotated_copy(grads[0], saved[0], saved[1], /*backward=*/true), at::Tensor(),
            at::Tensor()};
  }
};

bool is_table(const at::Tensor& table, const at::Tensor& x) {
  return table.scalar_type() == at::kFloat && !table.requires_grad() && table.dim() == 3 &&
         (table.size(0) == 1 || table.size(0) == x.size(0)) && table.size(1) == x.size(2) &&
         table.size(2) == x.size(3) && table.device() == x.device();
}

// No number stands for several: then each may be written.
bool is_spread_out(const at::Tensor& x) {
  for (std::int64_t i = 0; i < x.dim(); ++i) {
    if (x.size(i) > 1 && x.stride(i) == 0) return false;
  }
  return true;
}

}  // namespace

std::optional<at::Tensor> fused_rotate(const at::Tensor& x, const Rotary& rotary, bool over) {
  if (kernels_of(x.device().type()).rotate == nullptr) return std::nullopt;
  const bool fits = x.dim() == 4 && x.numel() > 0 && x.size(3) % 2 == 0 &&
                    number_of(x.scalar_type()) != Number::none &&
                    x.size(1) * x.size(3) <= widest_row && is_table(rotary.cos, x) &&
                    is_table(rotary.sin, x) && rotary.cos.size(0) == rotary.sin.size(0);
  if (!fits) return std::nullopt;
  const at::Tensor cos = rotary.cos.contiguous(), sin = rotary.sin.contiguous();
  if (at::GradMode::is_enabled() && x.requires_grad()) return FusedRotate::apply(x, cos, sin);
  if (!over || x.stride(-1) != 1 || !is_spread_out(x)) return rotated_copy(x, cos, sin, false);
  call_rotate(x, x, cos, sin, false);
  x.unsafeGetTensorImpl()->bump_version();
  return x;
}

}  // namespace tandem::nn
