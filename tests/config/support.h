#pragma once
// A folder of files for one test, and small families and formats to read them with.

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "tandem/base/error.h"
#include "tandem/config/run_config.h"

namespace tandem::config {

class Folder {
 public:
  Folder() {
    static int count = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("tandem_config_" + std::to_string(getpid()) + "_" + std::to_string(count++));
    std::filesystem::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::filesystem::path write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << text;
    return path_ / name;
  }
  const std::filesystem::path& path() const { return path_; }
  std::string str() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

struct TwoTower final : Settings {
  std::int64_t width = 64, layers = 2;
  std::string activation = "gelu";
  std::vector<std::int64_t> grid{7, 7};
  bool projection = true;
  std::int64_t projection_width = 32;

  void fields(FieldVisitor& v) override {
    v.block("vision", {.doc = "the picture's tower"}, [&](FieldVisitor& inner) {
      inner.field("width", width, {.doc = "of the residual stream", .min = 1, .max = 4096});
      inner.field("layers", layers, {.doc = "blocks", .min = 1});
      inner.field("grid", grid, {.doc = "patches, down and across", .min = 1});
      if (grid.size() != 2) inner.problem("grid", "expected 2 numbers");
    });
    v.field("activation", activation, {.doc = "in the MLP", .choices = {"gelu", "quick_gelu"}});
    v.optional_block("projection", projection, {.doc = "to the joint space"},
                     [&](FieldVisitor& inner) {
                       inner.field("width", projection_width, {.doc = "of it", .min = 1});
                     });
  }
};

struct FilesFormat final : Settings {
  std::string path{};
  std::vector<std::string> endings{"jpg", "png"};
  double timeout = 30;

  void fields(FieldVisitor& v) override {
    v.field("path", path,
            {.doc = "the folder",
             .required = true,
             .path = true,
             .must_exist = true,
             .aliases = {"root", "data_dir"}});
    v.field("endings", endings, {.doc = "of pictures"});
    v.field("timeout", timeout,
            {.doc = "of a read", .min = 0, .above_min = true, .unit = Unit::seconds});
  }
};

struct DrawnFormat final : Settings {
  std::int64_t size = 1000;

  void fields(FieldVisitor& v) override {
    v.field("size", size, {.doc = "samples", .min = 1, .unit = Unit::samples});
  }
};

inline Tables tables() {
  Tables t;
  t.families.names = {"two_tower", "one_tower"};
  t.families.make = [](std::string_view name) -> std::unique_ptr<Settings> {
    return name == "two_tower" || name == "one_tower" ? std::make_unique<TwoTower>() : nullptr;
  };
  t.formats.names = {"files", "drawn"};
  t.formats.make = [](std::string_view name) -> std::unique_ptr<Settings> {
    if (name == "files") return std::make_unique<FilesFormat>();
    if (name == "drawn") return std::make_unique<DrawnFormat>();
    return nullptr;
  };
  t.tasks = {"retrieval", "hard"};
  return t;
}

// A whole config that is right.
inline std::string small() {
  return R"(name: pairs
seed: 7
model: {family: two_tower, vocabulary: 500}
data:
  sources:
    pairs: {format: drawn, size: 100}
stages:
  - name: first
    losses: {itc: 1}
    until: {steps: 10}
)";
}

inline Loaded load_text(const std::string& text, const std::vector<std::string>& overrides = {}) {
  Folder folder;
  return load(folder.write("run.yaml", text), overrides, tables());
}

// The report of a config that must be refused, without the folder's path.
inline std::string report_of(const Folder& folder, const std::string& file,
                             const std::vector<std::string>& overrides = {}) {
  try {
    load(folder.path() / file, overrides, tables());
  } catch (const Error& error) {
    std::string text = error.message();
    if (error.kind() != ErrorKind::config) return "not an error of the config: " + text;
    const std::string prefix = folder.str() + "/";
    for (std::size_t at; (at = text.find(prefix)) != std::string::npos;) {
      text.erase(at, prefix.size());
    }
    return text;
  }
  return "no error";
}

inline std::string report_of(const std::string& text,
                             const std::vector<std::string>& overrides = {}) {
  Folder folder;
  folder.write("run.yaml", text);
  return report_of(folder, "run.yaml", overrides);
}

}  // namespace tandem::config
