#pragma once
// safetensors files: names, types, shapes and bytes. No pickle is ever read.
// Format: https://github.com/huggingface/safetensors (8 bytes of header length, JSON, data).

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tandem {

class FileReader;
class FileWriter;

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

struct TensorFile {
  std::map<std::string, at::Tensor> tensors{};  // own memory, on the CPU
  std::map<std::string, std::string> metadata{};
};

// Throws Error(data) naming the file and the tensor for anything broken (truncated, overlapping or
// out-of-range offsets, wrong sizes, unknown types, a header that is no JSON, holes, doubles), and
// Error(io) when it cannot be read. Never trusts a length before checking it. Each tensor is read
// straight into its own memory: a file never takes more than its size.
TensorFile load_safetensors(const std::filesystem::path& path);
// The same from an open file at its beginning, read once from front to end, so that the reader's
// hash is the file's.
TensorFile read_safetensors(FileReader& file);

// The bytes of such a file; tensors (any device, made contiguous) sorted by the size of their type
// and then by name, as the reference writer does. Equal tensors give equal bytes. Throws
// Error(data) for a name that stands twice, is `__metadata__` or is no UTF-8, and for a type
// without a name.
std::string safetensors_bytes(const NamedTensors& tensors,
                              const std::map<std::string, std::string>& metadata = {});
// Writes the same bytes to a file, one tensor at a time. The file is replaced whole and durably
// (fsync); Error(io) leaves an older one as it was.
void save_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                      const std::map<std::string, std::string>& metadata = {});
// The same into an open file, which the caller finishes.
void write_safetensors(FileWriter& file, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata = {});
// Bytes of the file that these tensors make.
std::int64_t safetensors_size(const NamedTensors& tensors,
                              const std::map<std::string, std::string>& metadata = {});

// The format's name of a type ("F32"), nullopt where it has none.
std::optional<std::string_view> safetensors_type(at::ScalarType type);

}  // namespace tandem
