// Whatever stands in a tokenizer.json: it is read right, or refused with the place of the mistake.

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <functional>

#include "documents.h"
#include "tandem/base/error.h"
#include "tandem/base/random.h"

namespace bad_file_test {

using namespace tandem;
using namespace tandem::text;
using namespace tandem::text::testing;

namespace {

// Where parse_tokenizer says the mistake is; "" when it took the text.
std::string place_of_error(const std::string& text) {
  try {
    parse_tokenizer(text, "t.json");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::data);
    CHECK(error.message().find("[text] expected") == 0);
    return error.where();
  }
  return "";
}

std::string place_after(json document, const std::function<void(json&)>& change) {
  REQUIRE(place_of_error(document.dump()).empty());
  change(document);
  return place_of_error(document.dump());
}

}  // namespace

TEST_CASE("what is no JSON is refused") {
  for (const std::string text : {"", "{", "nonsense", "{\"model\":", "[1,2", "\"\\ud800\"", "\xFF",
                                 "{\"a\":\"\xC3\"}", "{} {}", "1e999"}) {
    CHECK_FALSE(place_of_error(text).empty());
  }
  CHECK_FALSE(place_of_error("[]").empty());
  CHECK(place_of_error("{}") == "t.json: $.model");
  CHECK(place_of_error("{\"model\":null}") == "t.json: $.model");
}

TEST_CASE("JSON of 100,000 levels is refused before it is parsed") {
  for (const std::string one : {"[", "{\"a\":"}) {
    std::string text;
    for (int i = 0; i < 100000; ++i) text += one;
    CHECK(place_of_error(text) == "t.json");
  }
  CHECK(place_of_error("{\"model\":{\"type\":\"" + std::string(1000, '[') + "\"}}") ==
        "t.json: $.model.type");  // brackets in a string are no levels
}

TEST_CASE("ids are bounded, without large gaps, and each is there once") {
  const auto vocab = [](const std::string& token, const json& id) {
    return place_after(byte_level(), [&](json& d) { d["model"]["vocab"][token] = id; });
  };
  CHECK(vocab("ab", 257).empty());
  CHECK(vocab("ab", 300).empty());
  CHECK(vocab("ab", 2147483647) == "t.json: $.model.vocab.ab");
  CHECK(vocab("ab", 4294967296) == "t.json: $.model.vocab.ab");
  CHECK(vocab("ab", 18446744073709551615ull) == "t.json: $.model.vocab.ab");
  CHECK(vocab("ab", 1000000) == "t.json: $.model.vocab.ab");
  CHECK(vocab("ab", -1) == "t.json: $.model.vocab.ab");
  CHECK(vocab("ab", 1.5) == "t.json: $.model.vocab.ab");
  CHECK(vocab("ab", "257") == "t.json: $.model.vocab.ab");
  CHECK(vocab("ab", nullptr) == "t.json: $.model.vocab.ab");
  CHECK_FALSE(vocab("ab", 7).empty());
}

TEST_CASE("merges name tokens that are there, and make one that is there and longer") {
  const auto merge = [](const json& pair) {
    return place_after(byte_level({{"a", "b"}}),
                       [&](json& d) { d["model"]["merges"].push_back(pair); });
  };
  CHECK(merge({"a", "b"}).empty());
  for (const json& pair : {json{"a", "none"}, json{"none", "b"}, json{"a", "c"}, json{"a", ""},
                           json{"a"}, json{"a", "b", "c"}, json("ab"), json("a b c"), json(1),
                           json{1, 2}, json(nullptr), json::object()}) {
    CHECK(merge(pair) == "t.json: $.model.merges[1]");
  }
  const auto model = [](const std::string& key, const json& value) {
    return place_after(byte_level(), [&](json& d) { d["model"][key] = value; });
  };
  CHECK(model("merges", 1) == "t.json: $.model.merges");
  CHECK(model("merges", nullptr) == "t.json: $.model.merges");
  CHECK(model("vocab", json::array()) == "t.json: $.model.vocab");
  CHECK(model("dropout", 0.1) == "t.json: $.model.dropout");
  CHECK(model("dropout", 0.0).empty());
  CHECK(model("byte_fallback", 1) == "t.json: $.model.byte_fallback");
  CHECK(model("fuse_unk", "yes") == "t.json: $.model.fuse_unk");
  CHECK(model("type", "Bigram") == "t.json: $.model.type");
  CHECK(model("type", "WordLevel") == "t.json: $.model");
  CHECK(model("type", 7) == "t.json: $.model.type");
  CHECK(model("surprise", 7) == "t.json: $.model.surprise");
  CHECK(model("end_of_word_suffix", json::array()) == "t.json: $.model.end_of_word_suffix");
}

