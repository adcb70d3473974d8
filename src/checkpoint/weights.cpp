// Weights that other programs wrote, by name.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "checkpoint/manifest.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/base/json.h"
#include "tandem/checkpoint/adapter.h"
#include "tandem/checkpoint/checkpoint.h"

namespace tandem::checkpoint {
namespace fs = std::filesystem;
namespace {

using Weights = std::map<std::string, at::Tensor>;

constexpr const char* whole_file = "model.safetensors";
constexpr const char* index_file = "model.safetensors.index.json";
constexpr const char* averages_file = "ema.safetensors";
constexpr std::int64_t max_index_bytes = std::int64_t{64} << 20;

[[noreturn]] void fail(const std::string& what, const fs::path& path,
                       const std::string& hint = "") {
  throw Error(ErrorKind::data, "[checkpoint] " + what, path.string(), hint);
}

bool is_pickle_name(const fs::path& path) {
  static constexpr std::string_view endings[] = {".bin", ".pt", ".pth", ".ckpt", ".pkl"};
  const std::string ending = path.extension().string();
  return std::find(std::begin(endings), std::end(endings), ending) != std::end(endings);
}

[[noreturn]] void refuse_pickle(const fs::path& path) {
  fail("expected safetensors; got a pickle, which can run any code and is never read", path,
       "if you trust it, convert it once with scripts/convert_pickle");
}

// A pickle under another name: a zip archive (torch.save) or the bare protocol's first byte.
bool is_pickle_content(const fs::path& path) {
  FileReader file(path);
  unsigned char first[4] = {0, 0, 0, 0};
  file.read(first, std::min<std::int64_t>(4, file.size()));
  const bool zip = first[0] == 'P' && first[1] == 'K' && first[2] == 3 && first[3] == 4;
  return zip || (first[0] == 0x80 && first[1] >= 2 && first[1] <= 5);
}

Weights load_file(const fs::path& path) {
  if (is_pickle_name(path)) refuse_pickle(path);
  try {
    FileReader file(path);
    TensorFile content = read_safetensors(file);
    check_beside(file);
    return std::move(content.tensors);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::data && is_pickle_content(path)) refuse_pickle(path);
    throw;
  }
}

// Tensor name -> shard, as {"weight_map": {NAME: FILE}} says.
Weights load_sharded(const fs::path& directory) {
  const fs::path path = directory / index_file;
  const nlohmann::json index = parse_json(read_file(path, max_index_bytes), path.string(), 8);
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (map == index.end() || !map->is_object()) fail("expected an object \"weight_map\"", path);

  std::map<std::string, std::vector<std::string>> names_of;  // shard -> tensors
  for (const auto& [name, shard] : map->items()) {
    if (!shard.is_string() || !is_plain_name(shard.get<std::string>())) {
      fail("expected the plain name of a file beside it for \"" + name + "\"", path);
    }
    names_of[shard.get<std::string>()].push_back(name);
  }
  Weights weights;
  for (const auto& [shard, names] : names_of) {
    Weights part = load_file(directory / shard);
    for (const std::string& name : names) {
      const auto found = part.find(name);
      if (found == part.end()) {
        fail("the index says that it holds \"" + name + "\", and it does not", directory / shard);
      }
      weights.insert(part.extract(found));
    }
  }
  return weights;
}

// Of a Hugging Face directory, adapters aside.
Weights load_own(const fs::path& path) {
  std::error_code ignored;
  if (fs::exists(path / whole_file, ignored)) return load_file(path / whole_file);
  if (fs::exists(path / index_file, ignored)) return load_sharded(path);
  for (const std::string& name : list_directory(path)) {
    if (is_pickle_name(name)) refuse_pickle(path / name);
  }
  fail(std::string("expected ") + whole_file + " or " + index_file + " in it", path);
}

Weights load_averages(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path / averages_file, ignored)) {
    throw Error(ErrorKind::config, "[checkpoint] expected averages of the weights; got none",
                (path / averages_file).string(), "they are made where the config says `ema`");
  }
  return load_file(path / averages_file);
}

// What of `from` is in `into`, into its place; the rest stays.
void put(Weights& from, Weights& into) {
  for (auto it = from.begin(); it != from.end();) {
    const auto found = into.find(it->first);
    if (found == into.end()) {
      ++it;
      continue;
    }
    found->second = it->second;
    it = from.erase(it);
  }
}

}  // namespace

Weights load_weights(const fs::path& path, bool average) {
  std::error_code ignored;
  if (!average && !fs::is_directory(path, ignored)) return load_file(path);
  Weights averages;
  if (average) averages = load_averages(path);
  Weights weights = load_own(path);
  put(averages, weights);
  if (has_adapter(path)) {
    Weights adapter = load_file(path / adapter_tensors_file);
    Weights named;
    for (auto& [name, tensor] : adapter) named[from_peft_name(name)] = tensor;
    put(averages, named);
    const fs::path config = path / adapter_config_file;
    weights = merge_adapter(std::move(weights), named, read_file(config, max_index_bytes),
                            config.string());
  }
  if (!averages.empty()) {
    fail("expected averages of the model's weights; got one of " + averages.begin()->first,
         path / averages_file);
  }
  return weights;
}

}  // namespace tandem::checkpoint
