// Instruction data: what is asked, what is kept of the answers, and starting again.

#include "tandem/jobs/instruct.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "../support/errors.h"
#include "../support/temporary.h"
#include "jobs/instruct_answers.h"
#include "jobs/instruct_prompts.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/data/dialogue.h"
#include "tandem/data/world/source.h"

namespace instruct_test {

using namespace tandem;
using namespace tandem::jobs;
using tandem::test::contains;
using tandem::test::error_of;
using Json = nlohmann::json;

namespace {

namespace fs = std::filesystem;

// Samples 0 to 3: pictures with captions, the second with boxes; 4 has no caption, 5 cannot be
// read.
class FewPictures final : public data::Source {
 public:
  std::int64_t size() const override { return 6; }
  std::string fingerprint() const override { return "few:" + mark; }
  data::Sample read(std::int64_t index) const override {
    if (index == 5) throw Error(ErrorKind::data, "it is broken", "5");
    data::Sample sample;
    sample.id = std::to_string(index);
    sample.pictures.push_back({{}, vision::make_image(20, 10), std::to_string(index) + ".png"});
    if (index == 4) return sample;
    sample.texts = {"a dog\non a hill", "a brown dog"};
    if (index == 1) {
      sample.boxes = {{2, 1, 10, 10}, {0, 0, 20.5, 3.333}};
      sample.box_names = {"dog", "sky"};
    }
    return sample;
  }
  std::string mark{};
};

struct Setting {
  testing::TemporaryDirectory temporary{};
  std::shared_ptr<FewPictures> few = std::make_shared<FewPictures>();

