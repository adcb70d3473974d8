#include "tandem/data/vqa.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "data/annotated.h"
#include "data/file.h"
#include "data/json_list.h"
#include "tandem/base/error.h"
#include "tandem/base/log.h"

namespace tandem::data {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::int64_t questions_bytes = std::int64_t{4} << 30;

double soft_score(int people) { return people >= 4 ? 1 : 0.3 * people; }

struct Given {
  std::string kind{}, where{};
  std::vector<Answer> answers{};  // by falling score, of equals the first one given
};

// Answers of people, each once with its score.
std::vector<Answer> scored(const Json& list, bool soft) {
  std::vector<std::pair<std::string, int>> counts;
  int people = 0;
  for (const Json& one : list) {
    const std::string text = one.is_object() ? text_of(one, "answer") : "";
    if (text.empty()) continue;
    ++people;
    const auto at = std::find_if(counts.begin(), counts.end(),
                                 [&](const auto& known) { return known.first == text; });
    if (at == counts.end()) {
      counts.emplace_back(text, 1);
    } else {
      ++at->second;
    }
  }
  std::stable_sort(counts.begin(), counts.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<Answer> answers;
  for (const auto& [text, count] : counts) {
    answers.push_back(
        {text, soft ? soft_score(count) : static_cast<double>(count) / people, -1, count});
  }
  return answers;
}

// Main answers in the order in which they come first, with how often they came.
class MainAnswers {
 public:
  void add(const std::string& answer) {
    const auto [at, is_new] = index_.try_emplace(answer, counts_.size());
    if (is_new) counts_.emplace_back(answer, 0);
    ++counts_[at->second].second;
  }
  void add_file(const std::string& annotations) {
    for_each_element(read_text(annotations, questions_bytes), annotations, "vqa",
                     [&](const std::string& list, std::int64_t, const Json& one) {
                       if (list != "annotations") return;
                       add(normalized_answer(text_of(one, "multiple_choice_answer")));
                     });
  }
  // Throws Error(data) where there are none; where: the file, or one of them; hint: what to do.
  std::vector<std::string> at_least(std::int64_t least, const std::string& where,
                                    const std::string& hint) const {
    std::vector<std::string> list;
    for (const auto& [answer, count] : counts_) {
      if (count >= least && !answer.empty()) list.push_back(answer);
    }
    if (list.empty()) {
      throw Error(
          ErrorKind::data,
          "[vqa] expected answers that come at least " + std::to_string(least) + " times; got none",
          where, hint);
    }
    return list;
  }

 private:
  std::vector<std::pair<std::string, std::int64_t>> counts_{};
  std::unordered_map<std::string, std::size_t> index_{};
};

class Vqa {
 public:
  explicit Vqa(const VqaSettings& settings) : s_(settings) {}

  std::unique_ptr<Source> open() {
    if (!s_.annotations.empty()) read_annotations();
    if (s_.answers == "closed") closed_ = closed_list();
    known_.insert(closed_.begin(), closed_.end());
    read_questions();
    for (const auto& [id, given] : given_) {
      list_.leave_out(given.where, "expected the question_id of a question; got " + id);
    }
    if (unanswered_ > 0) {
      log_info(s_.questions + ": " + std::to_string(unanswered_) +
               " questions without an answer of the list left out");
    }
    return list_.source("vqa", s_.questions, s_.pictures, std::move(closed_));
  }

 private:
  void read_annotations() {
    for_each_element(read_text(s_.annotations, questions_bytes), s_.annotations, "vqa",
                     [&](const std::string& list, std::int64_t number, const Json& one) {
                       if (list == "annotations")
                         annotation(one, element_place(s_.annotations, list, number));
                     });
  }

  void annotation(const Json& one, const std::string& where) {
    const std::string id = number_text_of(one, "question_id");
    const auto answers = one.find("answers");
    if (id.empty() || answers == one.end() || !answers->is_array()) {
      return list_.leave_out(where, "expected a number `question_id` and a list `answers`");
    }
    main_.add(normalized_answer(text_of(one, "multiple_choice_answer")));
    Given given{text_of(one, "answer_type"), where, scored(*answers, s_.scores == "soft")};
    if (given.answers.empty()) return list_.leave_out(where, "expected an answer; got none");
    if (!given_.emplace(id, std::move(given)).second) {
      list_.leave_out(where, "expected a question_id of its own; got " + id + " twice");
    }
  }

  std::vector<std::string> closed_list() {
    if (!s_.answer_list.empty()) return read_answer_list(s_.answer_list);
    if (!s_.also_count.empty()) main_.add_file(s_.also_count);
    return main_.at_least(s_.least, s_.annotations.empty() ? s_.questions : s_.annotations,
                          "give `answer_list`, or a lower `least`");
  }

  void read_questions() {
    std::vector<Annotation> found;
    std::vector<std::pair<std::string, std::string>> images;  // image id, where
    const Json rest = for_each_element(
        read_text(s_.questions, questions_bytes), s_.questions, "vqa",
        [&](const std::string& list, std::int64_t number, const Json& one) {
          if (list != "questions") return;
          const std::string where = element_place(s_.questions, list, number);
          Annotation annotation;
          annotation.id = number_text_of(one, "question_id");
          annotation.question = text_of(one, "question");
          const std::string image = number_text_of(one, "image_id");
          if (annotation.id.empty() || image.empty()) {
            return list_.leave_out(where, "expected numbers `question_id` and `image_id`");
          }
          found.push_back(std::move(annotation));
          images.emplace_back(image, where);
        });
    // The subset names the pictures, and may stand behind the questions.
    std::string split = rest.is_object() ? text_of(rest, "data_subtype") : "";
    if (split.starts_with("test-dev")) split = "test" + split.substr(8);
    const bool has_folder = !split.empty() && fs::is_directory(fs::path(s_.pictures) / split);
    for (std::size_t i = 0; i < found.size(); ++i) {
      const std::string name = picture_name(split, images[i].first);
      found[i].pictures[0] = has_folder ? split + "/" + name : name;
      question(std::move(found[i]), images[i].second);
    }
  }

  std::string picture_name(const std::string& split, const std::string& image) const {
    std::string name = s_.name;
    const auto put = [&](const std::string& mark, const std::string& text) {
      const std::size_t at = name.find(mark);
      if (at != std::string::npos) name.replace(at, mark.size(), text);
    };
    put("{split}", split);
    put("{image}", image);
    const std::size_t missing = image.size() < 12 ? 12 - image.size() : 0;
    put("{image:012}", std::string(missing, '0') + image);
    return name;
  }

  void question(Annotation one, const std::string& where) {
    if (!s_.annotations.empty()) {
      const auto given = given_.find(one.id);
      if (given == given_.end()) {
        return list_.leave_out(where, "expected an annotation of question " + one.id);
      }
      one.kind = given->second.kind;
      one.answers = std::move(given->second.answers);
      given_.erase(given);
      if (s_.answers == "closed") {
        std::erase_if(one.answers, [&](const Answer& a) { return !known_.contains(a.text); });
        if (one.answers.empty() && !s_.keep_unanswered) {
          ++unanswered_;
          return;
        }
      }
    }
    list_.add(std::move(one), where);
  }

  const VqaSettings& s_;
  std::map<std::string, Given> given_{};  // by question
  MainAnswers main_{};
  std::vector<std::string> closed_{};
  std::unordered_set<std::string> known_{};
  AnnotationList list_{};
  std::int64_t unanswered_ = 0;
};

// Where a picture of Visual Genome lies: in one of the two folders of the release, or beside them.
std::string genome_picture(const std::string& folder, const std::string& id) {
  for (const std::string place : {"VG_100K/", "VG_100K_2/"}) {
    std::error_code none;
    if (fs::exists(fs::path(folder) / (place + id + ".jpg"), none)) return place + id + ".jpg";
  }
  return id + ".jpg";
}

}  // namespace

void VqaSettings::fields(FieldVisitor& v) {
  v.field("questions", questions,
          {.doc = "v2_OpenEnded_mscoco_*_questions.json",
           .required = true,
           .path = true,
           .must_exist = true,
           .aliases = {"path"}});
  v.field("annotations", annotations,
          {.doc = "v2_mscoco_*_annotations.json; empty: a test split, without answers",
           .path = true,
           .must_exist = true,
           .aliases = {"ann_file"}});
  v.field("pictures", pictures,
          {.doc = "COCO's pictures, or the folder with train2014, val2014 and test2015",
           .required = true,
           .path = true,
           .must_exist = true,
           .aliases = {"images", "image_root", "vqa_root"}});
  v.field("name", name,
          {.doc = "how pictures are called: {split} is the questions' data_subtype, {image} or "
                  "{image:012} the image_id"});
  v.field("answers", answers,
          {.doc = "closed: those of a list; open: all", .choices = {"closed", "open"}});
  v.field("answer_list", answer_list,
          {.doc = "the closed list: JSON or a line each; empty: counted",
           .path = true,
           .must_exist = true});
  v.field("also_count", also_count,
          {.doc = "other annotations that are counted for the list (those of val2014)",
           .path = true,
           .must_exist = true});
  v.field("least", least,
          {.doc = "an answer of the list is the main one of so many questions", .min = 1});
  v.field("scores", scores,
          {.doc = "of an answer: soft, 0.3 for each who gave it and 1 from four on; share: of them",
           .choices = {"soft", "share"}});
  v.field("keep_unanswered", keep_unanswered, {.doc = "keep questions with no answer of the list"});
  if (name.find("{image") == std::string::npos) v.problem("name", "expected {image} in it");
  if (answers == "closed" && annotations.empty() && answer_list.empty() && also_count.empty()) {
    v.problem("answer_list", "expected a list where there are no annotations to count");
  }
}

std::unique_ptr<Source> open_vqa(const VqaSettings& settings) { return Vqa(settings).open(); }

std::vector<std::string> main_answers(const std::vector<std::string>& annotations,
                                      std::int64_t least) {
  MainAnswers counted;
  for (const std::string& file : annotations) counted.add_file(file);
  return counted.at_least(least, annotations.empty() ? std::string() : annotations.front(),
                          "a lower `least`");
}

void VisualGenomeQaSettings::fields(FieldVisitor& v) {
  v.field("path", path,
          {.doc = "question_answers.json",
           .required = true,
           .path = true,
           .must_exist = true,
           .aliases = {"annotations", "ann_file"}});
  v.field("pictures", pictures,
          {.doc = "the folder with VG_100K and VG_100K_2, or with ID.jpg",
           .required = true,
           .path = true,
           .must_exist = true,
           .aliases = {"images", "image_root", "vg_root"}});
  v.field("answers", answers,
          {.doc = "closed: those of a list; open: all", .choices = {"closed", "open"}});
  v.field("answer_list", answer_list,
          {.doc = "the closed list: JSON or a line each", .path = true, .must_exist = true});
  v.field("score", score, {.doc = "of its one answer", .min = 0, .max = 1});
  if (answers == "closed" && answer_list.empty()) {
    v.problem("answer_list", "expected a file with closed answers, or `answers: open`");
  }
}

std::unique_ptr<Source> open_visual_genome_qa(const VisualGenomeQaSettings& settings) {
  std::vector<std::string> closed;
  if (settings.answers == "closed") closed = read_answer_list(settings.answer_list);
  const std::unordered_set<std::string> known(closed.begin(), closed.end());
  AnnotationList list;
  std::int64_t unanswered = 0;
  const auto question = [&](const Json& one, const std::string& name, const std::string& where) {
    Annotation annotation;
    annotation.id = one.is_object() ? number_text_of(one, "qa_id") : "";
    if (annotation.id.empty() || text_of(one, "answer").empty()) {
      return list.leave_out(where, "expected a number `qa_id` and texts `question`, `answer`");
    }
    annotation.question = text_of(one, "question");
    annotation.pictures[0] = name;
    annotation.answers = {{normalized_answer(text_of(one, "answer")), settings.score, -1}};
    if (!closed.empty() && !known.contains(annotation.answers[0].text)) {
      ++unanswered;
      return;
    }
    list.add(std::move(annotation), where);
  };
  for_each_element(read_text(settings.path, questions_bytes), settings.path, "visual_genome_qa",
                   [&](const std::string& name, std::int64_t number, const Json& image) {
                     const std::string where = element_place(settings.path, name, number);
                     const std::string id = number_text_of(image, "id");
                     const auto questions = image.find("qas");
                     if (id.empty() || questions == image.end() || !questions->is_array()) {
                       return list.leave_out(where, "expected a number `id` and a list `qas`");
                     }
                     const std::string picture = genome_picture(settings.pictures, id);
                     std::int64_t i = 0;
                     for (const Json& one : *questions) {
                       question(one, picture, where + ".qas[" + std::to_string(i++) + "]");
                     }
                   });
  if (unanswered > 0) {
    log_info(settings.path + ": " + std::to_string(unanswered) +
             " questions whose answer is not in the list left out");
  }
  return list.source("visual_genome_qa", settings.path, settings.pictures, std::move(closed));
}

}  // namespace tandem::data
