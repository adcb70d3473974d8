#include "tandem/data/science_qa.h"

#include "support.h"
#include "tandem/data/dialogue.h"

namespace science_qa_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::test;

namespace {

// The release's layout with four problems that touch the conversion's corners: double spaces, the
// words that it cuts, no lecture, five choices.
constexpr const char* problems = R"json({
 "1": {"question": "Which  of these states is farthest north?",
  "choices": ["West Virginia", "Louisiana", "Arizona", "Oklahoma"], "answer": 0, "hint": "",
  "image": "image.png", "task": "closed choice", "grade": "grade2", "subject": "social science",
  "topic": "geography", "category": "Geography", "skill": "Read a map",
  "lecture": "Maps have four cardinal directions.\nNorth is up.  ",
  "solution": "To find the answer, look at the map.", "split": "train"},
 "2": {"question": "Question: what is the passage about?", "choices": ["rain", "the sun"],
  "answer": 1, "hint": "Read the   passage. \nAnswer: then answer.", "image": null, "lecture": "",
  "solution": "", "split": "train"},
 "3": {"question": "Is it?", "choices": ["yes", "no"], "answer": 0, "hint": "Look.", "image": null,
  "lecture": "A lecture.", "solution": "", "split": "train"},
 "4": {"question": "Which is bigger?", "choices": ["a", "b", "c", "d", "e"], "answer": 4,
  "hint": "A hint.", "image": "image.png", "lecture": "", "solution": "As Answer: e is.",
  "split": "val"}})json";

// What scripts/convert_sqa_to_llava.py (haotian-liu/LLaVA c121f04) made of them, run on the file.
constexpr const char* converted = R"json([
 {"id": "1", "image": "train/1/image.png", "conversations": [
  {"from": "human", "value": "Which of these states is farthest north?\nContext: N/A\nOptions: (A) West Virginia (B) Louisiana (C) Arizona (D) Oklahoma\n<image>"},
  {"from": "gpt", "value": "Maps have four cardinal directions.\nNorth is up.  To find the answer, look at the map. The answer is A."}]},
 {"id": "2", "conversations": [
  {"from": "human", "value": "what is the passage about?\nContext: Read the  passage. \nAnswer: then answer.\nOptions: (A) rain (B) the sun"},
  {"from": "gpt", "value": " The answer is B."}]},
 {"id": "3", "conversations": [
  {"from": "human", "value": "Is it?\nContext: Look.\nOptions: (A) yes (B) no"},
  {"from": "gpt", "value": "A lecture. The answer is A."}]},
 {"id": "4", "image": "val/4/image.png", "conversations": [
  {"from": "human", "value": "Which is bigger?\nContext: A hint.\nOptions: (A) a (B) b (C) c (D) d (E) e\n<image>"},
  {"from": "gpt", "value": "As e is. The answer is E."}]}])json";

class Release {
 public:
  explicit Release(const std::string& text = problems) {
    dir.write("problems.json", text);
    dir.write("pid_splits.json", R"({"train": ["1", "2", "3"], "val": ["4"], "test": [],
                                     "minival": ["4"], "both": ["1", "2", "3", "4"], "lost": ["9"]})");
    dir.write("captions.json",
              R"({"date": "", "captions": {"1": "a map of  the states", "4": "two letters"}})");
    dir.write("images/train/1/image.png", png_of(pattern(6, 4, 1)));
    dir.write("images/val/4/image.png", png_of(pattern(5, 4, 2)));
  }
  ScienceQaSettings settings(const std::string& split, const std::string& form = "QCM-LEA") const {
    ScienceQaSettings made;
    made.path = dir.path();
    made.split = {split};
    made.form = form;
    return made;
  }
  std::vector<std::string> texts(const ScienceQaSettings& settings) const {
    const auto source = open_science_qa(settings);
    std::vector<std::string> all;
    for (std::int64_t i = 0; i < source->size(); ++i) {
      const Sample sample = source->read(i);
      all.push_back(sample.turns[0].parts[0].text + "|" + sample.turns[1].parts[0].text);
    }
    return all;
  }
  TempDir dir{};
};

}  // namespace

TEST_CASE("problems are the dialogues that the released conversion makes of them") {
  const Release release;
  const auto source = open_science_qa(release.settings("both"));
  DialogueSettings dialogue;
  dialogue.path = release.dir.write("converted.json", converted);
  dialogue.pictures = release.dir / "images";
  const auto expected = open_dialogue(dialogue);
  REQUIRE(source->size() == expected->size());
  for (std::int64_t i = 0; i < source->size(); ++i) {
    const Sample one = source->read(i), other = expected->read(i);
    CAPTURE(i);
    CHECK((one.turns == other.turns));
    REQUIRE(one.pictures.size() == other.pictures.size());
    if (!one.pictures.empty()) CHECK(one.pictures[0].encoded == other.pictures[0].encoded);
    CHECK(one.kind == (one.pictures.empty() ? "text" : "picture"));
    CHECK((source->peek(i).turns == one.turns));
  }
}

