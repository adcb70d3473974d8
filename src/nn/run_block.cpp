#include "tandem/nn/run_block.h"

#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "tandem/base/error.h"
#include "tandem/tensor/autocast.h"

namespace tandem::nn {
namespace {

namespace ag = torch::autograd;
using MaybeTensor = std::optional<at::Tensor>;

void seed(const at::Device& device, const std::optional<Key>& key) {
  if (!key) return;
  at::Generator generator = at::globalContext().defaultGenerator(device);
  const std::scoped_lock lock(generator.mutex());
  generator.set_current_seed(key->bits());
}

// What backward needs beside the saved inputs.
struct Recipe : torch::CustomClassHolder {
  Block block;
  std::optional<Key> key;
  AutocastSetting autocast;
};

struct Recompute : ag::Function<Recompute> {
  // `dummy` wants a gradient: without such an input nothing would be recorded, although the block's
  // parameters want theirs (the first block behind a frozen embedding).
  static at::Tensor forward(ag::AutogradContext* context, const at::Tensor& /*dummy*/,
                            const MaybeTensor& a, const MaybeTensor& b, const MaybeTensor& c,
                            const MaybeTensor& d, const c10::intrusive_ptr<Recipe>& recipe) {
    ag::variable_list inputs;
    for (const MaybeTensor* input : {&a, &b, &c, &d}) {
      if (*input) inputs.push_back(**input);
    }
    context->save_for_backward(inputs);
    context->saved_data["recipe"] = at::IValue::make_capsule(recipe);
    const Autocast autocast(inputs[0].device().type(), recipe->autocast);
    seed(inputs[0].device(), recipe->key);
    return recipe->block(inputs);  // gradients are off inside a Function's forward
  }

  static ag::variable_list backward(ag::AutogradContext* context, const ag::variable_list& grads) {
    const auto recipe =
        c10::static_intrusive_pointer_cast<Recipe>(context->saved_data["recipe"].toCapsule());
    const ag::variable_list saved = context->get_saved_variables();
    ag::variable_list inputs;
    for (const at::Tensor& tensor : saved) {
      inputs.push_back(tensor.detach().set_requires_grad(tensor.requires_grad()));
    }
    {
      const at::AutoGradMode grad_mode(true);
      const Autocast autocast(inputs[0].device().type(), recipe->autocast);
      seed(inputs[0].device(), recipe->key);
      const at::Tensor output = recipe->block(inputs);
      // Parameters get their gradients here, through the same accumulators (and hooks) as always.
      if (output.requires_grad()) ag::backward({output}, {grads[0]});
    }
    ag::variable_list result(6);  // dummy, four inputs, recipe
    for (std::size_t i = 0; i < inputs.size(); ++i) result[i + 1] = inputs[i].grad();
    return result;
  }
};

// A frozen block behind frozen ones: recording it would send the gradient through it for nothing.
bool wants_gradient(const torch::nn::Module& module, const std::vector<at::Tensor>& inputs) {
  const auto wants = [](const at::Tensor& tensor) { return tensor.requires_grad(); };
  if (std::any_of(inputs.begin(), inputs.end(), wants)) return true;
  const auto parameters = module.parameters();
  return std::any_of(parameters.begin(), parameters.end(), wants);
}

}  // namespace

BlockContext of_block(BlockContext context, std::size_t block) {
  if (context.key) context.key = context.key->fold(block);
  return context;
}

BlockContext of_part(BlockContext context, std::string_view purpose) {
  if (context.key) context.key = context.key->fold(purpose);
  return context;
}

at::Tensor run_block(const torch::nn::Module& module, const Block& block,
                     const std::vector<at::Tensor>& inputs, const BlockContext& context) {
  TANDEM_CHECK(!inputs.empty() && inputs.size() <= 4, "[run_block] expected 1 to 4 inputs");
  const at::Device device = inputs[0].device();
  if (!context.recompute || !at::GradMode::is_enabled() || !wants_gradient(module, inputs)) {
    seed(device, context.key);
    return block(inputs);
  }
  auto recipe = c10::make_intrusive<Recipe>();
  recipe->block = block;
  recipe->key = context.key;
  recipe->autocast = autocast_setting(device.type());
  // What its cache kept of the first, gradient-free run would have no history.
  recipe->autocast.caches = false;
  const auto input = [&](std::size_t i) {
    return i < inputs.size() ? MaybeTensor(inputs[i]) : std::nullopt;
  };
  const at::Tensor dummy = at::empty({0}, inputs[0].options().dtype(at::kFloat));
  return Recompute::apply(dummy.set_requires_grad(true), input(0), input(1), input(2), input(3),
                          recipe);
}

}  // namespace tandem::nn
