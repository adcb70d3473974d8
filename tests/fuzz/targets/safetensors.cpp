// A safetensors file: what is accepted is written back and read again as the same tensors.

#include "tandem/tensor/safetensors.h"

#include <cstring>

#include "../support.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tandem;
  const fuzz::MemoryFile file(data, size);
  fuzz::accepted([&] {
    const TensorFile read = load_safetensors(file.path());
    std::size_t bytes = 0;
    for (const auto& [name, tensor] : read.tensors) bytes += tensor.nbytes();
    fuzz::require(bytes <= size, "tensors take no more than the file");
    const std::string again =
        safetensors_bytes({read.tensors.begin(), read.tensors.end()}, read.metadata);
    const fuzz::MemoryFile copy(reinterpret_cast<const std::uint8_t*>(again.data()), again.size());
    const TensorFile second = fuzz::read_back([&] { return load_safetensors(copy.path()); });
    fuzz::require(second.metadata == read.metadata, "the same metadata");
    fuzz::require(second.tensors.size() == read.tensors.size(), "as many tensors");
    for (const auto& [name, tensor] : read.tensors) {
      const at::Tensor& other = second.tensors.at(name);
      fuzz::require(other.sizes() == tensor.sizes(), "the same shape");
      fuzz::require(other.scalar_type() == tensor.scalar_type(), "the same type");
      fuzz::require(
          tensor.nbytes() == 0 ||
              std::memcmp(other.const_data_ptr(), tensor.const_data_ptr(), tensor.nbytes()) == 0,
          "the same bytes");
    }
  });
  return 0;
}
