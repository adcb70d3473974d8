// A gallery in a folder: rows as safetensors, entries as lines, and a manifest that holds the
// checksums of both.

#include <ATen/ops/empty.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/base/json.h"
#include "tandem/eval/gallery.h"
#include "tandem/tensor/safetensors.h"

namespace tandem::eval {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::int64_t largest_text = std::int64_t{8} << 30;
constexpr const char* rows_file = "gallery.safetensors";
constexpr const char* entries_file = "entries.jsonl";
constexpr const char* manifest_file = "manifest.json";

[[noreturn]] void broken(const fs::path& path, const std::string& what) {
  throw Error(ErrorKind::data, "[gallery] " + what, path.string(),
              "make it again with `tandem embed`");
}

std::string line_of(const Entry& entry) {
  const Json json{{"index", entry.index}, {"id", entry.id}, {"texts", entry.texts}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::vector<Entry> entries_of(const std::string& text, const fs::path& path) {
  std::vector<Entry> entries;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    try {
      Entry entry{.index = json.at("index"), .id = json.at("id")};
      json.at("texts").get_to(entry.texts);
      entries.push_back(std::move(entry));
    } catch (const nlohmann::json::exception&) {
      broken(path, "expected an entry; got " + line.substr(0, 80));
    }
  }
  return entries;
}

std::string checked(const fs::path& folder, const char* name, const Json& manifest) {
  const fs::path path = folder / name;
  std::string bytes = read_file(path, largest_text);
  if (hash128(bytes) != manifest.at("files").at(name)) broken(path, "its checksum is another");
  return bytes;
}

at::Tensor rows_of(std::map<std::string, at::Tensor>& tensors, const std::string& name,
                   std::size_t rows, const fs::path& path) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) return {};
  const at::Tensor& tensor = found->second;
  if (tensor.dim() < 2 || tensor.dim() > 3 || tensor.scalar_type() != at::kFloat ||
      tensor.size(0) != static_cast<std::int64_t>(rows)) {
    broken(path, "expected " + std::to_string(rows) + " rows of F32 under '" + name + "'");
  }
  return tensor;
}

}  // namespace

void save_gallery(const fs::path& folder, const Gallery& gallery, const GalleryOrigin& origin) {
  make_directories(folder);
  NamedTensors tensors;
  if (gallery.image.defined()) tensors.emplace_back("image", gallery.image);
  if (gallery.text.defined()) tensors.emplace_back("text", gallery.text);
  const std::string rows = safetensors_bytes(tensors);
  std::string lines;
  for (const Entry& entry : gallery.entries) lines += line_of(entry);
  std::error_code ignored;
  fs::remove(folder / manifest_file, ignored);  // what it says is not true from here on
  replace_file(folder / rows_file, rows);
  replace_file(folder / entries_file, lines);
  const Json manifest{{"version", 1},
                      {"model", origin.model},
                      {"model_hash", origin.model_hash},
                      {"source", origin.source},
                      {"pictures", gallery.entries.size()},
                      {"texts", gallery.text.defined() ? gallery.text.size(0) : 0},
                      {"files", {{rows_file, hash128(rows)}, {entries_file, hash128(lines)}}}};
  replace_file(folder / manifest_file,
               manifest.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

StoredGallery load_gallery(const fs::path& folder) {
  const fs::path path = folder / manifest_file;
  std::error_code error;
  if (!fs::is_regular_file(path, error)) {
    throw Error(ErrorKind::config, "[gallery] expected a folder made by `tandem embed`",
                folder.string());
  }
  StoredGallery stored;
  try {
    const Json manifest = parse_json(read_file(path, 1 << 20), path.string());
    if (manifest.at("version") != 1) broken(path, "expected version 1");
    stored.origin = {manifest.at("model"), manifest.at("model_hash"), manifest.at("source")};
    Gallery& gallery = stored.gallery;
    gallery.entries = entries_of(checked(folder, entries_file, manifest), folder / entries_file);
    checked(folder, rows_file, manifest);
    std::map<std::string, at::Tensor> tensors = load_safetensors(folder / rows_file).tensors;
    std::vector<std::int64_t> owners;
    for (std::size_t i = 0; i < gallery.entries.size(); ++i) {
      owners.insert(owners.end(), gallery.entries[i].texts.size(), static_cast<std::int64_t>(i));
    }
    gallery.image = rows_of(tensors, "image", gallery.entries.size(), folder / rows_file);
    gallery.text = rows_of(tensors, "text", owners.size(), folder / rows_file);
    gallery.owner = at::empty({static_cast<std::int64_t>(owners.size())}, at::kLong);
    std::copy(owners.begin(), owners.end(), gallery.owner.mutable_data_ptr<std::int64_t>());
  } catch (const nlohmann::json::exception& failure) {
    broken(path, failure.what());
  }
  return stored;
}

}  // namespace tandem::eval