TEST_CASE("word pieces need their unknown token and short tokens") {
  const auto model = [](const std::string& key, const json& value) {
    return place_after(word_piece(), [&](json& d) { d["model"][key] = value; });
  };
  CHECK(model("unk_token", "none") == "t.json: $.model.unk_token");
  CHECK(model("unk_token", nullptr) == "t.json: $.model.unk_token");
  CHECK(model("max_input_chars_per_word", -1) == "t.json: $.model.max_input_chars_per_word");
  CHECK(model("max_input_chars_per_word", 1e10) == "t.json: $.model.max_input_chars_per_word");
  const std::string large(5000, 'a');
  CHECK_FALSE(place_after(word_piece(), [&](json& d) { d["model"]["vocab"][large] = 18; }).empty());
  CHECK(place_after(word_piece(), [](json& d) {
          d["pre_tokenizer"] = byte_level()["pre_tokenizer"];
        }) == "t.json: $.model");
}

TEST_CASE("added tokens have the ids that tokenizers gives them") {
  const auto add = [](const json& token) {
    return place_after(byte_level(), [&](json& d) { d["added_tokens"].push_back(token); });
  };
  CHECK(add(added_token(257, "<new>")).empty());
  CHECK(add(added_token(64, "a")).empty());
  CHECK(add(added_token(258, "<new>")) == "t.json: $.added_tokens[1].id");
  CHECK(add(added_token(257, "a")) == "t.json: $.added_tokens[1].id");
  CHECK(add(added_token(-1, "<new>")) == "t.json: $.added_tokens[1].id");
  CHECK(add(added_token(2147483647, "<new>")) == "t.json: $.added_tokens[1].id");
  CHECK(add(added_token(256, "<|endoftext|>")) == "t.json: $.added_tokens[1]");
  CHECK(add(added_token(257, std::string(2000, 'a'))) == "t.json: $.added_tokens[1].content");
  CHECK(add(json{{"id", 257}}) == "t.json: $.added_tokens[1].content");
  CHECK(add(nullptr) == "t.json: $.added_tokens[1]");
  json odd = added_token(257, "<new>");
  odd["special"] = 1;
  CHECK(add(odd) == "t.json: $.added_tokens[1].special");
  CHECK(place_after(byte_level(), [](json& d) { d["added_tokens"] = 5; }) ==
        "t.json: $.added_tokens");
}

