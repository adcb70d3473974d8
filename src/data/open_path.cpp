// A source from a path alone, for verbs that are given no config.

#include <filesystem>

#include "data/file.h"
#include "tandem/base/error.h"
#include "tandem/data/coco.h"
#include "tandem/data/conceptual_captions.h"
#include "tandem/data/dialogue.h"
#include "tandem/data/flickr30k.h"
#include "tandem/data/folder.h"
#include "tandem/data/inspect.h"
#include "tandem/data/nlvr2.h"
#include "tandem/data/refcoco.h"
#include "tandem/data/snli_ve.h"
#include "tandem/data/table.h"
#include "tandem/data/text_lines.h"
#include "tandem/data/vqa.h"
#include "tandem/data/webdataset.h"
#include "tandem/data/world/source.h"

namespace tandem::data {
namespace {

namespace fs = std::filesystem;

// "coco:a.json" -> "coco" and "a.json"; no format where none is written.
std::string take_format(std::string& path) {
  const std::size_t colon = path.find(':');
  if (path == "world") return path;
  if (colon == std::string::npos) return "";
  for (const std::string& name : source_formats().names) {
    if (path.compare(0, colon, name) != 0) continue;
    path.erase(0, colon + 1);
    return name;
  }
  return "";
}

std::string guess(const std::string& path) {
  if (fs::is_directory(path)) return "folder";
  if (path.ends_with(".tar")) return "webdataset";
  if (path.ends_with(".json")) return "coco";
  if (path.ends_with(".token") || path.ends_with(".token.txt")) return "flickr30k";
  if (path.ends_with(".txt")) return "text";
  if (table_kind_of(path).empty()) return "";
  const std::vector<std::uint8_t> start = read_start(path, 64);
  const bool flickr = std::string(start.begin(), start.end()).starts_with("image_name| ");
  return flickr ? "flickr30k" : "table";
}

// The two settings that these formats share.
template <class S>
S with_path(const std::string& path, const std::string& pictures) {
  S settings;
  settings.path = path;
  settings.pictures = pictures.empty() ? fs::path(path).parent_path().string() : pictures;
  if (settings.pictures.empty()) settings.pictures = ".";
  return settings;
}

}  // namespace

std::unique_ptr<Source> open_path(const std::string& given, const std::string& pictures) {
  std::string path = given;
  std::string format = take_format(path);
  if (format.empty()) format = guess(path);
  if (format == "world") return open_source("world", *source_formats().make("world"));
  if (format == "coco") return open_coco(with_path<CocoSettings>(path, pictures));
  if (format == "table") return open_table(with_path<TableSettings>(path, pictures));
  if (format == "flickr30k") return open_flickr30k(with_path<Flickr30kSettings>(path, pictures));
  if (format == "conceptual_captions") {
    return open_conceptual_captions(with_path<ConceptualCaptionsSettings>(path, pictures));
  }
  if (format == "dialogue") return open_dialogue(with_path<DialogueSettings>(path, pictures));
  if (format == "nlvr2") return open_nlvr2(with_path<Nlvr2Settings>(path, pictures));
  if (format == "snli_ve") return open_snli_ve(with_path<SnliVeSettings>(path, pictures));
  if (format == "refcoco") return open_refcoco(with_path<RefcocoSettings>(path, pictures));
  if (format == "visual_genome_qa") {
    auto settings = with_path<VisualGenomeQaSettings>(path, pictures);
    settings.answers = "open";
    return open_visual_genome_qa(settings);
  }
  if (format == "folder") {
    FolderSettings settings;
    settings.path = path;
    return open_folder(settings);
  }
  if (format == "webdataset") {
    WebdatasetSettings settings;
    settings.path = path;
    return open_webdataset(settings);
  }
  if (format == "text") {
    TextSettings settings;
    settings.path = path;
    return open_text(settings);
  }
  throw Error(ErrorKind::config,
              "[data] expected a config, a folder, .tar, .csv, .tsv, .jsonl, .json, .token or .txt",
              given, "FORMAT:PATH says what it is");
}

}  // namespace tandem::data
