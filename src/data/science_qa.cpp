#include "tandem/data/science_qa.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/file.h"
#include "data/json_list.h"
#include "data/listed.h"
#include "tandem/base/error.h"
#include "tandem/base/json.h"
#include "tandem/text/words.h"

namespace tandem::data {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t largest_science_file = std::int64_t{1} << 30;
constexpr std::string_view science_letters = "ABCDE";
constexpr const char* letter_request =
    "\nAnswer with the option's letter from the given choices directly.";

struct ScienceProblem {
  std::string id{}, picture{};  // picture: its name below the folder; empty: none
  std::string asked{}, answered{};
  std::size_t right = 0, choices = 0;
};

[[noreturn]] void refuse_science(const std::string& what, const std::string& where) {
  throw Error(ErrorKind::data, "[science_qa] " + what, where);
}

// str.replace(from, to) of Python: each once, from the left.
std::string with_replaced(const std::string& text, std::string_view from, std::string_view to) {
  std::string made;
  std::size_t at = 0;
  for (std::size_t next = text.find(from); next != std::string::npos; next = text.find(from, at)) {
    made.append(text, at, next - at).append(to);
    at = next + from.size();
  }
  return made.append(text, at);
}

// `start` is taken out everywhere when the text begins with it: what the conversion does.
std::string without_start(const std::string& text, std::string_view start) {
  return text.starts_with(start) ? with_replaced(text, start, "") : text;
}

// What the conversion does to both sides at last.
std::string tidied(const std::string& given) {
  std::string text = text::trimmed(with_replaced(given, "  ", " "));
  if (text.ends_with("BECAUSE:")) text = text::trimmed(with_replaced(text, "BECAUSE:", ""));
  return text;
}

std::string asked_of(const Json& problem, const std::string& form, const std::string& caption) {
  std::string context = text::trimmed(text_of(problem, "hint") + " " + caption);
  if (context.empty()) context = "N/A";
  std::string options;
  std::size_t number = 0;
  for (const Json& choice : problem.at("choices")) {
    options += (number == 0 ? "(" : " (") + std::string(1, science_letters.at(number)) + ") " +
               choice.get<std::string>();
    ++number;
  }
  const std::string question = "Question: " + text_of(problem, "question") + "\n";
  context = "Context: " + context + "\n";
  const std::string input =
      (form.starts_with("CQM") ? context + question : question + context) + "Options: " + options;
  return without_start(tidied(input + "\n"), "Question: ");
}

std::string answered_of(const Json& problem, const std::string& form, char letter) {
  const std::string answer = "The answer is " + std::string(1, letter) + ".";
  const std::string lecture = with_replaced(text_of(problem, "lecture"), "\\n", "\n");
  const std::string solution = with_replaced(text_of(problem, "solution"), "\\n", "\n");
  std::string output = "Answer: ";
  if (form.ends_with("-LEA")) {
    output += lecture + " " + solution + " " + answer;
  } else if (form.ends_with("-ALE")) {
    output += answer + " BECAUSE: " + lecture + " " + solution;
  } else {
    output += answer;
  }
  return without_start(tidied(output), "Answer: ");
}

class ScienceReader {
 public:
  explicit ScienceReader(const ScienceQaSettings& settings)
      : s_(settings), problems_path_(settings.path + "/problems.json") {}

  std::vector<ScienceProblem> read() {
    const Json problems = object_in(problems_path_);
    const std::string splits_path = s_.path + "/pid_splits.json";
    const Json splits = object_in(splits_path);
    if (!s_.captions.empty()) captions_ = object_in(s_.captions);
    if (captions_.is_object() && captions_.contains("captions")) {
      captions_ = Json(captions_["captions"]);
    }
    std::vector<ScienceProblem> found;
    for (const std::string& split : s_.split) {
      const auto ids = splits.find(split);
      if (ids == splits.end() || !ids->is_array()) {
        refuse_science("expected a list of the split '" + split + "'; got none", splits_path);
      }
      for (const Json& id : *ids) add(problems, id, split, found);
    }
    return found;
  }

  std::vector<Finding> left_out{};

