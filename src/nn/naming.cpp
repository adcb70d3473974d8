#include "tandem/nn/naming.h"

namespace tandem::nn {

std::pair<std::string, std::string> split_path(const std::string& path) {
  const std::size_t dot = path.rfind('.');
  if (dot == std::string::npos) return {"", path};
  return {path.substr(0, dot), path.substr(dot + 1)};
}

torch::nn::Module& module_at(torch::nn::Module& root, const std::string& path) {
  if (path.empty()) return root;
  const std::size_t dot = path.find('.');
  const std::string first = path.substr(0, dot);
  const std::string rest = dot == std::string::npos ? "" : path.substr(dot + 1);
  const auto children = root.named_children();
  const auto* found = children.find(first);
  if (found != nullptr) return module_at(**found, rest);
  return module_at(*root.register_module(first, std::make_shared<torch::nn::Module>()), rest);
}

}  // namespace tandem::nn
