#include "models/reference_inputs.h"

#include "tandem/base/error.h"

namespace tandem::models {

void refuse_reference(const std::string& what) {
  throw Error(ErrorKind::config, "[verify] " + what);
}

ReferenceInputs::ReferenceInputs(const std::map<std::string, at::Tensor>& inputs,
                                 const std::set<std::string>& known)
    : inputs_(inputs) {
  for (const auto& [name, tensor] : inputs) {
    if (!known.contains(name)) {
      refuse_reference("input." + name + " is not an input of this model");
    }
  }
}

const at::Tensor& ReferenceInputs::required(const std::string& name) const {
  const auto found = inputs_.find(name);
  if (found == inputs_.end()) refuse_reference("expected input." + name + ", which is missing");
  return found->second;
}

at::Tensor ReferenceInputs::optional(const std::string& name) const {
  const auto found = inputs_.find(name);
  return found == inputs_.end() ? at::Tensor() : found->second;
}

at::Tensor ReferenceInputs::ids(const std::string& name, std::int64_t vocab_size,
                                bool ignored) const {
  const at::Tensor& given = required(name);
  if (given.dim() != 2 || given.numel() < 1 || at::isFloatingType(given.scalar_type())) {
    refuse_reference("expected input." + name + " to be integers [B, T]");
  }
  at::Tensor ids = given.to(at::kLong);
  const at::Tensor low = ignored ? ids.masked_fill(ids.eq(-100), 0) : ids;
  if (low.min().item<std::int64_t>() < 0 || low.max().item<std::int64_t>() >= vocab_size) {
    refuse_reference("expected input." + name + " below the vocabulary's " +
                     std::to_string(vocab_size));
  }
  return ids;
}

at::Tensor ReferenceInputs::mask(const std::string& name, const at::Tensor& ids) const {
  const at::Tensor mask = optional(name);
  if (mask.defined() && mask.sizes() != ids.sizes()) {
    refuse_reference("expected input." + name + " of the shape of its ids");
  }
  return mask;
}

bool ReferenceInputs::flag(const std::string& name, bool fallback) const {
  const at::Tensor given = optional(name);
  if (!given.defined()) return fallback;
  if (given.numel() != 1) refuse_reference("expected input." + name + " to be one number");
  return given.ne(0).item<bool>();
}

at::Tensor ReferenceInputs::rows(const std::string& name, std::int64_t size) const {
  const at::Tensor& given = required(name);
  if (given.numel() != size || at::isFloatingType(given.scalar_type()) ||
      given.min().item<std::int64_t>() < 0 || given.max().item<std::int64_t>() >= size) {
    refuse_reference("expected input." + name + " to be rows of the batch, [B]");
  }
  return given.to(at::kLong).reshape({-1});
}

at::Tensor ReferenceInputs::pixels(const std::string& name) const {
  const at::Tensor& given = required(name);
  if (given.dim() != 4 || given.size(1) != 3 || given.numel() < 1) {
    refuse_reference("expected input." + name + " to be [B, 3, H, W]");
  }
  return given.to(at::kFloat);
}

}  // namespace tandem::models