  InstructJob job(const std::string& name = "out") const {
    InstructJob made;
    made.inputs = {{"few-1", few}};
    made.folder = temporary.path() / name;
    made.part = 2;
    return made;
  }
  fs::path path(const std::string& name) const { return temporary.path() / name; }
  void answers(const std::string& name, const std::string& lines) const {
    make_directories(path("out/answers"));
    testing::put_file(path("out/answers/" + name), lines);
  }
};

std::string text_at(const fs::path& path) { return read_file(path, 1 << 22); }

std::vector<Json> rows_at(const fs::path& path) {
  std::vector<Json> rows;
  std::istringstream stream(text_at(path));
  for (std::string line; std::getline(stream, line);) rows.push_back(Json::parse(line));
  return rows;
}

std::string answer(const std::string& id, const std::string& text) {
  return Json{{"id", id}, {"text", text}}.dump() + "\n";
}

std::string id_of(int index, const std::string& kind) {
  return "few-1-00000000" + std::to_string(index) + "-" + kind;
}

// A good answer of each kind, different for each id.
std::string good(const InstructRequest& request) {
  if (request.kind == instruct_detail) {
    return "A brown dog stands on the hill number " + request.id + " and looks around.";
  }
  std::string text =
      "Question:\nWhat is on hill " + request.id + "?\n===\nAnswer:\nA brown dog is.";
  if (request.kind == instruct_conversation) {
    text += "\n===\nQuestion:\nIs it red?\n===\nAnswer:\nNo.";
  }
  return text;
}

std::string why_of(std::string_view kind, const std::string& text, InstructLimits limits = {}) {
  return judged_answer(kind, text, limits).why;
}

std::string pair_of(const std::string& question, const std::string& answered) {
  return "Question:\n" + question + "\n===\nAnswer:\n" + answered;
}

}  // namespace

TEST_CASE("a request has a task, examples, captions, and boxes as shares of the sides") {
  const Setting setting;
  const InstructCounts counts = make_instructions(setting.job());
  CHECK(counts.requests == 12);
  CHECK(counts.without_captions == 1);
  CHECK(counts.bad_samples == std::vector<std::string>{"few-1, sample 5 (5): it is broken"});
  CHECK(counts.without_boxes == 3);
  CHECK(counts.unanswered == 12);
  const std::vector<Json> rows = rows_at(setting.path("out/requests/000000.jsonl"));
  REQUIRE(rows.size() == 6);
  CHECK(rows[3]["id"] == id_of(1, "conversation"));
  CHECK(rows[3]["messages"].size() == 6);  // two examples
  CHECK(rows[3]["messages"].back() ==
        Json{{"role", "user"}, {"content", "a dog on a hill\na brown dog"}});
  CHECK(rows[4]["id"] == id_of(1, "detail"));
  CHECK(rows[4]["messages"].size() == 8);
  CHECK(rows[4]["messages"].back()["content"] ==
        "a dog on a hill\na brown dog\n\ndog: [0.1, 0.1, 0.5, 1.0]\nsky: [0.0, 0.0, 1.0, 0.333]");
  CHECK(rows[1]["messages"].back()["content"] == "a dog on a hill\na brown dog");  // no boxes
  CHECK(rows[5]["messages"][0]["role"] == "system");
  CHECK(rows[5]["messages"][1]["role"] == "user");
  CHECK(rows[5]["messages"][2]["role"] == "assistant");
  CHECK(text_at(setting.path("out/asked/000001.txt")).starts_with(id_of(2, "conversation") + "\n"));
  CHECK(text_at(setting.path("out/data.json")) == "[\n]\n");
  CHECK(instruct_messages(instruct_reasoning, "x", 1).size() == 4);
  CHECK(instruct_messages(instruct_reasoning, "x", 0).size() == 2);
}

TEST_CASE("what is not asked about is told on every start") {
  const Setting setting;
  InstructJob job = setting.job();
  const InstructCounts first = make_instructions(job), second = make_instructions(job);
  CHECK(second.bad_samples == first.bad_samples);
  CHECK(second.bad_samples.size() == 1);
  CHECK(second.without_captions == 1);
  CHECK(second.without_boxes == 3);
  job = setting.job("talk");
  job.kinds = {instruct_conversation};
  CHECK(make_instructions(job).without_boxes == 0);  // nobody would look at them
}

TEST_CASE("no boxes are promised where there are none") {
  const Setting setting;
  make_instructions(setting.job());
  const std::vector<Json> rows = rows_at(setting.path("out/requests/000000.jsonl"));
  for (const std::size_t row : {1U, 2U, 4U, 5U}) {  // sample 1 has boxes, sample 0 has none
    CAPTURE(row);
    std::string told;
    for (const Json& message : rows.at(row)["messages"]) {
      if (message["role"] != "assistant") told += message["content"].get<std::string>();
    }
    const bool has = row > 2;
    CHECK(contains(told, "corners") == has);
    CHECK(contains(told, "of a box") == has);
    CHECK(contains(told, ": [0.") == has);
  }
}

TEST_CASE("without any caption there is nothing to ask") {
  const Setting setting;
  data::world::WorldSettings settings;
  settings.size = 3;
  settings.only = "pictures";
  const std::shared_ptr<const data::Source> silent = data::world::open_world(settings);
  InstructJob job = setting.job();
  job.inputs = {{"silent", silent}};
  const Error error = error_of([&] { make_instructions(job); });
  CHECK(error.kind() == ErrorKind::data);
  CHECK(contains(error.message(), "expected samples with captions; got 3 without"));
}

TEST_CASE("sentences that need not be true are no captions") {
  const Setting setting;
  data::world::WorldSettings settings;
  settings.size = 3;
  for (const char* task : {"nlvr2", "ve", "caption"}) {
    settings.task = task;
    settings.wrong = settings.task == "caption" ? 0.5 : 0;
    InstructJob job = setting.job(task);
    const std::shared_ptr<const data::Source> judged = data::world::open_world(settings);
    job.inputs = {{"judged", judged}};
    const Error error = error_of([&] { make_instructions(job); });
    CAPTURE(task);
    CHECK(error.kind() == ErrorKind::config);
    CHECK(contains(error.message(), "source judged has sentences with labels"));
    CHECK(contains(error.hint(), "--source"));
  }
}

TEST_CASE("our own examples pass our own checks") {
  for (const char* kind : {instruct_conversation, instruct_detail, instruct_reasoning}) {
    const auto messages = instruct_messages(kind, "", 3);
    std::size_t examples = 0;
    for (const InstructMessage& message : messages) {
      if (message.role != "assistant") continue;
      CAPTURE(message.content);
      CHECK(why_of(kind, message.content).empty());
      ++examples;
    }
    CHECK(examples == (std::string(kind) == instruct_conversation ? 2 : 3));
  }
}

TEST_CASE("requests as lines of a batch API") {
  const Setting setting;
  InstructJob job = setting.job();
  job.batch_model = "some-model";
  job.kinds = {instruct_detail};
  job.samples = 1;
  CHECK(make_instructions(job).requests == 1);
  const Json row = rows_at(setting.path("out/requests/000000.jsonl")).at(0);
  CHECK(row["custom_id"] == id_of(0, "detail"));
  CHECK(row["method"] == "POST");
  CHECK(row["url"] == "/v1/chat/completions");
  CHECK(row["body"]["model"] == "some-model");
  CHECK(row["body"]["messages"].size() == 8);
}

TEST_CASE("questions and answers are read from their form") {
  const AnsweredPairs made = answered_pairs(
      "Question:\r\nWhat?\r\n===\r\nAnswer:\r\nA dog.\n\nOf two.\n=====\n**Question:** Where?\n"
      "answer: There.\n");
  CHECK(made.why.empty());
  CHECK((made.pairs == std::vector<std::pair<std::string, std::string>>{
                           {"What?", "A dog.\n\nOf two."}, {"Where?", "There."}}));
  CHECK(contains(answered_pairs("").why, "no question"));
  CHECK(contains(answered_pairs("Sure!\n" + pair_of("a", "b")).why, "a text outside"));
  CHECK(contains(answered_pairs("Answer:\nb\n===\nQuestion:\na").why, "alternate"));
  CHECK(contains(answered_pairs("Question:\na\nQuestion:\nb").why, "alternate"));
  CHECK(
      contains(answered_pairs(pair_of("a", "b") + "\n===\nQuestion:\nc").why, "without an answer"));
  CHECK(contains(answered_pairs(pair_of("a", "")).why, "an empty"));
}

TEST_CASE("answers that betray their source, refuse, or have the wrong size") {
  const char* conversation = instruct_conversation;
  CHECK(why_of(conversation, pair_of("What is it?", "Red.")).empty());
  CHECK(why_of(conversation, pair_of("What is it?", "As the caption says, red.")) ==
        "speaks of what was told: caption");
  CHECK(why_of(conversation, pair_of("What do the Captions say?", "Red.")) ==
        "speaks of what was told: captions");
  CHECK(why_of(conversation, pair_of("What?", "By the description given, red.")) ==
        "speaks of what was told: the description given");
  CHECK(why_of(conversation, pair_of("Who is the captain?", "The man.")).empty());
  CHECK(why_of(conversation, pair_of("Where?", "It is at [0.12, 0.3, 0.5, 0.6].")) ==
        "speaks of what was told: corners of a box");
  CHECK(why_of(conversation, pair_of("Where?", "In the box (left).")).empty());
  CHECK(why_of(conversation, pair_of("What?", "I\xe2\x80\x99m sorry, but no.")) ==
        "refuses: i'm sorry");
  CHECK(why_of(conversation, "As an AI, I cannot see the picture.") == "refuses: i cannot");
  CHECK(why_of(instruct_detail, "I am unable to see the image that you speak of here.") ==
        "refuses: i am unable");
  CHECK(why_of(conversation, pair_of("<image> What?", "Red.")) == "a tag: <image>");
  CHECK(why_of(conversation, pair_of("Red?", "No.") + "\n===\n" + pair_of("RED?", "Yes.")) ==
        "asks twice: RED?");
  CHECK(why_of(instruct_detail, "A red dog.") == "too short: 3 words");
  CHECK(why_of(instruct_detail, " \n") == "too short: 0 words");
  CHECK(why_of(instruct_reasoning, pair_of("Why?", "No.")) == "too short: 1 words");
  CHECK(why_of(instruct_reasoning,
               pair_of("Why?", "It is so.") + "\n===\n" + pair_of("What?", "That.")) ==
        "not in the form: more than one question");
  InstructLimits tight;
  tight.most_words = 5;
  tight.most_turns = 1;
  CHECK(why_of(conversation, pair_of("What?", "one two three four five six"), tight) ==
        "too long: 6 words");
  CHECK(why_of(conversation, pair_of("a?", "b") + "\n===\n" + pair_of("c?", "d"), tight) ==
        "too long: 2 questions");
}

TEST_CASE("answers become dialogues that our source reads; every other line is named") {
  const Setting setting;
  setting.answers(
      "a.jsonl",
      answer(id_of(2, "detail"), "A brown dog stands on top of a green hill.") +
          answer(id_of(0, "conversation"),
                 pair_of("What is it?", "A dog.") + "\n===\n" + pair_of("Where?", "On a hill.")) +
          answer(id_of(0, "conversation"), pair_of("Again?", "Yes.")) + std::string(100000, '[') +
          "\n" + answer("few-1-000000009-detail", "Nobody asked for it.") +
          answer(id_of(3, "detail"), "A brown dog stands on top of a green hill.") + R"({"id": ")" +
          id_of(3, "reasoning") + R"(", "error": "out of memory"})" +
          "\n{\"text\": \"of whom?\"}\n");
  setting.answers("b.jsonl", Json{{"custom_id", id_of(1, "reasoning")},
                                  {"response",
                                   {{"body",
                                     {{"choices",
                                       {{{"message",
                                          {{"content", pair_of("Why?",
                                                               "It is brown and "
                                                               "small.")}}}}}}}}}}}
                                     .dump() +
                                 "\n" +
                                 Json{{"custom_id", id_of(2, "reasoning")},
                                      {"response", nullptr},
                                      {"error", {{"code", 5}}}}
                                     .dump());
  setting.answers("notes.txt", "not read");
  const InstructCounts counts = make_instructions(setting.job());
  CHECK(counts.kept ==
        std::map<std::string, std::int64_t>{{"conversation", 1}, {"detail", 1}, {"reasoning", 1}});
  CHECK(counts.dropped ==
        std::map<std::string, std::int64_t>{
            {"answered before", 1}, {"no answer", 4}, {"no request", 1}, {"the same words", 1}});
  CHECK(counts.read == 10);
  CHECK(counts.unanswered == 9);
  CHECK_FALSE(counts.wrote_pictures);

  const Json list = Json::parse(text_at(setting.path("out/data.json")));
  REQUIRE(list.size() == 3);  // in the order of the requests
  CHECK(list[0]["id"] == id_of(0, "conversation"));
  CHECK(list[0]["image"] == "0.png");
  REQUIRE(list[0]["conversations"].size() == 4);
  const std::string first = list[0]["conversations"][0]["value"];
  CHECK((first == "<image>\nWhat is it?" || first == "What is it?\n<image>"));
  CHECK(list[0]["conversations"][2] == Json{{"from", "human"}, {"value", "Where?"}});
  CHECK(list[0]["conversations"][3] == Json{{"from", "gpt"}, {"value", "On a hill."}});
  CHECK(list[1]["id"] == id_of(1, "reasoning"));
  CHECK(list[2]["id"] == id_of(2, "detail"));
  std::string request = list[2]["conversations"][0]["value"];
  request.replace(request.find("<image>"), 7, "");
  request.erase(request.find('\n'), 1);
  CHECK(std::count(detail_requests().begin(), detail_requests().end(), request) == 1);

  const std::vector<Json> dropped = rows_at(setting.path("out/dropped.jsonl"));
  REQUIRE(dropped.size() == 7);
  CHECK(dropped[0]["where"] == "answers/a.jsonl:3");
  CHECK(dropped[0]["id"] == id_of(0, "conversation"));
  CHECK(dropped[0]["why"] == "answered before: " + id_of(0, "conversation"));
  CHECK(dropped[0]["text"] == pair_of("Again?", "Yes."));
  CHECK(dropped[1]["why"] == "no answer: no JSON object");
  CHECK(dropped[3]["why"] == "the same words: as " + id_of(2, "detail"));
  CHECK(dropped[4]["why"] == "no answer: out of memory");
  CHECK(dropped[6]["why"] == "no answer: {\"code\":5}");
}

