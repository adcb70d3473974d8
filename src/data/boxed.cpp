#include "data/boxed.h"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "data/file.h"
#include "data/json_list.h"
#include "data/listed.h"
#include "tandem/base/error.h"

namespace tandem::data {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t instances_bytes = std::int64_t{4} << 30;

std::string without_folders(const std::string& name) {
  const std::size_t slash = name.find_last_of('/');
  return slash == std::string::npos ? name : name.substr(slash + 1);
}

struct NamedBox {
  std::array<float, 4> corners{};
  std::int64_t category = 0;
};

struct Instances {
  std::unordered_map<std::string, std::vector<NamedBox>> by_name{};  // of the picture's file
  std::unordered_map<std::int64_t, std::string> categories{};
  std::vector<Finding> left_out{};
};

class InstancesReader {
 public:
  explicit InstancesReader(const std::string& path) : path_(path) {}

  Instances read() {
    const std::string text = read_text(path_, instances_bytes);
    for_each_element(text, path_, "coco",
                     [&](const std::string& list, std::int64_t number, const Json& one) {
                       element(list, element_place(path_, list, number), one);
                     });
    std::size_t boxes = 0;
    for (auto& [image, name] : names_) {
      const auto found = boxes_.find(image);
      if (found == boxes_.end()) continue;
      boxes += found->second.size();
      made_.by_name[without_folders(name)] = std::move(found->second);
      boxes_.erase(found);
    }
    for (const auto& [image, lost] : boxes_) {
      made_.left_out.push_back(
          {path_, "expected an image of the boxes of " + std::to_string(image) + "; got none"});
    }
    if (boxes == 0) {
      throw Error(ErrorKind::data, "[coco] expected boxes of pictures; got none", path_);
    }
    return std::move(made_);
  }

 private:
  static std::optional<std::int64_t> whole(const Json& object, const char* key) {
    const auto member = object.find(key);
    if (member == object.end() || !member->is_number_integer()) return {};
    return member->get<std::int64_t>();
  }

  void element(const std::string& list, const std::string& where, const Json& one) {
    const auto leave_out = [&](const char* what) { made_.left_out.push_back({where, what}); };
    if (list == "images") {
      const auto id = whole(one, "id");
      if (!id || text_of(one, "file_name").empty()) {
        return leave_out("expected a number `id` and a text `file_name`");
      }
      names_[*id] = text_of(one, "file_name");
    } else if (list == "categories") {
      const auto id = whole(one, "id");
      if (!id || text_of(one, "name").empty()) {
        return leave_out("expected a number `id` and a text `name`");
      }
      made_.categories[*id] = text_of(one, "name");
    } else if (list == "annotations") {
      if (whole(one, "iscrowd").value_or(0) != 0) return;
      const auto image = whole(one, "image_id"), category = whole(one, "category_id");
      const auto box = box_of(one);
      if (!image || !category || !box) {
        return leave_out("expected numbers `image_id` and `category_id`, and four numbers `bbox`");
      }
      boxes_[*image].push_back({*box, *category});
    }
  }

  static std::optional<std::array<float, 4>> box_of(const Json& one) {
    const auto member = one.find("bbox");
    if (member == one.end() || !member->is_array() || member->size() != 4) return {};
    std::array<double, 4> given{};
    for (std::size_t i = 0; i < 4; ++i) {
      if (!(*member)[i].is_number()) return {};
      given.at(i) = (*member)[i].get<double>();
      if (!std::isfinite(given.at(i))) return {};
    }
    return std::array<float, 4>{static_cast<float>(given[0]), static_cast<float>(given[1]),
                                static_cast<float>(given[0] + given[2]),
                                static_cast<float>(given[1] + given[3])};
  }

  const std::string& path_;
  std::unordered_map<std::int64_t, std::string> names_{};
  std::unordered_map<std::int64_t, std::vector<NamedBox>> boxes_{};
  Instances made_{};
};

class BoxedSource final : public Source {
 public:
  BoxedSource(std::unique_ptr<Source> source, Instances instances, std::uint64_t hash)
      : source_(std::move(source)), instances_(std::move(instances)) {
    fingerprint_ = source_->fingerprint() + ":boxes:" + hex(hash);
  }

  std::int64_t size() const override { return source_->size(); }
  Sample read(std::int64_t index) const override { return boxed_sample(source_->read(index)); }
  Sample peek(std::int64_t index) const override { return boxed_sample(source_->peek(index)); }
  std::string fingerprint() const override { return fingerprint_; }
  std::vector<Finding> left_out() const override {
    std::vector<Finding> all = source_->left_out();
    all.insert(all.end(), instances_.left_out.begin(), instances_.left_out.end());
    return all;
  }

 private:
  Sample boxed_sample(Sample sample) const {
    if (sample.pictures.empty()) return sample;
    const auto found = instances_.by_name.find(without_folders(sample.pictures[0].name));
    if (found == instances_.by_name.end()) return sample;
    for (const NamedBox& one : found->second) {
      const auto category = instances_.categories.find(one.category);
      if (category == instances_.categories.end()) continue;
      sample.boxes.push_back({one.corners[0], one.corners[1], one.corners[2], one.corners[3]});
      sample.box_names.push_back(category->second);
    }
    return sample;
  }

  std::unique_ptr<Source> source_;
  Instances instances_;
  std::string fingerprint_{};
};

}  // namespace

std::unique_ptr<Source> with_boxes(std::unique_ptr<Source> source, const std::string& instances) {
  Instances made = InstancesReader(instances).read();
  warn_of_left_out(instances, made.left_out);
  const std::uint64_t hash = hash64(read_text(instances, instances_bytes));
  return std::make_unique<BoxedSource>(std::move(source), std::move(made), hash);
}

}  // namespace tandem::data
