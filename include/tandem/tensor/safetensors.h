#pragma once
// safetensors files: names, types, shapes and bytes. No pickle is ever read.
// Format: https://github.com/huggingface/safetensors (8 bytes of header length, JSON, data).

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace tandem {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

struct TensorFile {
  std::map<std::string, at::Tensor> tensors{};  // own memory, on the CPU
  std::map<std::string, std::string> metadata{};
};

// Throws Error(data) naming the file and the tensor for anything broken (truncated, overlapping or
// out-of-range offsets, wrong sizes, unknown types, a header that is no JSON, holes, doubles), and
// Error(io) when it cannot be read. Never trusts a length before checking it.
TensorFile load_safetensors(const std::filesystem::path& path);

// The bytes of such a file; tensors (any device, made contiguous) in the order of their names, data
// sorted by alignment as the reference writer does. Equal tensors give equal bytes.
std::string safetensors_bytes(const NamedTensors& tensors,
                              const std::map<std::string, std::string>& metadata = {});
// Writes and flushes to disk (fsync). Throws Error(io).
void save_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                      const std::map<std::string, std::string>& metadata = {});

}  // namespace tandem
