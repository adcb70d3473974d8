#include "tandem/data/folder.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/file.h"
#include "data/listed.h"
#include "tandem/base/error.h"
#include "tandem/base/json.h"

namespace tandem::data {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::int64_t max_captions_bytes = std::int64_t{8} << 30;
constexpr std::int64_t max_sidecar_bytes = 1 << 20;

using Entry = ListedPicture;

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
    if (!is_picture_name(path.native()) || !it->is_regular_file(ignored)) continue;
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
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return entries;
}

Entry entry_of_json(std::string_view line, const FolderSettings& settings,
                    const std::string& where) {
  const auto refuse = [&](const std::string& text) {
    throw Error(ErrorKind::data, "[folder] " + text, where);
  };
  const Json object = parse_json(line, where);
  if (!object.is_object()) refuse("expected a JSON object");
  Entry entry;
  const auto picture = object.find(settings.picture_key);
  if (picture == object.end() || !picture->is_string()) {
    refuse("expected a string under '" + settings.picture_key + "'");
  }
  entry.name = picture->get<std::string>();
  if (const std::string refused = refused_name(entry.name); !refused.empty()) {
    refuse("expected a picture's name below the folder; got " + refused);
  }
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
    if (const std::string refused = refused_name(line.substr(0, tab)); !refused.empty()) {
      throw Error(ErrorKind::data,
                  "[folder] expected a picture's name below the folder; got " + refused, where);
    }
    entries.push_back(
        {std::string(line.substr(0, tab)), {std::string(trimmed(line.substr(tab + 1)))}});
  }
  return entries;
}

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
  return listed_source("folder", settings.path, std::move(entries));
}

}  // namespace tandem::data