 private:
  static Json object_in(const std::string& path) {
    Json json = parse_json(read_text(path, largest_science_file), path);
    if (!json.is_object()) refuse_science("expected an object; got another JSON", path);
    return json;
  }

  void add(const Json& problems, const Json& id, const std::string& split,
           std::vector<ScienceProblem>& found) {
    const std::string name = id.is_number_integer() ? std::to_string(id.get<std::int64_t>())
                             : id.is_string()       ? id.get<std::string>()
                                                    : id.dump();
    const std::string where = problems_path_ + ": " + name;
    const auto problem = problems.find(name);
    if (problem == problems.end() || !problem->is_object()) {
      left_out.push_back({where, "expected a problem of an id in " + split + "; got none"});
      return;
    }
    std::string wrong = wrong_with(*problem, name);
    if (!wrong.empty()) {
      left_out.push_back({where, std::move(wrong)});
      return;
    }
    ScienceProblem one;
    one.id = name;
    one.right = (*problem)["answer"].get<std::size_t>();
    one.choices = (*problem)["choices"].size();
    if (const std::string picture = text_of(*problem, "image"); !picture.empty()) {
      const std::string own = text_of(*problem, "split");
      one.picture = (own.empty() ? split : own) + "/" + name + "/" + picture;
    }
    const char letter = science_letters.at(one.right);
    const std::string caption = captions_.is_object() ? text_of(captions_, name.c_str()) : "";
    one.asked = asked_of(*problem, s_.form, caption);
    one.answered = answered_of(*problem, s_.form, letter);
    if (s_.ask_letter) {
      one.asked += letter_request;
      one.answered = std::string(1, letter);
    }
    found.push_back(std::move(one));
  }

  // Empty: nothing.
  static std::string wrong_with(const Json& problem, const std::string& id) {
    for (const char* key : {"question", "hint", "lecture", "solution"}) {
      const auto member = problem.find(key);
      if (member == problem.end() || !member->is_string()) {
        return "expected a text `" + std::string(key) + "`";
      }
    }
    const auto choices = problem.find("choices"), answer = problem.find("answer");
    const auto image = problem.find("image");
    if (choices == problem.end() || !choices->is_array() || choices->empty() ||
        choices->size() > science_letters.size() ||
        !std::all_of(choices->begin(), choices->end(),
                     [](const Json& choice) { return choice.is_string(); })) {
      return "expected 1 to 5 texts `choices`";
    }
    if (answer == problem.end() || !answer->is_number_integer() || *answer < 0 ||
        *answer >= choices->size()) {
      return "expected the place of a choice as `answer`";
    }
    if (image != problem.end() && !image->is_null() && !image->is_string()) {
      return "expected a name or null as `image`";
    }
    const std::string name = text_of(problem, "split") + "/" + id + "/" + text_of(problem, "image");
    const std::string refused = refused_name(name);
    return refused.empty() ? "" : "expected a picture's name below the folder; got " + refused;
  }

  const ScienceQaSettings& s_;
  std::string problems_path_;
  Json captions_{};
};

class ScienceSource final : public Source {
 public:
  ScienceSource(std::string folder, std::vector<ScienceProblem> problems,
                std::vector<Finding> left_out)
      : folder_(std::move(folder)), problems_(std::move(problems)), left_out_(std::move(left_out)) {
    std::uint64_t hash = 0;
    for (const ScienceProblem& one : problems_) {
      std::error_code none;  // a missing picture counts as size -1
      const std::uintmax_t bytes =
          one.picture.empty() ? 0 : std::filesystem::file_size(folder_ + "/" + one.picture, none);
      hash = hash64(one.id + "\n" + one.picture + "\n" + std::to_string(bytes) + "\n" + one.asked +
                        "\n" + one.answered,
                    hash);
    }
    fingerprint_ = "science_qa:" + std::to_string(problems_.size()) + ":" + hex(hash);
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(problems_.size()); }
  Sample read(std::int64_t index) const override { return sample_of(index, false); }
  Sample peek(std::int64_t index) const override { return sample_of(index, true); }
  std::string fingerprint() const override { return fingerprint_; }
  std::vector<Finding> left_out() const override { return left_out_; }

