#include "tandem/data/conceptual_captions.h"

#include "data/rows.h"
#include "tandem/base/error.h"
#include "tandem/data/table.h"

namespace tandem::data {

void ConceptualCaptionsSettings::fields(FieldVisitor& v) {
  v.field("path", path,
          {.doc = "Train_GCC-training.tsv, cc12m.tsv or another of them",
           .required = true,
           .path = true,
           .must_exist = true,
           .aliases = {"annotations", "captions", "tsv"}});
  v.field("pictures", pictures,
          {.doc = "the folder of the pictures that were fetched",
           .required = true,
           .path = true,
           .must_exist = true,
           .aliases = {"images", "image_root", "image_folder"}});
  v.field("name", name,
          {.doc = "how their files are called: {row} is the row from 0, {row:09} with zeros"});
  if (name.find("{row") == std::string::npos) v.problem("name", "expected {row} or {row:09} in it");
}

std::unique_ptr<Source> open_conceptual_captions(const ConceptualCaptionsSettings& settings) {
  const Rows rows(settings.path, {false, '\t'});
  const std::string first = rows.count() > 0 ? rows.row(0) : "";
  const std::size_t tab = first.find('\t');
  if (tab == std::string::npos) {
    throw Error(ErrorKind::data, "[conceptual_captions] expected CAPTION <tab> URL",
                rows.count() > 0 ? rows.where(0) : settings.path);
  }
  const bool url_first = first.starts_with("http://") || first.starts_with("https://");
  TableSettings table;
  table.path = settings.path;
  table.pictures = settings.pictures;
  table.kind = "tsv";
  table.header = false;
  table.picture = url_first ? "0" : "1";
  table.captions = {url_first ? "1" : "0"};
  table.name = settings.name;
  table.missing = "leave_out";
  return open_table(table);
}

}  // namespace tandem::data
