// What goes in comes out: the directories of the language-model systems, imported and exported.

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "../support/fixtures.h"
#include "tandem/jobs/model_files.h"
#include "tandem/tensor/safetensors.h"

namespace round_trips_test {

using namespace tandem;
using tandem::testing::fixture;
namespace fs = std::filesystem;

namespace {

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "tandem_trips_XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  fs::path operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

using Renames = std::vector<std::pair<std::string, std::string>>;

// The name in an export of what a file calls so: the hub's.
std::string exported_name(const std::string& name, const Renames& renames) {
  for (const auto& [from, to] : renames) {
    if (name.starts_with(from)) return to + name.substr(from.size());
  }
  return name;
}

struct Case {
  std::vector<std::string> fixtures;
  Renames renames;  // empty: the file has the hub's names
};

void check_trip(const std::string& name, const Renames& renames) {
  CAPTURE(name);
  const Folder folder;
  jobs::import_model(fixture(name), folder / "imported");
  jobs::export_model(folder / "imported", folder / "exported");
  const TensorFile before = load_safetensors(fixture(name) / "model.safetensors");
  const TensorFile after = load_safetensors(folder / "exported" / "model.safetensors");
  REQUIRE(before.tensors.size() == after.tensors.size());
  for (const auto& [theirs, tensor] : before.tensors) {
    CAPTURE(theirs);
    const auto found = after.tensors.find(exported_name(theirs, renames));
    REQUIRE(found != after.tensors.end());
    CHECK(found->second.scalar_type() == tensor.scalar_type());
    CHECK(found->second.equal(tensor));
  }
  CHECK(contents(folder / "exported" / "config.json") == contents(fixture(name) / "config.json"));
  for (const char* file : {"model.safetensors", "config.json", "preprocessor_config.json"}) {
    CAPTURE(file);
    if (!fs::exists(folder / "imported" / file)) continue;
    CHECK(contents(folder / "imported" / file) == contents(folder / "exported" / file));
  }
  if (renames.empty()) {  // the whole file, byte by byte
    CHECK(contents(folder / "exported" / "model.safetensors") ==
          contents(fixture(name) / "model.safetensors"));
  }
}

}  // namespace

TEST_CASE("language models: importing and exporting a directory keeps every byte of its data") {
  const std::vector<Case> cases{
      {{"qwen2_vl_images", "qwen2_vl_video", "qwen2_vl_text", "qwen2_vl_sliding",
        "qwen25_vl_images", "qwen25_vl_video", "qwen25_vl_sliding"},
       {}},
      {{"qwen2_vl_cells", "qwen25_vl_text"},  // the names of transformers 5's modules
       {{"model.visual.", "visual."}, {"model.language_model.", "model."}}},
      {{"llava_mlp", "llava_linear", "llava_layers_full", "llava_qwen2_tied", "llava_text"},
       {{"vision_tower.", "vision_tower.vision_model."}}},
      {{"blip2_opt", "blip2_opt_behind", "blip2_t5", "blip2_t5_plain", "blip2_match"}, {}},
      {{"qwen_vl", "qwen_vl_left", "qwen_vl_long", "qwen_vl_text"}, {}},
  };
  for (const Case& one : cases) {
    for (const std::string& name : one.fixtures) check_trip(name, one.renames);
  }
}

}  // namespace round_trips_test
