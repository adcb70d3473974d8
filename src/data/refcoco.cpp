#include "tandem/data/refcoco.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "data/annotated.h"
#include "data/file.h"
#include "data/json_list.h"
#include "tandem/base/error.h"

namespace tandem::data {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t refcoco_bytes = std::int64_t{2} << 30;

// [x, y, w, h], and what detections have behind it.
std::optional<Box> box_of(const Json& list) {
  if (!list.is_array() || list.size() < 4) return {};
  double number[4] = {};
  for (std::size_t i = 0; i < 4; ++i) {
    if (!list[i].is_number()) return {};
    number[i] = list[i].get<double>();
  }
  if (!(number[2] > 0) || !(number[3] > 0)) return {};
  return Box{number[0], number[1], number[0] + number[2], number[1] + number[3]};
}

// The pickles' COCO_train2014_000000581857_16.jpg without the annotation's number.
std::string picture_of(const Json& ref) {
  std::string name = text_of(ref, "file_name");
  if (name.empty()) name = text_of(ref, "image");
  if (name.empty()) name = text_of(ref, "image_file");
  const std::size_t file = name.find_last_of('/') + 1;  // 0 without a folder
  const std::size_t last = name.find_last_of('_'), dot = name.find_last_of('.');
  const bool numbered =
      name.compare(file, 5, "COCO_") == 0 && dot != std::string::npos && last > file &&
      std::count(name.begin() + static_cast<std::ptrdiff_t>(file), name.end(), '_') == 3;
  return numbered && dot > last ? name.substr(0, last) + name.substr(dot) : name;
}

std::string sentence_of(const Json& one) {
  if (one.is_string()) return one.get<std::string>();
  if (!one.is_object()) return "";
  const std::string clean = text_of(one, "sent");
  return clean.empty() ? text_of(one, "raw") : clean;
}

struct Ref {
  std::string split{}, image{};
  std::optional<Box> box{};
};

class Refcoco {
 public:
  explicit Refcoco(const RefcocoSettings& settings) : s_(settings) {}

  std::unique_ptr<Source> open() {
    if (!s_.boxes.empty()) {
      for_each_element(read_text(s_.boxes, refcoco_bytes), s_.boxes, "refcoco",
                       [&](const std::string&, std::int64_t, const Json& ref) {
                         refs_[number_text_of(ref, "ref_id")] = ref_of(ref);
                       });
    }
    if (!s_.proposals.empty()) read_proposals();
    for_each_element(read_text(s_.path, refcoco_bytes), s_.path, "refcoco",
                     [&](const std::string& list, std::int64_t number, const Json& ref) {
                       element(ref, element_place(s_.path, list, number));
                     });
    return list_.source("refcoco", s_.path, s_.pictures);
  }

 private:
  static Ref ref_of(const Json& ref) {
    const auto box = ref.find("bbox");
    return {text_of(ref, "split"), number_text_of(ref, "image_id"),
            box == ref.end() ? std::nullopt : box_of(*box)};
  }

  void read_proposals() {
    const Json all = Json::parse(read_text(s_.proposals, refcoco_bytes), nullptr, false);
    if (!all.is_object()) {
      throw Error(ErrorKind::data, "[refcoco] expected an object of image id -> list of boxes",
                  s_.proposals);
    }
    for (const auto& [image, list] : all.items()) {
      for (const Json& one : list) {
        const auto box = box_of(one);
        if (!box) {
          throw Error(ErrorKind::data, "[refcoco] expected boxes [x, y, w, h]",
                      s_.proposals + ": " + image);
        }
        proposals_[image].push_back(*box);
      }
    }
  }

  bool wanted(const std::string& split) const {
    return s_.split.empty() || std::find(s_.split.begin(), s_.split.end(), split) != s_.split.end();
  }

  void element(const Json& one, const std::string& where) {
    const std::string id = number_text_of(one, "ref_id");
    const std::string picture = picture_of(one);
    if (id.empty() || picture.empty()) {
      return list_.leave_out(where, "expected a number `ref_id` and a picture's `file_name`");
    }
    Ref ref = ref_of(one);
    if (const auto known = refs_.find(id); known != refs_.end()) {
      if (!ref.box) ref.box = known->second.box;
      if (ref.image.empty()) ref.image = known->second.image;
      if (ref.split.empty()) ref.split = known->second.split;
    }
    if (!wanted(ref.split)) return;
    const auto sentences = one.find("sentences");
    const bool listed = sentences != one.end() && sentences->is_array();
    if (!listed) return expression(id, picture, ref, text_of(one, "text"), where);
    if (!ref.box) return list_.leave_out(where, "expected a `bbox` [x, y, w, h]");
    std::int64_t number = 0;
    for (const Json& sentence : *sentences) {
      const std::string count = std::to_string(number++);
      expression(id + "/" + count, picture, ref, sentence_of(sentence),
                 where + ".sentences[" + count + "]");
    }
  }

  // In ALBEF's lists for training a ref_id is that of a picture's text, and there is no box.
  void expression(const std::string& id, const std::string& picture, const Ref& ref,
                  const std::string& text, const std::string& where) {
    Annotation one;
    one.id = id;
    one.pictures[0] = picture;
    one.sentence = text;
    one.kind = ref.split;
    if (ref.box) one.boxes = {*ref.box};
    const auto proposed = proposals_.find(ref.image);
    if (proposed != proposals_.end()) one.proposals = proposed->second;
    list_.add(std::move(one), where);
  }

  const RefcocoSettings& s_;
  std::unordered_map<std::string, Ref> refs_{};  // of `boxes`, by ref_id
  std::unordered_map<std::string, std::vector<Box>> proposals_{};
  AnnotationList list_{};
};

}  // namespace

void RefcocoSettings::fields(FieldVisitor& v) {
  v.field("path", path,
          {.doc = "refs as JSON, or lists of {image, text, ref_id} (refcoco+_*.json)",
           .required = true,
           .path = true,
           .must_exist = true,
           .aliases = {"annotations", "ann_file", "refs"}});
  v.field("pictures", pictures,
          {.doc = "the folder that the file's names start from",
           .required = true,
           .path = true,
           .must_exist = true,
           .aliases = {"images", "image_root"}});
  v.field("split", split, {.doc = "some of train, val, test, testA, testB; empty: all"});
  v.field("boxes", boxes,
          {.doc = "refs as JSON with the boxes of such lists, by ref_id",
           .path = true,
           .must_exist = true});
  v.field("proposals", proposals,
          {.doc = "dets.json: boxes that a detector found, by image_id",
           .path = true,
           .must_exist = true,
           .aliases = {"det_file"}});
}

std::unique_ptr<Source> open_refcoco(const RefcocoSettings& settings) {
  return Refcoco(settings).open();
}

}  // namespace tandem::data
