// Dialogues as tokens: the same ids and labels as the originals', which tests/reference/chat.py
// recorded, and what is refused.

#include "models/dialogue.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "tandem/base/error.h"

namespace dialogue_test {

using namespace tandem;
using namespace tandem::models;
using text::clip_part;
using text::picture_part;
using text::text_part;
using text::Turn;

namespace {

using Ids = std::vector<std::int64_t>;

struct Reference {
  nlohmann::json document{};
  std::map<std::string, text::Tokenizer> tokenizers{};

  Reference() {
    const char* other = std::getenv("TANDEM_CHAT_REFERENCE");
    std::ifstream file(other != nullptr
                           ? std::string(other)
                           : std::string(TANDEM_SOURCE_DIR) + "/tests/reference/chat.json");
    document = nlohmann::json::parse(file);
    for (const auto& [name, json] : document["tokenizers"].items()) {
      tokenizers[name] = text::parse_tokenizer(json.get<std::string>(), name);
    }
  }
};

const Reference& reference() {
  static const Reference made;
  return made;
}

const text::Tokenizer& tokenizer(const std::string& name) {
  return reference().tokenizers.at(name);
}

Ids values(const at::Tensor& row) {
  const auto* first = row.const_data_ptr<std::int64_t>();
  return {first, first + row.numel()};
}

// "<image>" in a text stands for the next picture.
Turn turn_of(const std::string& role, std::string words, std::int64_t& pictures) {
  Turn turn{role, {}};
  const bool shows = words.find("<image>") != std::string::npos;
  const auto put = [&](std::string text) {
    if (text.empty()) return;
    turn.parts.push_back(text_part(std::move(text)));
    turn.parts.back().tagged = shows;
  };
  for (std::size_t at = words.find("<image>"); at != std::string::npos;
       at = words.find("<image>")) {
    put(words.substr(0, at));
    turn.parts.push_back(picture_part(pictures++));
    words.erase(0, at + 7);
  }
  put(words);
  return turn;
}

std::vector<Turn> turns_of_case(const nlohmann::json& one) {
  std::vector<Turn> turns;
  std::int64_t pictures = 0;
  for (const auto& turn : one["turns"]) turns.push_back(turn_of(turn[0], turn[1], pictures));
  return turns;
}

Ids ids_of_picture(const std::string& chat) {
  const text::Tokenizer& qwen = tokenizer("qwen");
  const auto id = [&](const char* name) { return static_cast<std::int64_t>(*qwen.id_of(name)); };
  const auto inner = reference().document["picture"].get<std::size_t>();
  if (chat != "chatml" && chat != "qwen_vl") return {-200};
  const bool first = chat == "qwen_vl";
  Ids ids(inner + 2, id(first ? "<imgpad>" : "<|image_pad|>"));
  ids.front() = id(first ? "<img>" : "<|vision_start|>");
  ids.back() = id(first ? "</img>" : "<|vision_end|>");
  return ids;
}

DialogueRule rule_of(const std::string& chat, const std::string& name) {
  DialogueRule rule;
  rule.chat = chat;
  rule.begin = name == "qwen" ? -1 : 1;
  return rule;
}

const std::vector<Turn> asks{{"user", {picture_part(0), text_part("what is it?")}},
                             {"assistant", {text_part("a red circle")}}};

DialogueTokens made_of(const std::vector<Turn>& turns, DialogueRule rule,
                       const std::string& name = "llama", std::int64_t from = 0) {
  return dialogue_tokens(
      turns, rule, tokenizer(name),
      [&](const text::ChatPiece&) {
        return Ids{-200, -200, -200};
      },
      "here", from);
}

// The learned tokens as text, each run in brackets.
std::string learned(const DialogueTokens& made, const std::string& name = "llama") {
  const Ids ids = values(made.tokens.ids), labels = values(made.tokens.labels);
  std::string told;
  std::vector<std::int32_t> run;
  for (std::size_t i = 0; i <= ids.size(); ++i) {
    if (i < ids.size() && labels[i] != -100) {
      CHECK(labels[i] == ids[i]);
      run.push_back(static_cast<std::int32_t>(ids[i]));
    } else if (!run.empty()) {
      told += '[';
      told += tokenizer(name).decode(run, true);
      told += ']';
      run.clear();
    }
  }
  return told;
}

}  // namespace

TEST_CASE("dialogues are the originals' to the token") {
  std::map<std::string, int> seen;
  for (const auto& one : reference().document["cases"]) {
    const std::string chat = one["template"], name = one["tokenizer"];
    DialogueRule rule = rule_of(chat, name);
    if (!one["system"].is_null()) rule.system = one["system"].get<std::string>();
    const DialogueTokens made = dialogue_tokens(
        turns_of_case(one), rule, tokenizer(name),
        [&](const text::ChatPiece&) { return ids_of_picture(chat); }, "case");
    INFO(chat << " with " << name << ": " << one["turns"].dump());
    CHECK(values(made.tokens.ids) == one["ids"].get<Ids>());
    if (!one["labels"].is_null()) CHECK(values(made.tokens.labels) == one["labels"].get<Ids>());
    ++seen[chat];
  }
  CHECK(seen.size() + 1 == text::chat_templates().size());  // all but `continued`
}

TEST_CASE("what is learned of each template") {
  const std::vector<Turn> turns{
      asks[0], asks[1], {"user", {text_part("where?")}}, {"assistant", {text_part("left")}}};
  CHECK(learned(made_of(turns, rule_of("v1", "llama"))) == "[a red circle</s>][left</s>]");
  CHECK(learned(made_of(turns, rule_of("llama_2", "llama"))) == "[a red circle </s>][left </s>]");
  CHECK(learned(made_of(turns, rule_of("v0", "llama"))) ==
        "[###][### Assistant: a red circle\n###][### Assistant: left\n### ]");
  CHECK(learned(made_of(asks, rule_of("plain", "llama"))) == "[a red circle\n]");
  CHECK(learned(made_of(turns, rule_of("mpt", "qwen"), "qwen"), "qwen") ==
        "[a red circle<|im_end|>][left<|im_end|>]");
  CHECK(learned(made_of(turns, rule_of("chatml", "qwen"), "qwen"), "qwen") ==
        "[a red circle<|im_end|>\n][left<|im_end|>\n]");
  CHECK(learned(made_of(asks, rule_of("qwen_vl", "qwen"), "qwen"), "qwen") ==
        "[<|im_start|>][<|im_end|>\n<|im_start|>][<|im_end|>\n<|im_start|>]"
        "[a red circle<|im_end|>\n]");
  CHECK(learned(made_of(asks, rule_of("continued", "qwen"), "qwen"), "qwen") ==
        "[a red circle<|endoftext|>]");
}

TEST_CASE("a reply that says the words of the template is learned all the same") {
  const std::vector<Turn> turns{{"user", {text_part("what ASSISTANT: does it say?")}},
                                {"assistant", {text_part("USER: red ASSISTANT: blue")}}};
  CHECK(learned(made_of(turns, rule_of("v1", "llama"))) == "[USER: red ASSISTANT: blue</s>]");
}

TEST_CASE("a prompt ends where the assistant is to speak, and begins as the dialogue does") {
  for (const std::string& chat : text::chat_templates()) {
    const bool qwen = chat == "mpt" || chat == "chatml" || chat == "qwen_vl";
    const std::string name = qwen ? "qwen" : "llama";
    const DialogueRule rule = rule_of(chat, name);
    const auto place = [](const text::ChatPiece&) { return Ids{-200}; };
    const Ids whole =
        values(dialogue_tokens(asks, rule, tokenizer(name), place, "here").tokens.ids);
    const DialogueTokens prompt = prompt_tokens(asked(asks), rule, tokenizer(name), place, "here");
    const Ids ids = values(prompt.tokens.ids);
    INFO(chat);
    REQUIRE(ids.size() < whole.size());
    CHECK(Ids(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(ids.size())) == ids);
    CHECK_FALSE(prompt.tokens.labels.defined());
    CHECK(prompt.pictures == Ids{0});
    const std::vector<std::int64_t> stops = stop_ids(rule, tokenizer(name));
    if (chat == "v1" || qwen) CHECK(stops.size() == 1);
  }
}

TEST_CASE("a dialogue is cut before a picture rather than in it") {
  std::vector<Turn> turns{{"user", {text_part("what?")}},
                          {"assistant", {text_part("red")}},
                          {"user", {picture_part(0), text_part("where?")}},
                          {"assistant", {text_part("left")}}};
  DialogueRule rule = rule_of("chatml", "qwen");
  const DialogueTokens whole = made_of(turns, rule, "qwen");
  CHECK(whole.pictures == Ids{0});
  const Ids ids = values(whole.tokens.ids);
  const auto at = std::find(ids.begin(), ids.end(), -200) - ids.begin();
  for (const std::ptrdiff_t limit : {at, at + 1, at + 2}) {
    rule.max_tokens = limit;
    const DialogueTokens cut = made_of(turns, rule, "qwen");
    CHECK(cut.tokens.ids.size(1) == at);
    CHECK(cut.pictures.empty());
  }
  rule.max_tokens = at + 3;
  CHECK(made_of(turns, rule, "qwen").pictures == Ids{0});
  rule.max_tokens = 8;
  CHECK_THROWS_WITH(made_of(turns, rule, "qwen"),
                    Catch::Contains("[dialogue] expected a reply to learn in the first 8 tokens"));
}

TEST_CASE("the learned part of a preference is its answer") {
  data::Sample sample;
  sample.id = "pair";
  sample.turns = {
      asks[0], asks[1], {"user", {text_part("where?")}}, {"assistant", {text_part("left")}}};
  sample.rejected = {{"assistant", {text_part("above the square")}}};
  sample.prompt_turns = 3;
  const auto place = [](const text::ChatPiece&) { return Ids{-200}; };
  const DialogueRule rule = rule_of("v1", "llama");
  PreferenceTokens pair = preference_tokens(sample, rule, tokenizer("llama"), place);
  CHECK(learned(pair.chosen) == "[left</s>]");
  CHECK(learned(pair.rejected) == "[above the square</s>]");
  sample.rejected.clear();
  CHECK_THROWS_WITH(preference_tokens(sample, rule, tokenizer("llama"), place),
                    Catch::Contains("a preferred answer and a rejected one"));
}

TEST_CASE("any sample says something as a dialogue") {
  const Key key(3);
  data::Sample sample;
  sample.pictures.resize(2);
  sample.question = "how many?";
  sample.answers = {{"two", 1, -1}};
  const std::vector<Turn> expected{
      {"user", {picture_part(0), picture_part(1), text_part("how many?")}},
      {"assistant", {text_part("two")}}};
  CHECK((turns_of(sample, key, true) == expected));
  sample = {};
  sample.clips.resize(1);
  sample.texts = {"a circle moves", "it moves"};
  const std::vector<Turn> told = turns_of(sample, key, false);
  CHECK(told[0].parts[0] == clip_part(0));
  CHECK(told[1].parts[0].text == "a circle moves");
  CHECK(told[0].parts[1].text == "Describe the picture.");
  sample = {};
  sample.texts = {"only words"};
  CHECK(turns_of(sample, key, true)[0].parts.empty());
  sample = {};
  CHECK_THROWS_WITH(turns_of(sample, key, true), Catch::Contains("got none"));
  CHECK(asked(asks).size() == 1);
}

TEST_CASE("a sample that says nothing is asked to be described, where no words are given") {
  data::Sample sample;
  sample.pictures.resize(1);
  CHECK(request_of(sample, "") == "Describe the picture.");
  CHECK(request_of(sample, "how many?") == "how many?");
  sample.boxes.resize(1);
  CHECK(request_of(sample, "").empty());
  sample.boxes.clear();
  sample.question = "how many?";
  CHECK(request_of(sample, "").empty());
}

TEST_CASE("a sentence that need not be true of its picture is not learned as its caption") {
  data::Sample sample;
  sample.id = "dev-850-0-1";
  sample.pictures.resize(2);
  sample.texts = {"both dogs are brown"};
  const auto length = [&] {
    return dialogue_length(sample, turns_of(sample, Key(0), false), rule_of("v1", "llama"),
                           tokenizer("llama"), [](const text::ChatPiece&) { return Ids{-200}; });
  };
  CHECK(length() > 0);
  for (const std::int64_t label : {0, 1, 2}) {
    sample.label = label;
    try {
      length();
      FAIL("expected an error");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::config);
      CHECK(error.where() == "dev-850-0-1");
      CHECK_THAT(error.message(), Catch::Contains("expected captions to learn to write"));
      CHECK_THAT(error.hint(), Catch::Contains("format: dialogue"));
    }
    CHECK_FALSE(turns_of(sample, Key(0), false).empty());  // what is asked of it is not refused
  }
  sample.question = "are both dogs brown?";
  sample.answer = "no";
  CHECK(length() > 0);
  sample.question.clear();
  sample.proposals.resize(3);  // an expression: the label says which of them it means
  CHECK(length() > 0);
}

TEST_CASE("dialogues that a template cannot write are refused") {
  const auto refused = [](const std::vector<Turn>& turns, const std::string& chat) {
    try {
      made_of(turns, rule_of(chat, "qwen"), "qwen");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::data);
      return error.message() + " at " + error.where();
    }
    return std::string("nothing");
  };
  CHECK_THAT(refused({}, "v1"), Catch::Contains("expected turns; got none at here"));
  CHECK_THAT(refused({{"tool", {text_part("x")}}}, "chatml"), Catch::Contains("one of 'tool'"));
  CHECK_THAT(refused({asks[0], asks[0]}, "v1"), Catch::Contains("turn 2 is of user"));
  CHECK_THAT(refused({asks[1]}, "qwen_vl"), Catch::Contains("turn 1 is of assistant"));
  CHECK_THAT(refused({{"system", {picture_part(0)}}, asks[0]}, "chatml"),
             Catch::Contains("expected a text from the system"));
  CHECK_THROWS_WITH(text::chat_template("jinja"), Catch::Contains("plain, v0, v1"));
}

}  // namespace dialogue_test
