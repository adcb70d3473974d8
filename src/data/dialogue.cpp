#include "tandem/data/dialogue.h"

#include <filesystem>

#include "data/dialogue_rows.h"
#include "data/file.h"
#include "data/json_items.h"
#include "tandem/base/encode.h"
#include "tandem/base/error.h"

namespace tandem::data {
namespace {

namespace fs = std::filesystem;

class Dialogues final : public Source {
 public:
  explicit Dialogues(const DialogueSettings& settings)
      : folder_(settings.pictures), items_(settings.path) {
    if (folder_.empty()) folder_ = fs::path(settings.path).parent_path().string();
    if (folder_.empty()) folder_ = ".";
    if (items_.count() == 0) {
      throw Error(ErrorKind::data, "[dialogue] expected objects in JSON; got none", settings.path);
    }
    fingerprint_ = "dialogue:" + std::to_string(items_.count()) + ":" + hex(items_.hash());
  }

  std::int64_t size() const override { return items_.count(); }
  Sample read(std::int64_t index) const override { return sample_of(index, false); }
  Sample peek(std::int64_t index) const override { return sample_of(index, true); }
  std::string fingerprint() const override { return fingerprint_; }

 private:
  Sample sample_of(std::int64_t index, bool only_start) const {
    const std::string where = items_.where(index);
    DialogueRow row = dialogue_row(items_.text(index), where);
    Sample sample = std::move(row.sample);
    const std::string& shown = row.pictures.empty() ? where : row.pictures[0];
    sample.picture_id = static_cast<std::int64_t>(hash64(shown) >> 1);
    for (const std::string& name : row.pictures) {
      sample.pictures.push_back(picture(name, where, only_start));
    }
    for (const DialogueRow::VideoNames& named : row.clips) {
      Clip clip;
      clip.fps = named.fps;
      if (!named.file.empty()) clip.file = existing(named.file, where);
      for (const std::string& name : named.frames) {
        clip.frames.push_back(picture(name, where, only_start));
      }
      sample.clips.push_back(std::move(clip));
    }
    return sample;
  }

  [[noreturn]] static void fail(const std::string& what, const std::string& where) {
    throw Error(ErrorKind::data, "[dialogue] " + what, where);
  }

  // Where a name leads to. An absolute one has to lie below the folder.
  std::string path_of(std::string name, const std::string& where) const {
    if (name.starts_with("http://") || name.starts_with("https://")) {
      fail("expected a file; got an address of the web: " + name.substr(0, 80), where);
    }
    if (name.starts_with("file://")) name.erase(0, 7);
    if (name.starts_with('/')) {
      name = fs::path(name)
                 .lexically_normal()
                 .lexically_relative(fs::absolute(folder_).lexically_normal())
                 .string();
    }
    if (const std::string refused = refused_name(name); !refused.empty()) {
      fail("expected a name below the folder of pictures; got " + refused, where);
    }
    return (fs::path(folder_) / name).string();
  }

  std::string existing(const std::string& name, const std::string& where) const {
    std::string path = path_of(name, where);
    std::error_code none;
    if (!fs::is_regular_file(path, none)) fail("no such file: " + name.substr(0, 200), where);
    return path;
  }

  Picture picture(const std::string& name, const std::string& where, bool only_start) const {
    if (name.starts_with("data:")) {
      const std::size_t comma = name.find(";base64,");
      const auto bytes = comma == std::string::npos
                             ? std::nullopt
                             : from_base64(std::string_view(name).substr(comma + 8));
      if (!bytes) fail("expected data:image/..;base64,..; got " + name.substr(0, 40), where);
      return {{bytes->begin(), bytes->end()}, {}};
    }
    const std::string path = path_of(name, where);
    try {
      return picture_of_file(path, {}, only_start);
    } catch (const Error& error) {
      throw Error(error.kind(), error.message() + ": " + name.substr(0, 200), where);
    }
  }

  std::string folder_;
  JsonItems items_;
  std::string fingerprint_{};
};

}  // namespace

void DialogueSettings::fields(FieldVisitor& v) {
  v.field("path", path,
          {.doc = "a JSON list or JSON Lines of conversations, messages, preferences or documents",
           .required = true,
           .path = true,
           .must_exist = true,
           .aliases = {"data_path", "annotation_path"}});
  v.field("pictures", pictures,
          {.doc = "the folder that names of pictures and videos start from; empty: the file's own",
           .path = true,
           .must_exist = true,
           .aliases = {"image_folder", "images"}});
}

std::unique_ptr<Source> open_dialogue(const DialogueSettings& settings) {
  return std::make_unique<Dialogues>(settings);
}

}  // namespace tandem::data
