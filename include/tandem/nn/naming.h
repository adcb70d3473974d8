#pragma once
// Names in files as values: the same part stands under "blocks.0.attn.qkv" in one release and under
// "encoder.layers.0.self_attn.qkv" in another. A part takes its children's dotted paths and
// registers each child there; the modules on the way are made as they are needed.

#include <torch/nn/module.h>

#include <memory>
#include <string>
#include <utility>

namespace tandem::nn {

// The module at `path` below root, made of plain modules where it is not there yet; "": root.
torch::nn::Module& module_at(torch::nn::Module& root, const std::string& path);

// "a.b.c" -> ("a.b", "c").
std::pair<std::string, std::string> split_path(const std::string& path);

template <class M>
std::shared_ptr<M> register_module_at(torch::nn::Module& root, const std::string& path,
                                      std::shared_ptr<M> child) {
  const auto [parent, name] = split_path(path);
  return module_at(root, parent).register_module(name, std::move(child));
}

inline at::Tensor register_parameter_at(torch::nn::Module& root, const std::string& path,
                                        at::Tensor tensor) {
  const auto [parent, name] = split_path(path);
  return module_at(root, parent).register_parameter(name, std::move(tensor));
}

}  // namespace tandem::nn
