#include <ATen/core/Tensor.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/tensor/safetensors.h"
#include "tensor/safetensors.h"

namespace tandem {
namespace {

using safetensors::Type;
using Metadata = std::map<std::string, std::string>;

const Type& type_of(const std::string& name, const at::Tensor& tensor) {
  if (!tensor.defined()) {
    throw Error(ErrorKind::internal, "[tensor] an undefined tensor cannot be written", name);
  }
  if (tensor.layout() != at::kStrided) {
    throw Error(ErrorKind::data, "[tensor] only dense tensors can be written", name);
  }
  for (const Type& type : safetensors::types) {
    if (type.type == tensor.scalar_type()) return type;
  }
  throw Error(ErrorKind::data,
              std::string("[tensor] safetensors has no name for the type ") +
                  c10::toString(tensor.scalar_type()),
              name);
}

std::int64_t bytes_of(const at::Tensor& tensor) {
  return tensor.numel() * static_cast<std::int64_t>(tensor.element_size());
}

std::string quoted(const std::string& text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorKind::data, "[tensor] a name or metadata that is no UTF-8", text);
  }
}

// The order of the data: by type, then by name.
struct Item {
  const Type* type;
  const std::string* name;
  const at::Tensor* tensor;
};

std::vector<Item> sorted(const NamedTensors& tensors) {
  std::vector<Item> items;
  for (const auto& [name, tensor] : tensors)
    items.push_back({&type_of(name, tensor), &name, &tensor});
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return a.type != b.type ? a.type < b.type : *a.name < *b.name;
  });
  std::vector<const std::string*> names;
  for (const Item& item : items) names.push_back(item.name);
  const auto less = [](const std::string* a, const std::string* b) { return *a < *b; };
  std::sort(names.begin(), names.end(), less);
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (*names[i] == "__metadata__" || (i > 0 && *names[i] == *names[i - 1])) {
      throw Error(ErrorKind::data, "[tensor] a name that stands twice or is reserved", *names[i]);
    }
  }
  return items;
}

// The length and the JSON, padded so that the data begins at a multiple of 8.
std::string header_of(const std::vector<Item>& items, const Metadata& metadata) {
  std::string text = "{";
  if (!metadata.empty()) {
    text += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      if (text.back() != '{') text += ",";
      text += quoted(key) + ":" + quoted(value);
    }
    text += "}";
  }
  std::int64_t at = 0;
  for (const Item& item : items) {
    if (text.size() > 1) text += ",";
    text += quoted(*item.name) + ":{\"dtype\":\"" + std::string(item.type->name) + "\",\"shape\":[";
    for (std::int64_t d = 0; d < item.tensor->dim(); ++d) {
      text += (d > 0 ? "," : "") + std::to_string(item.tensor->size(d));
    }
    const std::int64_t end = at + bytes_of(*item.tensor);
    text += "],\"data_offsets\":[" + std::to_string(at) + "," + std::to_string(end) + "]}";
    at = end;
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (static_cast<std::int64_t>(text.size()) > safetensors::max_header_bytes) {
    throw Error(ErrorKind::data, "[tensor] a header of more than 100 MB: too many tensors");
  }
  const std::uint64_t length = text.size();
  std::string bytes(8, '\0');
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(length >> (8 * i) & 0xFF);
  return bytes + text;
}

// put(bytes, count) for each part of the file, in order; one tensor's copy is alive at a time.
template <class Put>
void write_parts(const NamedTensors& tensors, const Metadata& metadata, const Put& put) {
  const std::vector<Item> items = sorted(tensors);
  const std::string header = header_of(items, metadata);
  put(header.data(), header.size());
  for (const Item& item : items) {
    // resolve_*: a lazy conjugate or negative view holds other bytes than its values.
    const at::Tensor whole =
        item.tensor->detach().resolve_conj().resolve_neg().to(at::kCPU).contiguous();
    const std::int64_t count = bytes_of(whole);
    if (count > 0) {
      put(static_cast<const char*>(whole.const_data_ptr()), static_cast<std::size_t>(count));
    }
  }
}

}  // namespace

std::optional<std::string_view> safetensors_type(at::ScalarType type) {
  for (const Type& known : safetensors::types) {
    if (known.type == type) return known.name;
  }
  return std::nullopt;
}

std::int64_t safetensors_size(const NamedTensors& tensors, const Metadata& metadata) {
  auto total = static_cast<std::int64_t>(header_of(sorted(tensors), metadata).size());
  for (const auto& [name, tensor] : tensors) total += bytes_of(tensor);
  return total;
}

std::string safetensors_bytes(const NamedTensors& tensors, const Metadata& metadata) {
  std::string bytes;
  bytes.reserve(static_cast<std::size_t>(safetensors_size(tensors, metadata)));
  write_parts(tensors, metadata,
              [&](const char* from, std::size_t count) { bytes.append(from, count); });
  return bytes;
}

void write_safetensors(FileWriter& file, const NamedTensors& tensors, const Metadata& metadata) {
  write_parts(tensors, metadata,
              [&](const char* from, std::size_t count) { file.write(from, count); });
}

void save_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                      const Metadata& metadata) {
  const std::int64_t size = safetensors_size(tensors, metadata);
  replace_file(path, size, [&](FileWriter& file) { write_safetensors(file, tensors, metadata); });
}

}  // namespace tandem
