#include "tandem/data/snli_ve.h"

#include <nlohmann/json.hpp>

#include "data/annotated.h"
#include "data/json_list.h"

namespace tandem::data {
namespace {

using Json = nlohmann::json;

int label_of(const std::string& gold) {
  if (gold == "contradiction") return 0;
  if (gold == "neutral") return 1;
  return gold == "entailment" ? 2 : -1;
}

}  // namespace

void SnliVeSettings::fields(FieldVisitor& v) {
  v.field("path", path,
          {.doc = "snli_ve_train.jsonl, _dev or _test",
           .required = true,
           .path = true,
           .must_exist = true,
           .aliases = {"annotations", "ann_file"}});
  v.field("pictures", pictures,
          {.doc = "the folder of Flickr30k's pictures (flickr30k-images)",
           .required = true,
           .path = true,
           .must_exist = true,
           .aliases = {"images", "image_root", "root"}});
}

std::unique_ptr<Source> open_snli_ve(const SnliVeSettings& settings) {
  AnnotationList list;
  for_each_row(settings.path, list, [&](const std::string& row, const std::string& where) {
    const Json object = Json::parse(row, nullptr, /*allow_exceptions=*/false);
    if (!object.is_object()) return list.leave_out(where, "expected a JSON object");
    const std::string gold = text_of(object, "gold_label");
    const std::string picture = number_text_of(object, "Flickr30K_ID");
    Annotation one;
    one.label = label_of(gold);
    one.sentence = text_of(object, "sentence2");
    if (picture.empty()) return list.leave_out(where, "expected a number `Flickr30K_ID`");
    if (one.label < 0) {
      return list.leave_out(where,
                            "expected a gold_label of entailment, neutral, contradiction; "
                            "got '" +
                                gold + "'");
    }
    one.id = text_of(object, "pairID");
    if (one.id.empty()) one.id = where;
    one.pictures[0] = picture + ".jpg";
    list.add(std::move(one), where);
  });
  return list.source("snli_ve", settings.path, settings.pictures);
}

}  // namespace tandem::data
