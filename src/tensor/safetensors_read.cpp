#include <ATen/ops/empty.h>

#include <bit>

#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/tensor/safetensors.h"
#include "tensor/safetensors.h"

namespace tandem {
namespace {

using safetensors::Entry;
using safetensors::Header;
static_assert(std::endian::native == std::endian::little, "the format is little-endian");

std::string header_text(FileReader& file) {
  const std::string where = file.path().string();
  if (file.size() < 8) {
    throw Error(
        ErrorKind::data,
        "[tensor] expected a safetensors file; got " + std::to_string(file.size()) + " bytes",
        where);
  }
  std::uint64_t length = 0;
  file.read(&length, 8);
  const auto rest = static_cast<std::uint64_t>(file.size() - 8);
  if (length > static_cast<std::uint64_t>(safetensors::max_header_bytes) || length > rest) {
    throw Error(ErrorKind::data,
                "[tensor] expected a header of at most " +
                    std::to_string(std::min<std::uint64_t>(safetensors::max_header_bytes, rest)) +
                    " bytes; got " + std::to_string(length),
                where, "this may be no safetensors file, or it is cut off");
  }
  std::string text(length, '\0');
  file.read(text.data(), static_cast<std::int64_t>(length));
  return text;
}

// Another byte than 0 or 1 in a bool is undefined behaviour in C++.
void check_bool(const at::Tensor& tensor, const Entry& entry, const std::string& where) {
  const auto* bytes = static_cast<const unsigned char*>(tensor.const_data_ptr());
  for (std::int64_t i = 0; i < entry.end - entry.begin; ++i) {
    if (bytes[i] > 1) {
      throw Error(ErrorKind::data,
                  "[tensor] a BOOL that is neither 0 nor 1 (\"" + entry.name + "\")", where);
    }
  }
}

}  // namespace

TensorFile read_safetensors(FileReader& file) {
  const std::string where = file.path().string();
  const std::string text = header_text(file);
  Header header = safetensors::parse_header(text, file.size() - file.position(), where);

  TensorFile result;
  result.metadata = std::move(header.metadata);
  for (const Entry& entry : header.entries) {
    at::Tensor tensor = at::empty(entry.shape, at::TensorOptions().dtype(entry.type->type));
    if (entry.end > entry.begin) file.read(tensor.mutable_data_ptr(), entry.end - entry.begin);
    if (entry.type->type == at::ScalarType::Bool) check_bool(tensor, entry, where);
    result.tensors.emplace(entry.name, std::move(tensor));
  }
  return result;
}

TensorFile load_safetensors(const std::filesystem::path& path) {
  FileReader file(path);
  return read_safetensors(file);
}

}  // namespace tandem