 private:
  Sample sample_of(std::int64_t index, bool only_start) const {
    TANDEM_CHECK(index >= 0 && index < size(), "[science_qa] an index out of range");
    const ScienceProblem& one = problems_[static_cast<std::size_t>(index)];
    Sample sample;
    sample.id = one.id;
    sample.picture_id = static_cast<std::int64_t>(
        hash64(one.picture.empty() ? "problem " + one.id : one.picture) >> 1);
    sample.kind = one.picture.empty() ? "text" : "picture";
    sample.question = one.asked;
    sample.answer = std::string(1, science_letters[one.right]);
    sample.answers.push_back({sample.answer, 1, -1});
    for (std::size_t i = 0; i < one.choices; ++i) {
      if (i != one.right) sample.answers.push_back({std::string(1, science_letters[i]), 0, -1});
    }
    Turn turn{"user", {text::text_part(one.asked)}};
    if (!one.picture.empty()) show(one, only_start, sample, turn);
    sample.turns = {std::move(turn), {"assistant", {text::text_part(one.answered)}}};
    return sample;
  }

  // The tag stands behind the question, as in the conversion.
  void show(const ScienceProblem& one, bool only_start, Sample& sample, Turn& turn) const {
    turn.parts[0].text += "\n";
    turn.parts[0].tagged = true;
    turn.parts.push_back(text::picture_part(0));
    const std::string path = folder_ + "/" + one.picture;
    try {
      sample.pictures.push_back(picture_of_file(path, one.picture, only_start));
    } catch (const Error& error) {  // named as in the folder, wherever that lies
      throw Error(error.kind(), error.message(), one.id + ": " + one.picture);
    }
  }

  std::string folder_;
  std::vector<ScienceProblem> problems_;
  std::vector<Finding> left_out_;
  std::string fingerprint_{};
};

}  // namespace

void ScienceQaSettings::fields(FieldVisitor& v) {
  v.field("path", path,
          {.doc = "the folder of problems.json and pid_splits.json (data/scienceqa)",
           .required = true,
           .path = true,
           .must_exist = true,
           .aliases = {"base_dir", "data_root"}});
  v.field("pictures", pictures,
          {.doc = "the folder of train, val, test; empty: images in `path`",
           .path = true,
           .must_exist = true,
           .aliases = {"images", "image_folder", "image_root"}});
  v.field("split", split, {.doc = "some of pid_splits.json: train, val, test, minival, minitest"});
  v.field("form", form,
          {.doc = "what is asked - what is answered: Question, Context, M options; Lecture, "
                  "Explanation, Answer",
           .choices = {"QCM-LEA", "QCM-ALE", "QCM-A", "CQM-A"},
           .aliases = {"prompt_format"}});
  v.field("captions", captions,
          {.doc = "captions.json, whose texts stand behind the hints; empty: none",
           .path = true,
           .must_exist = true,
           .aliases = {"caption_file"}});
  v.field("ask_letter", ask_letter,
          {.doc = "ask for the option's letter alone behind the question, and answer with it",
           .aliases = {"single_pred_prompt"}});
  if (split.empty()) v.problem("split", "expected a split; got none");
}

std::unique_ptr<Source> open_science_qa(const ScienceQaSettings& settings) {
  ScienceReader reader(settings);
  std::vector<ScienceProblem> found = reader.read();
  const std::string file = settings.path + "/problems.json";
  if (found.empty()) {
    const std::string first = reader.left_out.empty() ? ""
                                                      : "; the first: " + reader.left_out[0].where +
                                                            ": " + reader.left_out[0].what;
    refuse_science("expected problems; got none, and " + std::to_string(reader.left_out.size()) +
                       " that cannot be used" + first,
                   file);
  }
  warn_of_left_out(file, reader.left_out);
  std::string folder = settings.pictures.empty() ? settings.path + "/images" : settings.pictures;
  return std::make_unique<ScienceSource>(std::move(folder), std::move(found),
                                         std::move(reader.left_out));
}

}  // namespace tandem::data
