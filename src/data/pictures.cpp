#include "tandem/data/pictures.h"

#include <algorithm>
#include <filesystem>

#include "data/file.h"
#include "tandem/base/error.h"

namespace tandem::data {
namespace {

namespace fs = std::filesystem;

class Pictures final : public Source {
 public:
  Pictures(fs::path root, std::vector<std::string> names)
      : root_(std::move(root)), names_(std::move(names)) {}

  std::int64_t size() const override { return static_cast<std::int64_t>(names_.size()); }

  Sample read(std::int64_t index) const override {
    TANDEM_CHECK(index >= 0 && index < size(), "[pictures] an index out of range");
    Sample sample;
    sample.id = names_[static_cast<std::size_t>(index)];
    sample.picture_id = index;
    try {
      sample.pictures.push_back({read_bytes((root_ / sample.id).string(), max_picture_bytes), {}});
    } catch (const Error& error) {
      throw Error(error.kind(), error.message(), sample.id);
    }
    return sample;
  }

  std::string fingerprint() const override {
    std::uint64_t hash = 0;
    for (const std::string& name : names_) {
      std::error_code none;
      hash = hash64(name + ":" + std::to_string(fs::file_size(root_ / name, none)), hash);
    }
    return "pictures:" + std::to_string(names_.size()) + ":" + hex(hash);
  }

 private:
  fs::path root_;
  std::vector<std::string> names_;
};

}  // namespace

void PicturesSettings::fields(FieldVisitor& v) {
  v.field("path", path, {.doc = "the folder", .required = true, .path = true});
}

std::unique_ptr<Source> open_picture_folder(const PicturesSettings& settings) {
  return open_pictures(settings.path);
}

std::unique_ptr<Source> open_pictures(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code code;
  fs::recursive_directory_iterator it(folder, code), end;
  for (; !code && it != end; it.increment(code)) {
    std::error_code ignored;
    if (is_picture_name(it->path().native()) && it->is_regular_file(ignored)) {
      names.push_back(it->path().lexically_relative(folder).generic_string());
    }
  }
  if (code) throw Error(ErrorKind::data, "[pictures] cannot list: " + code.message(), folder);
  if (names.empty()) {
    throw Error(ErrorKind::data, "[pictures] expected pictures; got a folder without", folder);
  }
  std::sort(names.begin(), names.end());
  return std::make_unique<Pictures>(folder, std::move(names));
}

}  // namespace tandem::data
