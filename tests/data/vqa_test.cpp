#include "tandem/data/vqa.h"

#include "support.h"

namespace vqa_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::test;

namespace {

// The layout of v2_OpenEnded_mscoco_train2014_questions.json.
const std::string kQuestions = R"({
  "info": {"description": "This is v2.0 of the VQA dataset.", "version": "2.0", "year": 2017},
  "task_type": "Open-Ended", "data_type": "mscoco",
  "license": {"url": "http://creativecommons.org/licenses/by/4.0/", "name": "CC BY 4.0"},
  "data_subtype": "train2014",
  "questions": [
    {"image_id": 458752, "question": "What is this photo taken looking through?",
     "question_id": 458752000},
    {"image_id": 458752, "question": "What position is this man playing?",
     "question_id": 458752001},
    {"image_id": 262146, "question": "Is he on his feet?", "question_id": 262146000}]})";

std::string people(const std::vector<std::pair<std::string, int>>& given) {
  std::string list;
  int number = 1;
  for (const auto& [answer, count] : given) {
    for (int i = 0; i < count; ++i) {
      list += (list.empty() ? "" : ", ") + ("{\"answer\": \"" + answer) +
              "\", \"answer_confidence\": \"yes\", \"answer_id\": " + std::to_string(number++) +
              "}";
    }
  }
  return "[" + list + "]";
}

std::string annotation(const std::string& id, const std::string& kind, const std::string& main,
                       const std::vector<std::pair<std::string, int>>& given) {
  return "{\"question_type\": \"what\", \"multiple_choice_answer\": \"" + main +
         "\", \"answers\": " + people(given) + ", \"image_id\": 458752, \"answer_type\": \"" +
         kind + "\", \"question_id\": " + id + "}";
}

std::string annotations(const std::vector<std::string>& all) {
  std::string list;
  for (const std::string& one : all) list += (list.empty() ? "" : ",\n") + one;
  return "{\"info\": {}, \"data_type\": \"mscoco\", \"data_subtype\": \"train2014\", "
         "\"annotations\": [" +
         list + "], \"license\": {}}";
}

const std::string kAnnotations =
    annotations({annotation("458752000", "other", "net", {{"net", 5}, {"mesh", 3}, {"fence", 2}}),
                 annotation("458752001", "other", "pitcher", {{"catcher", 1}, {"pitcher", 9}}),
                 annotation("262146000", "yes/no", "yes", {{"yes", 10}})});

struct Release {
  TempDir dir{};
  VqaSettings settings{};

  explicit Release(const std::string& questions = kQuestions,
                   const std::string& annotated = kAnnotations) {
    settings.questions = dir.write("questions.json", questions);
    if (!annotated.empty()) settings.annotations = dir.write("annotations.json", annotated);
    settings.pictures = dir.path();
    settings.least = 1;
    dir.write("train2014/COCO_train2014_000000458752.jpg", jpeg_of(pattern(20, 12, 1)));
    dir.write("train2014/COCO_train2014_000000262146.jpg", jpeg_of(pattern(16, 16, 2)));
  }
  std::unique_ptr<Source> open() const { return open_vqa(settings); }
};

}  // namespace

TEST_CASE("VQAv2 as it is released gives a sample a question, with soft scores") {
  Release release;
  release.settings.answer_list = release.dir.write("list.json", R"(["yes", "net", "mesh", "pitcher",
    "catcher", "no", "fence"])");
  const auto source = release.open();
  REQUIRE(source->size() == 3);
  CHECK(source->answers().size() == 7);
  const Sample first = source->read(0);
  CHECK(first.id == "458752000");
  CHECK(first.question == "What is this photo taken looking through?");
  CHECK(first.texts.empty());
  CHECK(first.kind == "other");
  CHECK(first.answer == "net");
  CHECK(first.label == 1);
  REQUIRE(first.answers.size() == 3);
  CHECK(first.answers[0] == Answer{"net", 1, 1});
  CHECK(first.answers[1].text == "mesh");
  CHECK(first.answers[1].score == Approx(0.9));
  CHECK(first.answers[1].label == 2);
  CHECK(first.answers[2].score == Approx(0.6));
  CHECK(source->read(1).answers[1].score == Approx(0.3));
  REQUIRE(first.pictures.size() == 1);
  CHECK(std::string(first.pictures[0].encoded.begin(), first.pictures[0].encoded.end()) ==
        jpeg_of(pattern(20, 12, 1)));
  CHECK(first.picture_id == source->read(1).picture_id);
  CHECK(first.picture_id != source->read(2).picture_id);
  CHECK(source->left_out().empty());
}