TEST_CASE("an answer that was cut off is dropped, a refused request says why") {
  const Setting setting;
  const std::string words = "A brown dog stands on top of a green hill and";
  const auto batch = [](const std::string& id, const Json& body) {
    return Json{{"custom_id", id}, {"response", {{"body", body}}}, {"error", nullptr}}.dump() +
           "\n";
  };
  const auto said = [&](const char* reason) {
    Json choice{{"finish_reason", reason}};
    choice["message"]["content"] = words + reason;
    Json body;
    body["choices"] = Json::array({choice});
    return body;
  };
  Json own{{"id", id_of(2, "detail")}, {"text", words}, {"cut_off", true}};
  setting.answers(
      "a.jsonl",
      batch(id_of(0, "detail"), said("length")) + batch(id_of(1, "detail"), said("stop")) +
          own.dump() + "\n" +
          batch(id_of(3, "detail"), {{"error", {{"message", "too many tokens"}, {"code", 400}}}}));
  const InstructCounts counts = make_instructions(setting.job());
  CHECK(counts.kept == std::map<std::string, std::int64_t>{{"detail", 1}});
  CHECK(counts.dropped == std::map<std::string, std::int64_t>{{"cut off", 2}, {"no answer", 1}});
  const std::vector<Json> dropped = rows_at(setting.path("out/dropped.jsonl"));
  REQUIRE(dropped.size() == 3);
  CHECK(dropped[0]["text"] == words + "length");
  CHECK(dropped[1]["id"] == id_of(2, "detail"));
  CHECK(dropped[2]["why"] == "no answer: too many tokens");
  // The same of a model that answers here.
  InstructJob job = setting.job("other");
  job.kinds = {instruct_detail};
  job.answer = [&](const InstructRequest& request) {
    return InstructAnswer(words + request.id, request.id == id_of(0, "detail"));
  };
  const InstructCounts here = make_instructions(job);
  CHECK(here.kept.at("detail") == 3);
  CHECK(here.dropped == std::map<std::string, std::int64_t>{{"cut off", 1}});
}

