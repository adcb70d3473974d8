#include "tandem/data/coco.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "data/boxed.h"
#include "data/file.h"
#include "data/json_list.h"
#include "data/listed.h"
#include "tandem/base/error.h"

namespace tandem::data {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t coco_bytes = std::int64_t{4} << 30;

class CocoReader {
 public:
  explicit CocoReader(const CocoSettings& settings) : settings_(settings) {}

  void element(const std::string& list, std::int64_t number, const Json& element) {
    const std::string where = element_place(settings_.path, list, number);
    if (list.empty()) {
      listed(element, where);
    } else if (list == "annotations") {
      annotation(element, where);
    } else if (list == "images" && element.contains("sentences")) {
      karpathy(element, where);
    } else if (list == "images") {
      image(element, where);
    }
  }

  std::unique_ptr<Source> source() {
    // The annotations may stand before the images.
    for (Caption& one : captions_) {
      const auto name = names_.find(one.image);
      if (name == names_.end()) {
        found_.leave_out(one.where,
                         "expected the image_id of an image; got " + std::to_string(one.image));
      } else {
        by_image_[name->second].push_back(&one);
      }
    }
    for (std::size_t i = 0; i < order_.size(); ++i) {
      for (const Caption* one : by_image_[i]) found_.add(order_[i], one->text, one->where);
    }
    return found_.source("coco", settings_.path, settings_.pictures);
  }

 private:
  struct Caption {
    std::int64_t image = 0;
    std::string text{}, where{};
  };

  bool wanted(const std::string& split) const {
    return settings_.split.empty() || std::find(settings_.split.begin(), settings_.split.end(),
                                                split) != settings_.split.end();
  }

  void no_splits() const {
    if (settings_.split.empty()) return;
    throw Error(ErrorKind::config, "[coco] `split` is of Karpathy's files; this one has none",
                settings_.path, "leave `split` out");
  }

  void image(const Json& element, const std::string& where) {
    no_splits();
    const auto id = element.find("id");
    const std::string name = text_of(element, "file_name");
    if (id == element.end() || !id->is_number_integer() || name.empty()) {
      return found_.leave_out(where, "expected a number `id` and a text `file_name`");
    }
    if (names_.emplace(id->get<std::int64_t>(), order_.size()).second) {
      order_.push_back(name);
      by_image_.emplace_back();
    } else {
      found_.leave_out(where, "expected an id of its own; got one that stands before");
    }
  }

  void annotation(const Json& element, const std::string& where) {
    const auto id = element.find("image_id");
    const auto text = element.find("caption");
    if (id == element.end() || !id->is_number_integer() || text == element.end() ||
        !text->is_string()) {
      return found_.leave_out(where, "expected a number `image_id` and a text `caption`");
    }
    captions_.push_back({id->get<std::int64_t>(), text->get<std::string>(), where});
  }

  void karpathy(const Json& element, const std::string& where) {
    const std::string name = text_of(element, "filename"), split = text_of(element, "split");
    if (name.empty() || split.empty() || !element["sentences"].is_array()) {
      return found_.leave_out(where, "expected `filename`, `split` and a list `sentences`");
    }
    if (!wanted(split)) return;
    const std::string folder = text_of(element, "filepath");
    const std::string path = folder.empty() ? name : folder + "/" + name;
    std::int64_t number = 0;
    for (const Json& sentence : element["sentences"]) {
      const std::string place = where + ".sentences[" + std::to_string(number++) + "]";
      if (!sentence.is_object() || text_of(sentence, "raw").empty()) {
        found_.leave_out(place, "expected a text `raw`");
      } else {
        found_.add(path, text_of(sentence, "raw"), place);
      }
    }
  }

  void listed(const Json& element, const std::string& where) {
    no_splits();
    const std::string name = text_of(element, "image");
    const auto caption = element.find("caption");
    if (name.empty() || caption == element.end()) {
      return found_.leave_out(where, "expected a text `image` and a `caption`");
    }
    const Json texts = caption->is_array() ? *caption : Json::array({*caption});
    for (const Json& text : texts) {
      if (text.is_string()) {
        found_.add(name, text.get<std::string>(), where);
      } else {
        found_.leave_out(where, "expected a text or a list of texts as `caption`");
      }
    }
  }

  const CocoSettings& settings_;
  CaptionList found_{};
  std::unordered_map<std::int64_t, std::size_t> names_{};  // image id -> place in order_
  std::vector<std::string> order_{};
  std::vector<std::vector<const Caption*>> by_image_{};
  std::vector<Caption> captions_{};
};

}  // namespace

void CocoSettings::fields(FieldVisitor& v) {
  v.field("path", path,
          {.doc = "captions_*.json, Karpathy's dataset_*.json, or a list of {image, caption}",
           .required = true,
           .path = true,
           .must_exist = true,
           .aliases = {"annotations", "ann_file", "captions"}});
  v.field("pictures", pictures,
          {.doc = "the folder that the file's names start from",
           .required = true,
           .path = true,
           .must_exist = true,
           .aliases = {"images", "image_root", "vis_root", "image_folder"}});
  v.field("split", split,
          {.doc = "of Karpathy's files, some of train, restval, val, test; empty: all"});
  v.field("instances", instances,
          {.doc = "instances_*.json, what is in which box, for instruction data (`data instruct`)",
           .path = true,
           .must_exist = true});
}

std::unique_ptr<Source> open_coco(const CocoSettings& settings) {
  CocoReader reader(settings);
  for_each_element(read_text(settings.path, coco_bytes), settings.path, "coco",
                   [&](const std::string& list, std::int64_t number, const Json& element) {
                     reader.element(list, number, element);
                   });
  std::unique_ptr<Source> source = reader.source();
  if (settings.instances.empty()) return source;
  return with_boxes(std::move(source), settings.instances);
}

}  // namespace tandem::data