TEST_CASE("the closed list is the main answers that come often enough, in their first order") {
  Release release;
  std::vector<std::string> all;
  std::string questions;
  for (int i = 0; i < 21; ++i) {
    const std::string id = std::to_string(100 + i), main = i < 9 ? "Two" : i < 18 ? "no" : "maybe";
    all.push_back(annotation(id, "other", main, {{i < 9 ? "2" : main, 10}}));
    questions += (questions.empty() ? "" : ",") +
                 ("{\"image_id\": 458752, \"question_id\": " + id) +
                 ", \"question\": \"How many?\"}";
  }
  release.settings.questions = release.dir.write(
      "q.json", "{\"questions\": [" + questions + "], \"data_subtype\": \"train2014\"}");
  release.settings.annotations = release.dir.write("a.json", annotations(all));
  release.settings.least = 9;
  const auto source = release.open();
  CHECK(source->answers() == std::vector<std::string>{"2", "no"});
  CHECK(source->size() == 18);  // those that nobody of the list answers are left out
  CHECK(source->read(0).label == 0);
  CHECK(source->read(9).label == 1);

  release.settings.keep_unanswered = true;
  CHECK(release.open()->size() == 21);
  CHECK(release.open()->read(20).label == -1);

  // Answers of another split count as well.
  release.settings.keep_unanswered = false;
  std::vector<std::string> more;
  for (int i = 0; i < 6; ++i) {
    more.push_back(annotation(std::to_string(i), "other", "maybe", {{"maybe", 10}}));
  }
  release.settings.also_count = release.dir.write("val.json", annotations(more));
  CHECK(release.open()->answers() == std::vector<std::string>{"2", "no", "maybe"});
  CHECK(release.open()->size() == 21);

  // The list of both files, for sources that each have one of them.
  const std::vector<std::string> both{release.settings.annotations, release.settings.also_count};
  CHECK(main_answers(both, 9) == std::vector<std::string>{"2", "no", "maybe"});
  CHECK(main_answers({both[0]}, 9) == std::vector<std::string>{"2", "no"});
  CHECK(main_answers({both[1]}, 6) == std::vector<std::string>{"maybe"});
  CHECK_THROWS_WITH(main_answers({both[1]}, 7), Catch::Contains("at least 7 times"));
}

TEST_CASE("open answers are kept without a list, by the share of people") {
  Release release;
  release.settings.answers = "open";
  release.settings.scores = "share";
  const auto source = release.open();
  CHECK(source->answers().empty());
  const Sample first = source->read(0);
  REQUIRE(first.answers.size() == 3);
  CHECK(first.answers[0].score == Approx(0.5));
  CHECK(first.answers[2].score == Approx(0.2));
  CHECK(first.answers[0].label == -1);
}

TEST_CASE("a test split has questions alone, and test-dev's pictures are those of test2015") {
  Release release(
      R"({"questions": [{"image_id": 1, "question": "What color?", "question_id": 1000}],
                      "data_subtype": "test-dev2015"})",
      "");
  release.settings.answer_list = release.dir.write("list.txt", "yes\nno\n");
  release.dir.write("test2015/COCO_test2015_000000000001.jpg", jpeg_of(pattern(8, 8, 3)));
  const auto source = release.open();
  REQUIRE(source->size() == 1);
  const Sample sample = source->read(0);
  CHECK(sample.answers.empty());
  CHECK(sample.label == -1);
  CHECK(sample.pictures.size() == 1);
}

TEST_CASE("pictures may lie in one folder under other names") {
  Release release;
  release.settings.name = "{image}.jpg";
  const std::string folder = release.dir / "flat";
  release.dir.write("flat/458752.jpg", jpeg_of(pattern(8, 8, 3)));
  release.settings.pictures = folder;
  const auto source = release.open();
  CHECK(source->read(0).pictures.size() == 1);
  const Error error = error_of([&] { source->read(2); });
  CHECK(error.kind() == ErrorKind::data);
  CHECK(error.where() == "262146000: 262146.jpg");
}

TEST_CASE("what VQAv2's files cannot be used for is left out and named") {
  const std::string questions = R"({"data_subtype": "train2014", "questions": [
    {"image_id": 458752, "question": "Good?", "question_id": 458752000},
    {"image_id": "x", "question": "Bad?", "question_id": 2},
    {"image_id": 458752, "question": "  ", "question_id": 262146000},
    {"image_id": 458752, "question": "No annotation?", "question_id": 4}]})";
  const Release release(
      questions, annotations({annotation("458752000", "other", "a b", {{"a b", 4}}),
                              annotation("262146000", "other", "a b", {{"a b", 4}}),
                              annotation("77", "other", "x", {{"x", 4}}), "{\"question_id\": 5}"}));
  VqaSettings settings = release.settings;
  settings.answers = "open";
  const auto source = open_vqa(settings);
  CHECK(source->size() == 1);
  std::vector<std::string> where;
  for (const Finding& one : source->left_out()) {
    where.push_back(std::filesystem::path(one.where).filename().string());
  }
  CHECK(where ==
        std::vector<std::string>{"annotations.json: annotations[3]", "questions.json: questions[1]",
                                 "questions.json: questions[2]", "questions.json: questions[3]",
                                 "annotations.json: annotations[2]"});
  for (const std::string broken : {"", "[1, 2]", "{\"questions\": 3}", "{\"questions\": [{}]}"}) {
    Release release_of_it(broken, "");
    release_of_it.settings.answers = "open";
    const Error error = error_of([&] { release_of_it.open(); });
    CHECK(error.kind() == ErrorKind::data);
    CHECK(contains(error.where(), "questions.json"));
  }
}

