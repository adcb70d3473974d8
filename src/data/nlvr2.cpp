#include "tandem/data/nlvr2.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/annotated.h"
#include "data/json_list.h"

namespace tandem::data {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// "True" and "False", in the test files of some copies true and false; -1 for others.
int label_of(const Json& object) {
  const auto label = object.find("label");
  if (label == object.end()) return -1;
  if (label->is_boolean()) return label->get<bool>() ? 1 : 0;
  if (*label == "True") return 1;
  return *label == "False" ? 0 : -1;
}

}  // namespace

void Nlvr2Settings::fields(FieldVisitor& v) {
  v.field("path", path,
          {.doc = "train.json, dev.json or test1.json",
           .required = true,
           .path = true,
           .must_exist = true,
           .aliases = {"annotations", "ann_file"}});
  v.field("pictures", pictures,
          {.doc = "the folder of its pictures (images/train, dev, test1)",
           .required = true,
           .path = true,
           .must_exist = true,
           .aliases = {"images", "image_root", "root"}});
}

std::unique_ptr<Source> open_nlvr2(const Nlvr2Settings& settings) {
  AnnotationList list;
  for_each_row(settings.path, list, [&](const std::string& row, const std::string& where) {
    const Json object = Json::parse(row, nullptr, /*allow_exceptions=*/false);
    if (!object.is_object()) return list.leave_out(where, "expected a JSON object");
    Annotation one;
    one.id = text_of(object, "identifier");
    one.sentence = text_of(object, "sentence");
    one.label = label_of(object);
    const std::size_t dash = one.id.find_last_of('-');
    if (dash == std::string::npos || one.label < 0) {
      return list.leave_out(where,
                            "expected `identifier` (dev-850-0-1), `sentence` and a `label` "
                            "True or False");
    }
    const std::string name = one.id.substr(0, dash) + "-img";
    const std::string directory = number_text_of(object, "directory");
    std::error_code none;
    const bool below =
        !directory.empty() && !fs::exists(fs::path(settings.pictures) / (name + "0.png"), none);
    for (std::size_t i = 0; i < 2; ++i) {
      one.pictures[i] = (below ? directory + "/" : "") + name + std::to_string(i) + ".png";
    }
    list.add(std::move(one), where);
  });
  return list.source("nlvr2", settings.path, settings.pictures);
}

}  // namespace tandem::data
