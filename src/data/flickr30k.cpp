#include "tandem/data/flickr30k.h"

#include <algorithm>

#include "data/file.h"
#include "data/listed.h"

namespace tandem::data {
namespace {

constexpr std::int64_t flickr_bytes = std::int64_t{1} << 30;

bool is_number(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Picture and caption of a line; an empty picture: it does not parse.
struct CaptionLine {
  std::string_view picture{}, caption{};
};

CaptionLine line_of_token(std::string_view line) {
  const std::size_t mark = line.find('#'), tab = line.find('\t');
  if (mark == std::string_view::npos || tab == std::string_view::npos || mark > tab) return {};
  if (!is_number(line.substr(mark + 1, tab - mark - 1))) return {};
  return {line.substr(0, mark), line.substr(tab + 1)};
}

CaptionLine line_of_csv(std::string_view line) {
  const std::size_t first = line.find('|');
  if (first == std::string_view::npos) return {};
  const std::size_t second = line.find('|', first + 1);
  if (second == std::string_view::npos) return {};
  if (!is_number(trimmed(line.substr(first + 1, second - first - 1)))) return {};
  return {trimmed(line.substr(0, first)), line.substr(second + 1)};
}

}  // namespace

void Flickr30kSettings::fields(FieldVisitor& v) {
  v.field("path", path,
          {.doc = "results_20130124.token or results.csv",
           .required = true,
           .path = true,
           .must_exist = true,
           .aliases = {"annotations", "ann_file", "captions"}});
  v.field("pictures", pictures,
          {.doc = "the folder of the pictures (flickr30k-images)",
           .required = true,
           .path = true,
           .must_exist = true,
           .aliases = {"images", "image_root", "root", "image_folder"}});
}

std::unique_ptr<Source> open_flickr30k(const Flickr30kSettings& settings) {
  const std::string all = read_text(settings.path, flickr_bytes);
  std::string_view rest = all;
  if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);
  const bool csv = line_of_token(first_line(rest)).picture.empty() &&
                   first_line(rest).find('|') != std::string_view::npos;
  CaptionList found;
  for (std::int64_t number = 1; !rest.empty(); ++number) {
    const std::string_view line = first_line(rest);
    const std::size_t end = rest.find('\n');
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (trimmed(line).empty() || (csv && number == 1)) continue;
    const std::string where = settings.path + ":" + std::to_string(number);
    const CaptionLine parsed = csv ? line_of_csv(line) : line_of_token(line);
    if (parsed.picture.empty()) {
      found.leave_out(where, csv ? "expected PICTURE| NUMBER| CAPTION"
                                 : "expected PICTURE#NUMBER <tab> CAPTION");
    } else {
      found.add(std::string(parsed.picture), std::string(parsed.caption), where);
    }
  }
  return found.source("flickr30k", settings.path, settings.pictures);
}

}  // namespace tandem::data
