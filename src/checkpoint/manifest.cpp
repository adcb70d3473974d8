#include "checkpoint/manifest.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tandem/base/error.h"
#include "tandem/base/hash.h"
#include "tandem/base/json.h"

namespace tandem::checkpoint {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view before_sum = "{\n \"xxh3_128\": \"";
constexpr std::size_t sum_digits = 32;
constexpr std::string_view after_sum = "\",\n";
constexpr const char* format_name = "tandem checkpoint";
constexpr std::int64_t max_manifest_bytes = std::int64_t{256} << 20;

[[noreturn]] void bad_manifest(const std::string& what, const std::string& where) {
  throw Error(ErrorKind::data, "[checkpoint] bad manifest: " + what, where);
}

}  // namespace

bool is_plain_name(const std::string& name) {
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
         name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
}

std::string manifest_text(const Manifest& manifest,
                          const std::vector<std::pair<std::string, const NamedTensors*>>& index) {
  ordered_json json;
  json["format"] = format_name;
  json["version"] = manifest_version;
  json["step"] = manifest.step;
  json["files"] = ordered_json::array();
  for (const FileFacts& file : manifest.files) {
    json["files"].push_back(
        {{"name", file.name}, {"bytes", file.bytes}, {"xxh3_128", file.xxh3_128}});
  }
  ordered_json& tensors = json["tensors"] = ordered_json::object();
  for (const auto& [file, named] : index) {
    ordered_json& of_file = tensors[file] = ordered_json::object();
    // By name, so that equal states give equal manifests.
    const std::map<std::string, at::Tensor> by_name(named->begin(), named->end());
    for (const auto& [name, tensor] : by_name) {
      of_file[name] = {{"dtype", safetensors_type(tensor.scalar_type()).value_or("")},
                       {"shape", tensor.sizes().vec()}};
    }
  }
  std::string text;
  try {
    text = json.dump(1);
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorKind::data, "[checkpoint] a name that is no UTF-8");
  }
  const std::string rest = std::string(after_sum) + text.substr(2) + "\n";  // without "{\n"
  return std::string(before_sum) + hash128(rest) + rest;
}

Manifest parse_manifest(const std::string& text, const std::string& where) {
  const std::size_t head = before_sum.size() + sum_digits;
  if (text.size() < head || text.compare(0, before_sum.size(), before_sum) != 0) {
    bad_manifest("expected it to begin with its checksum", where);
  }
  if (text.substr(before_sum.size(), sum_digits) != hash128(std::string_view(text).substr(head))) {
    bad_manifest("its checksum is wrong", where);
  }
  const nlohmann::json json = parse_json(text, where, 16);
  try {
    if (json.at("format") != format_name || json.at("version") != manifest_version) {
      throw Error(ErrorKind::data,
                  "[checkpoint] expected format \"tandem checkpoint\", version " +
                      std::to_string(manifest_version) + "; got " + json.at("format").dump() +
                      ", " + json.at("version").dump(),
                  where, "it was written by another version of tandem");
    }
    Manifest manifest;
    manifest.step = json.at("step").get<std::int64_t>();
    std::set<std::string> names;
    for (const auto& entry : json.at("files")) {
      FileFacts file{entry.at("name").get<std::string>(), entry.at("bytes").get<std::int64_t>(),
                     entry.at("xxh3_128").get<std::string>()};
      if (!is_plain_name(file.name) || !names.insert(file.name).second) {
        bad_manifest("a bad file name", where);
      }
      manifest.files.push_back(std::move(file));
    }
    return manifest;
  } catch (const nlohmann::json::exception& error) {
    bad_manifest(error.what(), where);
  }
}

std::optional<Manifest> manifest_in(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / manifest_name;
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return std::nullopt;
  const std::string text = read_file(path, max_manifest_bytes);
  // Ours says so at two places: a bit that flipped does not make it another program's.
  const bool ours =
      text.empty() || text.starts_with(before_sum) || text.find(format_name) != std::string::npos;
  if (!ours) return std::nullopt;
  return parse_manifest(text, path.string());
}

void check_hash(const FileReader& file, const FileFacts& facts) {
  if (file.hash() == facts.xxh3_128) return;
  throw Error(ErrorKind::data,
              "[checkpoint] expected the checksum " + facts.xxh3_128 + "; got " + file.hash(),
              file.path().string(),
              "the file is not as it was saved; one who changed it by hand removes manifest.json");
}

void check_beside(const FileReader& file) {
  const std::optional<Manifest> manifest = manifest_in(file.path().parent_path());
  if (!manifest) return;
  const std::string name = file.path().filename().string();
  for (const FileFacts& facts : manifest->files) {
    if (facts.name == name) check_hash(file, facts);
  }
}

}  // namespace tandem::checkpoint