TEST_CASE("the fingerprint names what changes the samples") {
  Release release;
  const std::string base = release.open()->fingerprint();
  CHECK(base.starts_with("vqa:3:"));
  CHECK(release.open()->fingerprint() == base);
  release.settings.scores = "share";
  CHECK(release.open()->fingerprint() != base);
}

// The expected ones are those of ViLT's normalize_word.
TEST_CASE("answers are compared in one spelling") {
  for (const auto& [given, expected] :
       std::vector<std::pair<std::string, std::string>>{{"Green.", "green"},
                                                        {"Two", "2"},
                                                        {"none", "0"},
                                                        {"The man", "man"},
                                                        {"a", ""},
                                                        {"dont know", "don't know"},
                                                        {"black and white", "black and white"},
                                                        {"t-shirt", "t shirt"},
                                                        {"yes, it is", "yes it is"},
                                                        {"1,000", "1000"},
                                                        {"2.5", "2.5"},
                                                        {"St. Louis", "st louis"},
                                                        {"12:30", "12:30"},
                                                        {"  on   the  left ", "on left"},
                                                        {"Ten o'clock", "10 o'clock"},
                                                        {"oclock", "o'clock"},
                                                        {"2,5, 7", "25 7"},
                                                        {"rock/paper", "rock paper"},
                                                        {"(left)", "left"},
                                                        {"left -", "left"},
                                                        {"isnt it?", "isn't it"},
                                                        {".5", ".5"},
                                                        {"5.", "5"},
                                                        {"hed", "he'd"},
                                                        {"lets go", "lets go"},
                                                        {"a.m.", "am"},
                                                        {"one-way", "1 way"},
                                                        {"100%", "100%"},
                                                        {"and, or/not", "and or not"}}) {
    INFO(given);
    CHECK(normalized_answer(given) == expected);
  }
}

TEST_CASE("a file of answers is a list, a map of places or lines, each answer once") {
  const TempDir dir;
  const std::vector<std::string> expected{"net", "yes", "no"};
  CHECK(read_answer_list(dir.write("a.json", R"(["net", "yes", "no"])")) == expected);
  CHECK(read_answer_list(dir.write("b.json", R"({"no": 2, "net": 0, "yes": 1})")) == expected);
  CHECK(read_answer_list(dir.write("c.txt", "net\r\nyes\n\nno")) == expected);
  for (const std::string broken : {"", "[1]", R"({"a": 1})", R"({"a": 0, "b": 0})", "a\nb\na\n"}) {
    const Error error = error_of([&] { read_answer_list(dir.write("d.json", broken)); });
    CHECK(error.kind() == ErrorKind::data);
    CHECK(contains(error.where(), "d.json"));
  }
}

TEST_CASE("Visual Genome's question_answers.json gives a sample a question, in both folders") {
  const TempDir dir;
  VisualGenomeQaSettings settings;
  settings.path = dir.write("question_answers.json", R"([
    {"id": 1, "qas": [
      {"a_objects": [], "question": "What color is the clock?", "image_id": 1, "qa_id": 986768,
       "answer": "Green.", "q_objects": []},
      {"a_objects": [], "question": "How tall is the light post?", "image_id": 1, "qa_id": 986777,
       "answer": "10 feet.", "q_objects": []}]},
    {"id": 2, "qas": [
      {"question": "Where is the man?", "image_id": 2, "qa_id": 3, "answer": "On the left."},
      {"question": "Who?", "image_id": 2, "qa_id": 4}]}])");
  settings.pictures = dir.path();
  settings.answers = "open";
  settings.score = 0.5;
  dir.write("VG_100K_2/1.jpg", jpeg_of(pattern(9, 9, 1)));
  dir.write("VG_100K/2.jpg", jpeg_of(pattern(9, 9, 2)));
  const auto source = open_visual_genome_qa(settings);
  REQUIRE(source->size() == 3);
  const Sample first = source->read(0);
  CHECK(first.id == "986768");
  CHECK(first.question == "What color is the clock?");
  REQUIRE(first.answers.size() == 1);
  CHECK(first.answers[0] == Answer{"green", 0.5, -1});
  CHECK(source->read(1).answer == "10 feet");
  CHECK(source->read(2).answer == "on left");
  CHECK(source->read(2).pictures.size() == 1);
  CHECK(source->read(0).picture_id == source->read(1).picture_id);
  REQUIRE(source->left_out().size() == 1);
  CHECK(contains(source->left_out()[0].where, "question_answers.json: [1].qas[1]"));

  settings.answers = "closed";
  settings.answer_list = dir.write("list.txt", "red\ngreen\n");
  const auto closed = open_visual_genome_qa(settings);
  CHECK(closed->size() == 1);
  CHECK(closed->read(0).label == 1);
}

}  // namespace vqa_test