TEST_CASE("more answers may come; what was read is not read again, an id may be answered anew") {
  const Setting setting;
  const std::string first = answer(id_of(0, "detail"), "Too short.") +
                            answer(id_of(1, "detail"), "A brown dog stands on a green hill alone.");
  setting.answers("a.jsonl", first + "{\"id\": \"half a li");
  CHECK(make_instructions(setting.job()).read == 2);
  const std::string data = text_at(setting.path("out/data.json"));
  // What stood there counts as it was read; the last line is whole now, and another file has come.
  setting.answers("a.jsonl", answer(id_of(0, "detail"),
                                    "Changed since then, and long enough to be "
                                    "taken for a good one.") +
                                 first.substr(first.find('\n') + 1) +
                                 answer(id_of(2, "detail"),
                                        "Two dogs run down a green hill, one "
                                        "after another."));
  setting.answers("0.jsonl",
                  answer(id_of(0, "detail"), "A brown dog is alone on a very green hill."));
  const InstructCounts counts = make_instructions(setting.job());
  CHECK(counts.read_before == 2);
  CHECK(counts.read == 2);
  CHECK(counts.kept.at("detail") == 3);
  CHECK(counts.dropped == std::map<std::string, std::int64_t>{{"too short", 1}});
  CHECK(counts.changed == std::vector<std::string>{"a.jsonl"});
  const Json list = Json::parse(text_at(setting.path("out/data.json")));
  CHECK(list[0]["conversations"][1]["value"] == "A brown dog is alone on a very green hill.");
  CHECK(list.size() == 3);
  CHECK(Json::parse(data).at(0) == list[1]);
  const std::string requests = text_at(setting.path("out/requests/000000.jsonl"));
  testing::put_file(setting.path("out/requests/000000.jsonl"), "as somebody left it");
  CHECK(make_instructions(setting.job()).read == 0);
  CHECK(text_at(setting.path("out/requests/000000.jsonl")) == "as somebody left it");
}