TEST_CASE("a problem says what is scored: its letter, the others, whether it has a picture") {
  const Release release;
  const Sample sample = open_science_qa(release.settings("minival"))->read(0);
  CHECK(sample.id == "4");
  CHECK(sample.question ==
        "Which is bigger?\nContext: A hint.\nOptions: (A) a (B) b (C) c (D) d (E) e");
  CHECK(sample.answer == "E");
  CHECK(sample.answers ==
        std::vector<Answer>{
            {"E", 1, -1, 0}, {"A", 0, -1, 0}, {"B", 0, -1, 0}, {"C", 0, -1, 0}, {"D", 0, -1, 0}});
}

TEST_CASE("other forms, the pictures' captions, and the letter alone") {
  const Release release;
  // As the conversion wrote them for QCM-ALE and CQM-A.
  CHECK(release.texts(release.settings("train", "QCM-ALE"))[1] ==
        "what is the passage about?\nContext: Read the  passage. \nAnswer: then answer.\nOptions: "
        "(A) rain (B) the sun|The answer is B.");
  CHECK(release.texts(release.settings("minival", "QCM-ALE"))[0] ==
        "Which is bigger?\nContext: A hint.\nOptions: (A) a (B) b (C) c (D) d (E) e\n|"
        "The answer is E. BECAUSE: As e is.");
  CHECK(release.texts(release.settings("train", "CQM-A"))[1] ==
        "Context: Read the  passage. \nAnswer: then answer.\nQuestion: Question: what is the "
        "passage about?\nOptions: (A) rain (B) the sun|The answer is B.");
  ScienceQaSettings settings = release.settings("train", "CQM-A");
  settings.captions = release.dir / "captions.json";
  settings.ask_letter = true;
  CHECK(release.texts(settings)[0] ==
        "Context: a map of the states\nQuestion: Which of these states is farthest north?\n"
        "Options: (A) West Virginia (B) Louisiana (C) Arizona (D) Oklahoma\nAnswer with the "
        "option's letter from the given choices directly.\n|A");
  settings.split = {"val"};
  CHECK(contains(release.texts(settings)[0], "Context: A hint. two letters\n"));
}

TEST_CASE("a missing picture is a bad sample, a broken problem is left out, a lost one too") {
  const Release release;
  std::filesystem::remove(release.dir / "images/train/1/image.png");
  const auto source = open_science_qa(release.settings("train"));
  CHECK(contains(error_of([&] { source->read(0); }).where(), "1: train/1/image.png"));
  CHECK(source->read(1).id == "2");
  const auto opened = [](const std::string& text) {
    const Release broken(text);
    const auto left = open_science_qa(broken.settings("train"))->left_out();
    return left.empty() ? std::string() : left[0].where + ": " + left[0].what;
  };
  const auto changed = [](std::string text, const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  CHECK(contains(opened(changed(problems, "\"answer\": 0", "\"answer\": 4")),
                 "problems.json: 1: expected the place of a choice"));
  CHECK(contains(opened(changed(problems, "[\"rain\", \"the sun\"]", "[]")), "1 to 5 texts"));
  CHECK(contains(opened(changed(problems, "\"hint\": \"Look.\"", "\"hint\": null")),
                 "expected a text `hint`"));
  CHECK(contains(opened(changed(problems, "\"image.png\"", "\"../image.png\"")), "3: expected a") ==
        false);
  CHECK(contains(opened(changed(problems, "\"image.png\"", "\"../image.png\"")),
                 "a picture's name below the folder"));
  CHECK(contains(opened(changed(problems, "\"image\": null", "\"image\": 3")), "a name or null"));
}

TEST_CASE("files of another layout are refused") {
  const Release release;
  CHECK(contains(error_of([&] { open_science_qa(release.settings("dev")); }).message(),
                 "the split 'dev'"));
  CHECK(contains(error_of([&] { open_science_qa(release.settings("lost")); }).message(),
                 "expected a problem of an id in lost"));
  CHECK(contains(error_of([&] { open_science_qa(release.settings("test")); }).message(),
                 "expected problems; got none"));
  const Release list("[]");
  CHECK(contains(error_of([&] { open_science_qa(list.settings("train")); }).message(),
                 "expected an object"));
  ScienceQaSettings nothing = release.settings("train");
  nothing.path = release.dir / "nowhere";
  CHECK(error_of([&] { open_science_qa(nothing); }).kind() == ErrorKind::data);
}

}  // namespace science_qa_test
