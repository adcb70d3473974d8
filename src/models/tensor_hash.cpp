#include "models/tensor_hash.h"

namespace tandem::models {

void add_tensor(Hash128& hash, const at::Tensor& tensor) {
  if (!tensor.defined()) {
    hash.add("-", 1);
    return;
  }
  const at::Tensor host = tensor.detach().cpu().contiguous();
  const std::string shape = std::string(host.dtype().name()) + " " + std::to_string(host.numel());
  hash.add(shape.data(), shape.size());
  hash.add(host.const_data_ptr(), static_cast<std::size_t>(host.nbytes()));
}

std::string hash_of(const std::vector<std::string>& texts, const NamedTensors& tensors) {
  Hash128 hash;
  for (const std::string& text : texts) hash.add(text.data(), text.size() + 1);  // with its end
  for (const auto& [name, tensor] : tensors) {
    hash.add(name.data(), name.size());
    add_tensor(hash, tensor);
  }
  return hash.hex();
}

}  // namespace tandem::models
