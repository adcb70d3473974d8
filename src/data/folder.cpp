#include "tandem/data/folder.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/file.h"
#include "tandem/base/error.h"

namespace tandem::data {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::int64_t max_captions_bytes = std::int64_t{8} << 30;
constexpr std::int64_t max_sidecar_bytes = 1 << 20;

struct Entry {
  std::string picture{};  // relative to the folder
  std::vector<std::string> texts{};
};

bool is_picture(const fs::path& path) {
  const std::string extension = lower(path.extension().string());
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

// The caption of a sidecar: its first line, or the one behind `language.utf8=`.
std::string sidecar_caption(std::string_view text, const std::string& language) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (language.empty()) return std::string(trimmed(first_line(text)));
  const std::string mark = language + ".utf8=";
  while (!text.empty()) {
    const std::string_view line = first_line(text);
    if (line.starts_with(mark)) return std::string(trimmed(line.substr(mark.size())));
    const std::size_t end = text.find('\n');
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return {};
}

std::vector<Entry> walk(const FolderSettings& settings) {
  const fs::path root(settings.path);
  std::vector<Entry> entries;
  std::error_code code;
  fs::recursive_directory_iterator it(root, code), end;
  for (; !code && it != end; it.increment(code)) {
    const fs::path& path = it->path();
    std::error_code ignored;
    if (!is_picture(path) || !it->is_regular_file(ignored)) continue;
    fs::path sidecar = path;
    sidecar.replace_extension(".txt");
    if (!fs::is_regular_file(sidecar, ignored)) continue;
    std::string text =
        sidecar_caption(read_text(sidecar.string(), max_sidecar_bytes), settings.language);
    if (text.empty()) continue;
    entries.push_back({path.lexically_relative(root).generic_string(), {std::move(text)}});
  }
  if (code) throw Error(ErrorKind::data, "[folder] cannot list: " + code.message(), settings.path);
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.picture < b.picture; });
  return entries;
}

Entry entry_of_json(std::string_view line, const FolderSettings& settings,
                    const std::string& where) {
  const auto refuse = [&](const std::string& text) {
    throw Error(ErrorKind::data, "[folder] " + text, where);
  };
  const Json object = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) refuse("expected a JSON object");
  Entry entry;
  const auto picture = object.find(settings.picture_key);
  if (picture == object.end() || !picture->is_string()) {
    refuse("expected a string under '" + settings.picture_key + "'");
  }
  entry.picture = picture->get<std::string>();
  const auto caption = object.find(settings.caption_key);
  if (caption == object.end()) refuse("expected '" + settings.caption_key + "'");
  const Json list = caption->is_array() ? *caption : Json::array({*caption});
  for (const Json& text : list) {
    if (!text.is_string()) refuse("expected a text or a list of texts as caption");
    entry.texts.push_back(text.get<std::string>());
  }
  if (entry.texts.empty()) refuse("expected a caption; got an empty list");
  return entry;
}

std::vector<Entry> read_captions(const FolderSettings& settings) {
  const std::string all = read_text(settings.captions, max_captions_bytes);
  const bool json = fs::path(settings.captions).extension() != ".tsv";
  std::vector<Entry> entries;
  std::string_view rest = all;
  for (std::int64_t number = 1; !rest.empty(); ++number) {
    const std::string_view line = first_line(rest);
    const std::size_t end = rest.find('\n');
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (trimmed(line).empty()) continue;
    const std::string where = settings.captions + ":" + std::to_string(number);
    if (json) {
      entries.push_back(entry_of_json(line, settings, where));
      continue;
    }
    const std::size_t tab = line.find('\t');
    if (tab == std::string_view::npos || tab == 0) {
      throw Error(ErrorKind::data, "[folder] expected PICTURE <tab> CAPTION", where);
    }
    entries.push_back(
        {std::string(line.substr(0, tab)), {std::string(trimmed(line.substr(tab + 1)))}});
  }
  return entries;
}

class Folder final : public Source {
 public:
  Folder(std::string root, std::vector<Entry> entries)
      : root_(std::move(root)), entries_(std::move(entries)) {
    std::uint64_t hash = 0;
    for (const Entry& entry : entries_) {
      hash = hash64(entry.picture, hash);
      for (const std::string& text : entry.texts) hash = hash64(text, hash);
      std::error_code none;  // a missing picture counts as size -1
      const std::uintmax_t bytes = fs::file_size(fs::path(root_) / entry.picture, none);
      hash = hash64(std::to_string(bytes), hash);
    }
    fingerprint_ = "folder:" + std::to_string(entries_.size()) + ":" + hex(hash);
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(entries_.size()); }

  Sample read(std::int64_t index) const override {
    TANDEM_CHECK(index >= 0 && index < size(), "[folder] an index out of range");
    const Entry& entry = entries_[static_cast<std::size_t>(index)];
    Sample sample;
    sample.id = entry.picture;
    sample.picture_id = static_cast<std::int64_t>(hash64(entry.picture) >> 1);
    try {
      sample.pictures.push_back(
          {read_bytes((fs::path(root_) / entry.picture).string(), max_picture_bytes), {}});
    } catch (const Error& error) {  // named as in the folder, wherever that lies
      throw Error(error.kind(), error.message(), entry.picture);
    }
    sample.texts = entry.texts;
    return sample;
  }

  std::string fingerprint() const override { return fingerprint_; }

 private:
  std::string root_;
  std::vector<Entry> entries_;
  std::string fingerprint_;
};

}  // namespace

void FolderSettings::fields(FieldVisitor& v) {
  v.field("path", path,
          {.doc = "the folder, searched with all folders below it",
           .required = true,
           .path = true,
           .must_exist = true});
  v.field("captions", captions,
          {.doc = "file of captions (.tsv or .jsonl); empty: a .txt beside each picture",
           .path = true,
           .must_exist = true});
  v.field("language", language,
          {.doc = "of the .txt files: the line `xx.utf8=...`; empty: the first line"});
  v.field("picture_key", picture_key, {.doc = "of a .jsonl: where the picture's path stands"});
  v.field("caption_key", caption_key, {.doc = "of a .jsonl: where the caption or the list stands"});
}

std::unique_ptr<Source> open_folder(const FolderSettings& settings) {
  std::vector<Entry> entries = settings.captions.empty() ? walk(settings) : read_captions(settings);
  if (entries.empty()) {
    throw Error(ErrorKind::data, "[folder] expected pictures with captions; got none",
                settings.path, "a caption is the first line of a .txt beside the picture");
  }
  return std::make_unique<Folder>(settings.path, std::move(entries));
}

}  // namespace tandem::data
