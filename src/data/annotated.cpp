#include "data/annotated.h"

#include <filesystem>

#include "data/file.h"
#include "data/listed.h"
#include "data/rows.h"
#include "tandem/base/error.h"

namespace tandem::data {
namespace {

namespace fs = std::filesystem;

using Kept = AnnotationList::Kept;
using Names = AnnotationList::Names;

std::string bits_of(const std::vector<Box>& boxes) {
  std::string text;
  for (const Box& box : boxes) {
    for (const double one : {box.x0, box.y0, box.x1, box.y1}) text += std::to_string(one) + ",";
  }
  return text;
}

struct Parts {
  std::string folder{};
  std::vector<Kept> kept{};
  Names pictures{}, answers{}, kinds{};
  std::vector<std::string> closed{};
  std::vector<Finding> left_out{};
};

class Annotated final : public Source {
 public:
  Annotated(const std::string& format, Parts parts) : parts_(std::move(parts)) {
    std::unordered_map<std::string, std::int64_t> places;
    for (const std::string& answer : parts_.closed) {
      places.emplace(answer, static_cast<std::int64_t>(places.size()));
    }
    for (const std::string& answer : parts_.answers.all()) {
      const auto at = places.find(answer);
      labels_.push_back(at == places.end() ? -1 : at->second);
    }
    fingerprint_ = format + ":" + std::to_string(parts_.kept.size()) + ":" + hex(hash_of_all());
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(parts_.kept.size()); }
  Sample read(std::int64_t index) const override { return sample_of(index, false); }
  Sample peek(std::int64_t index) const override { return sample_of(index, true); }
  std::string fingerprint() const override { return fingerprint_; }
  std::vector<Finding> left_out() const override { return parts_.left_out; }
  std::vector<std::string> answers() const override { return parts_.closed; }

 private:
  std::uint64_t hash_of_all() const {
    std::uint64_t hash = 0;
    for (const std::string& name : parts_.pictures.all()) {
      std::error_code none;  // a missing picture counts as size -1
      const std::uintmax_t bytes = fs::file_size(fs::path(parts_.folder) / name, none);
      hash = hash64(name + ":" + std::to_string(bytes), hash);
    }
    for (const std::string& answer : parts_.closed) hash = hash64(answer, hash);
    for (const Kept& one : parts_.kept) {
      std::string all = one.id + "\n" + one.text + "\n" + std::to_string(one.label);
      for (const std::int32_t picture : one.pictures) all += " " + std::to_string(picture);
      for (const auto& [answer, score] : one.answers) {
        all += "\n" + parts_.answers.at(answer) + " " + std::to_string(score);
      }
      hash = hash64(all + bits_of(one.boxes) + bits_of(one.proposals), hash);
    }
    return hash;
  }

  Sample sample_of(std::int64_t index, bool only_start) const {
    TANDEM_CHECK(index >= 0 && index < size(), "[data] an index out of range");
    const Kept& one = parts_.kept[static_cast<std::size_t>(index)];
    Sample sample;
    sample.id = one.id;
    sample.picture_id = static_cast<std::int64_t>(hash64(parts_.pictures.at(one.pictures[0])) >> 1);
    (one.is_question ? sample.question : sample.texts.emplace_back()) = one.text;
    for (const auto& [answer, score] : one.answers) {
      sample.answers.push_back({parts_.answers.at(answer), static_cast<double>(score),
                                labels_[static_cast<std::size_t>(answer)]});
    }
    sample.label = one.label;
    if (!sample.answers.empty()) {
      sample.answer = sample.answers[0].text;
      sample.label = sample.answers[0].label;
    }
    sample.boxes = one.boxes;
    sample.proposals = one.proposals;
    sample.kind = parts_.kinds.at(one.kind);
    for (const std::int32_t picture : one.pictures) {
      if (picture < 0) continue;
      const std::string& name = parts_.pictures.at(picture);
      const std::string path = (fs::path(parts_.folder) / name).string();
      try {
        sample.pictures.push_back(picture_of_file(path, name, only_start));
      } catch (const Error& error) {  // named as in the folder, wherever that lies
        throw Error(error.kind(), error.message(), one.id + ": " + name);
      }
    }
    return sample;
  }

  Parts parts_;
  std::vector<std::int64_t> labels_{};  // of the answers, by number
  std::string fingerprint_{};
};

}  // namespace

std::int32_t AnnotationList::Names::number(const std::string& name) {
  const auto [at, is_new] = index_.try_emplace(name, static_cast<std::int32_t>(names_.size()));
  if (is_new) names_.push_back(name);
  return at->second;
}

void AnnotationList::leave_out(const std::string& where, const std::string& what) {
  left_out_.push_back({where, what});
}

void AnnotationList::add(Annotation one, const std::string& where) {
  const bool is_question = !one.question.empty();
  const std::string& text = is_question ? one.question : one.sentence;
  if (!is_utf8(text)) return leave_out(where, "expected a text in UTF-8");
  Kept kept;
  kept.text = std::string(trimmed(text));
  if (kept.text.empty()) return leave_out(where, "expected a text; got an empty one");
  for (std::size_t i = 0; i < 2; ++i) {
    if (i == 1 && one.pictures[i].empty()) break;
    if (const std::string refused = refused_name(one.pictures[i]); !refused.empty()) {
      return leave_out(where, "expected a picture's name below the folder; got " + refused);
    }
    kept.pictures[i] = pictures_.number(one.pictures[i]);
  }
  kept.id = std::move(one.id);
  kept.is_question = is_question;
  kept.label = one.label;
  kept.boxes = std::move(one.boxes);
  kept.proposals = std::move(one.proposals);
  kept.kind = kinds_.number(one.kind);
  for (const Answer& answer : one.answers) {
    kept.answers.emplace_back(answers_.number(answer.text), static_cast<float>(answer.score));
  }
  kept_.push_back(std::move(kept));
}

std::unique_ptr<Source> AnnotationList::source(const std::string& format, const std::string& file,
                                               const std::string& folder,
                                               std::vector<std::string> closed) {
  if (kept_.empty()) {
    const std::string first =
        left_out_.empty() ? "" : "; the first: " + left_out_[0].where + ": " + left_out_[0].what;
    throw Error(ErrorKind::data,
                "[" + format + "] expected texts with pictures; got none, and " +
                    std::to_string(left_out_.size()) + " that cannot be used" + first,
                file);
  }
  warn_of_left_out(file, left_out_);
  return std::make_unique<Annotated>(
      format, Parts{folder, std::move(kept_), std::move(pictures_), std::move(answers_),
                    std::move(kinds_), std::move(closed), std::move(left_out_)});
}

void for_each_row(
    const std::string& path, AnnotationList& list,
    const std::function<void(const std::string& row, const std::string& where)>& act) {
  const Rows rows(path, {});
  for (std::int64_t i = 0; i < rows.count(); ++i) {
    try {
      act(rows.row(i), rows.where(i));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      list.leave_out(rows.where(i), error.message());
    }
  }
}

}  // namespace tandem::data