TEST_CASE("a model answers what is asked; its errors are one request's") {
  const Setting setting;
  InstructJob job = setting.job();
  job.answer_part = 4;
  std::vector<std::string> asked;
  job.answer = [&](const InstructRequest& request) {
    asked.push_back(request.id);
    CHECK(request.source == "few-1");
    CHECK(request.messages.size() >= 6);
    if (request.id == id_of(2, "detail")) throw Error(ErrorKind::data, "too long a prompt");
    return good(request);
  };
  const InstructCounts counts = make_instructions(job);
  CHECK(counts.requests == 12);
  CHECK(asked.size() == 12);
  CHECK(counts.kept ==
        std::map<std::string, std::int64_t>{{"conversation", 4}, {"detail", 3}, {"reasoning", 4}});
  CHECK(counts.dropped == std::map<std::string, std::int64_t>{{"no answer", 1}});
  CHECK(rows_at(setting.path("out/answers/000000-0001.jsonl")).size() == 2);
  CHECK(make_instructions(job).unanswered == 1);
  CHECK(asked.size() == 12);  // nobody was asked again
}

TEST_CASE("what failed is asked again where that is wanted") {
  const Setting setting;
  InstructJob job = setting.job();
  job.answer_part = 4;
  bool fails = true;
  std::vector<std::pair<std::string, std::int64_t>> asked;
  job.answer = [&](const InstructRequest& request) {
    asked.emplace_back(request.id, request.attempt);
    if (fails && request.kind == instruct_detail) throw Error(ErrorKind::data, "out of memory");
    return good(request);
  };
  CHECK(make_instructions(job).unanswered == 4);
  job.again = true;
  asked.clear();
  CHECK(make_instructions(job).unanswered == 4);
  fails = false;
  const InstructCounts counts = make_instructions(job);
  CHECK(counts.unanswered == 0);
  CHECK(counts.asked_again == 4);
  CHECK(counts.kept.at("detail") == 4);
  CHECK(counts.dropped == std::map<std::string, std::int64_t>{{"no answer", 8}});
  CHECK(counts.read == 4);
  CHECK(counts.read_before == 16);
  REQUIRE(asked.size() == 8);  // only what has no dialogue, another time each time
  CHECK((asked[0] == std::pair<std::string, std::int64_t>{id_of(0, "detail"), 1}));
  CHECK((asked[4] == std::pair<std::string, std::int64_t>{id_of(0, "detail"), 2}));
  CHECK(make_instructions(job).asked_again == 0);
  job.answer = nullptr;
  CHECK(contains(error_of([&] { make_instructions(job); }).message(), "a model to ask again"));
}