TEST_CASE("parts that are not known are refused by name") {
  const auto part = [](const std::string& key, const json& value) {
    return place_after(byte_level(), [&](json& d) { d[key] = value; });
  };
  CHECK(part("normalizer", {{"type", "Other"}}) == "t.json: $.normalizer.type");
  CHECK(part("pre_tokenizer", {{"type", "Other"}}) == "t.json: $.pre_tokenizer.type");
  CHECK(part("post_processor", {{"type", "Other"}}) == "t.json: $.post_processor.type");
  CHECK(part("decoder", {{"type", "CTC"}}) == "t.json: $.decoder.type");
  CHECK(part("normalizer", {{"type", "ByteLevel"}}) == "t.json: $.normalizer.type");
  for (const char* type : {"UnicodeScripts", "FixedLength"}) {
    CHECK(part("pre_tokenizer", {{"type", type}}) == "t.json: $.pre_tokenizer.type");
  }
  CHECK(part("decoder", {{"type", "Strip"}, {"content", "ab"}, {"start", 1}, {"stop", 1}}) ==
        "t.json: $.decoder.content");
  CHECK(part("version", "2.0") == "t.json: $.version");
  CHECK(part("surprise", 1) == "t.json: $.surprise");
  CHECK(part("normalizer", "NFC") == "t.json: $.normalizer");
  CHECK(part("normalizer", {{"type", "NFC"}, {"odd", 1}}) == "t.json: $.normalizer.odd");
  CHECK(part("normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, 3}}}) ==
        "t.json: $.normalizer.normalizers[1]");
  const json split = {{"type", "Split"},
                      {"pattern", {{"Regex", "(("}}},
                      {"behavior", "Isolated"},
                      {"invert", false}};
  CHECK(part("pre_tokenizer", split) == "t.json: $.pre_tokenizer.pattern.Regex");
  json odd = split;
  odd["pattern"] = {{"Regex", "a"}};
  CHECK(part("pre_tokenizer", odd).empty());
  odd["behavior"] = "Gone";
  CHECK(part("pre_tokenizer", odd) == "t.json: $.pre_tokenizer.behavior");
  odd["pattern"] = {{"Regex", "a"}, {"String", "a"}};
  CHECK(part("pre_tokenizer", odd) == "t.json: $.pre_tokenizer.pattern");
  const json byte_level_part = byte_level()["pre_tokenizer"];
  CHECK(part("pre_tokenizer", {{"type", "Sequence"},
                               {"pretokenizers", {byte_level_part, {{"type", "Whitespace"}}}}}) ==
        "t.json: $.pre_tokenizer.pretokenizers[1]");
}

TEST_CASE("a chain of thousands of steps is refused") {
  const auto many = [](const std::string& key, const std::string& list, const json& step) {
    return place_after(byte_level(), [&](json& d) {
      d[key] = {{"type", "Sequence"}, {list, std::vector<json>(5000, step)}};
    });
  };
  CHECK_FALSE(many("normalizer", "normalizers", {{"type", "NFC"}}).empty());
  CHECK_FALSE(many("pre_tokenizer", "pretokenizers", {{"type", "Whitespace"}}).empty());
  CHECK_FALSE(many("decoder", "decoders", {{"type", "Fuse"}}).empty());
  const json around = {{"type", "BertProcessing"}, {"cls", {"x", 0}}, {"sep", {"y", 0}}};
  CHECK_FALSE(many("post_processor", "processors", around).empty());
}

TEST_CASE("marks have ids of the vocabulary and hold the text once") {
  const auto post = [](const std::function<void(json&)>& change) {
    return place_after(word_piece(), [&](json& d) { change(d["post_processor"]); });
  };
  CHECK(post([](json& p) { p["special_tokens"]["[CLS]"]["ids"] = {18}; }) ==
        "t.json: $.post_processor.special_tokens.[CLS].ids[0]");
  CHECK(post([](json& p) { p["special_tokens"].erase("[SEP]"); }) ==
        "t.json: $.post_processor.special_tokens.[SEP]");
  CHECK(post([](json& p) { p["single"].push_back(p["single"][1]); }) ==
        "t.json: $.post_processor.single[3].Sequence");
  CHECK(post([](json& p) { p["single"].erase(1); }) == "t.json: $.post_processor.single");
  CHECK(post([](json& p) { p["single"][1]["Sequence"]["id"] = "B"; }) ==
        "t.json: $.post_processor.single[1].Sequence");
  CHECK(post([](json& p) {
          p = {{"type", "BertProcessing"}, {"cls", {"x"}}, {"sep", {"y", 0}}};
        }) == "t.json: $.post_processor.cls");
  CHECK(post([](json& p) {
          p = {{"type", "BertProcessing"}, {"cls", {"x", 0}}};
        }) == "t.json: $.post_processor.sep");
}

TEST_CASE("files cut short or with changed bytes are read or refused, never worse") {
  json document = byte_level({{"h", "e"}, {"l", "l"}});
  document["added_tokens"].push_back(added_token(259, "<l>", "lstrip"));
  document["normalizer"] = {{"type", "NFC"}};
  for (const std::string& whole : {document.dump(), word_piece().dump()}) {
    Random random(Key(3));
    int refused = 0;
    for (int i = 0; i < 600; ++i) {
      std::string text = whole;
      if (i % 3 == 0) text.resize(random.below(text.size()));
      for (std::uint64_t n = i % 3 == 0 ? 0 : 1 + random.below(3); n > 0; --n) {
        text[random.below(text.size())] = static_cast<char>(random.below(256));
      }
      try {
        const Tokenizer t = parse_tokenizer(text, "t.json");
        t.decode(t.encode_with_marks("Hello <l> w\u00f6rld 12", 64));
      } catch (const Error&) {
        ++refused;
      }
    }
    CHECK(refused > 200);
  }
}

TEST_CASE("folders and pipes are no tokenizer files") {
  const auto folder =
      std::filesystem::temp_directory_path() / ("tandem_bad_tokenizer_" + std::to_string(getpid()));
  std::filesystem::create_directories(folder / "tokenizer.json");
  CHECK_THROWS_AS(load_tokenizer(folder), Error);
  CHECK_THROWS_AS(load_tokenizer("/dev/null"), Error);
  CHECK_THROWS_AS(load_tokenizer(""), Error);
  std::filesystem::remove_all(folder);
}

}  // namespace bad_file_test
