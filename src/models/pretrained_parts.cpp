#include "models/pretrained_parts.h"

#include <ATen/core/grad_mode.h>

#include <filesystem>

#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/tensor/safetensors.h"
#include "tandem/tensor/shape.h"

namespace tandem::models {
namespace {

// Of the parameter, the rows that the file has; undefined where the shapes do not fit.
at::Tensor rows_for(const at::Tensor& parameter, const at::Tensor& value) {
  if (value.dim() != parameter.dim() || value.dim() == 0) return {};
  if (value.dim() == 2 && value.size(0) < parameter.size(0) && value.size(1) == parameter.size(1)) {
    return parameter.narrow(0, 0, value.size(0));
  }
  return value.sizes() == parameter.sizes() ? parameter : at::Tensor();
}

}  // namespace

Weights weights_in(const std::string& folder) {
  Weights all;
  for (const std::string& name : list_directory(folder)) {
    if (!name.ends_with(".safetensors") || name == "optimizer.safetensors") continue;
    TensorFile file = load_safetensors(std::filesystem::path(folder) / name);
    for (auto& [key, tensor] : file.tensors) all[key] = tensor;
  }
  if (all.empty()) {
    throw Error(ErrorKind::config, "[models] expected *.safetensors", folder,
                "other kinds of files are not read: convert them first");
  }
  return all;
}

void take_part(torch::nn::Module& net, const Weights& weights, const std::string& prefix,
               const std::string& folder, const std::string& but) {
  const at::NoGradGuard no_grad;
  for (auto& item : net.named_parameters()) {
    if (!item.key().starts_with(prefix) || item.key().starts_with(but)) continue;
    const auto found = weights.find(item.key());
    const at::Tensor to =
        found == weights.end() ? at::Tensor() : rows_for(item.value(), found->second);
    if (!to.defined()) {
      throw Error(ErrorKind::config,
                  "[models] expected " + item.key() + " " + shape_text(item.value()) + "; got " +
                      (found == weights.end() ? "none" : shape_text(found->second)),
                  folder);
    }
    to.copy_(found->second);
  }
}

}  // namespace tandem::models