TEST_CASE("a folder has the answers of one model") {
  const Setting setting;
  make_instructions(setting.job());  // the requests; who answers is not known yet
  InstructJob job = setting.job();
  job.answer = [](const InstructRequest& request) { return good(request); };
  job.answered_by = "model A";
  make_instructions(job);
  CHECK(make_instructions(setting.job()).unanswered == 0);  // more answers may come as files
  CHECK(make_instructions(job).unanswered == 0);
  job.answered_by = "model B";
  const Error error = error_of([&] { make_instructions(job); });
  CHECK(error.kind() == ErrorKind::config);
  CHECK(contains(error.message(), "(model A); got model B"));
  CHECK(contains(error.hint(), "--out"));
}

TEST_CASE("a file of answers that was made anew is named") {
  const Setting setting;
  InstructJob job = setting.job();
  job.answer = [](const InstructRequest& request) { return good(request); };
  make_instructions(job);
  const std::string data = text_at(setting.path("out/data.json"));
  const fs::path file = setting.path("out/answers/000001-0000.jsonl");
  fs::remove(file);
  CHECK(make_instructions(job).changed.empty());  // the same lines again
  fs::remove(file);
  job.answer = [](const InstructRequest& request) { return good(request) + " Truly."; };
  CHECK(make_instructions(job).changed == std::vector<std::string>{"000001-0000.jsonl"});
  testing::put_file(file, "");
  CHECK(make_instructions(job).changed == std::vector<std::string>{"000001-0000.jsonl"});
  CHECK(text_at(setting.path("out/data.json")) == data);
}

TEST_CASE("a job that is killed at any place ends as one that was not") {
  const Setting setting;
  InstructJob whole = setting.job("whole");
  whole.answer = [](const InstructRequest& request) { return good(request); };
  whole.answer_part = 2;
  make_instructions(whole);
  std::size_t stops = 0;
  for (std::size_t stop = 1; stop < 40; ++stop) {
    InstructJob job = whole;
    job.folder = setting.path("killed" + std::to_string(stop));
    std::size_t calls = 0;
    job.answer = [&](const InstructRequest& request) {
      if (++calls == stop) throw std::runtime_error("killed");
      return good(request);
    };
    job.between = [&] {
      if (++calls == stop) throw std::runtime_error("killed");
    };
    bool killed = true;
    try {
      make_instructions(job);
      killed = false;
    } catch (const std::runtime_error&) {
      ++stops;
    }
    if (!killed) break;
    make_instructions(job);
    for (const char* name : {"data.json", "dropped.jsonl", "requests/000000.jsonl",
                             "requests/000001.jsonl", "answers/000001-0002.jsonl"}) {
      CAPTURE(stop, name);
      CHECK(text_at(job.folder / name) == text_at(whole.folder / name));
    }
  }
  CHECK(stops > 15);
}

TEST_CASE("a folder is of one job") {
  const Setting setting;
  make_instructions(setting.job());
  InstructJob other = setting.job();
  other.limits.most_words = 7;
  CHECK(contains(error_of([&] { make_instructions(other); }).message(), "`most_words`"));
  setting.few->mark = "changed";
  const Error error = error_of([&] { make_instructions(setting.job()); });
  CHECK(error.kind() == ErrorKind::config);
  CHECK(contains(error.message(), "`sources`"));
  InstructJob unknown = setting.job("other");
  unknown.kinds = {"poems"};
  CHECK(contains(error_of([&] { make_instructions(unknown); }).message(), "got 'poems'"));
  unknown.kinds = {"detail", "detail"};
  CHECK(contains(error_of([&] { make_instructions(unknown); }).message(), "'detail' twice"));
  InstructJob none = setting.job("other");
  none.inputs.clear();
  CHECK(contains(error_of([&] { make_instructions(none); }).message(), "expected a source"));
}

TEST_CASE("the world's answers pass, and its dialogues are read with their pictures") {
  const Setting setting;
  data::world::WorldSettings settings;
  settings.size = 25;
  settings.boxes = true;
  InstructJob job = setting.job();
  const std::shared_ptr<const data::Source> world = data::world::open_world(settings);
  job.inputs = {{"world", world}};
  job.limits.least_detail = 1;
  job.limits.keep_same = true;
  job.answer = [&](const InstructRequest& request) { return world_answer(*world, request); };
  const InstructCounts counts = make_instructions(job);
  CHECK(counts.requests == 75);
  CHECK(counts.unanswered == 0);
  CHECK(counts.dropped.empty());
  CHECK(counts.wrote_pictures);
  CHECK(contains(text_at(setting.path("out/requests/000000.jsonl")), ": [0."));
  data::DialogueSettings dialogue;
  dialogue.path = setting.path("out/data.json").string();
  dialogue.pictures = setting.path("out/pictures").string();
  const auto read = data::open_dialogue(dialogue);
  REQUIRE(read->size() == 75);
  CHECK(read->read(74).pictures.size() == 1);
  CHECK(
      contains(read->read(2).turns.at(0).parts.at(0).text + read->read(2).turns[0].parts.at(1).text,
               "say why."));
  job.answer = [&](const InstructRequest& request) { return world_answer(*setting.few, request); };
  job.folder = setting.path("other");
  CHECK(contains(error_of([&] { make_instructions(job); }).message(), "knows its scenes"));
}

}  // namespace instruct_test
