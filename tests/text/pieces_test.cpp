// Pieces with scores, spaces that are marks, byte tokens and character maps; ids as `tokenizers`
// 0.23.3 gives them (tests/reference/pieces_diff.py compares many more).

#include <catch2/catch.hpp>
#include <cstring>

#include "documents.h"
#include "tandem/base/error.h"
#include "text/charsmap.h"

namespace pieces_test {

using namespace tandem;
using namespace tandem::text;
using namespace tandem::text::testing;

using Ids = std::vector<std::int32_t>;

namespace {

const std::string kMark = "\u2581";

json unigram(bool byte_fallback = false) {
  const std::vector<std::pair<std::string, double>> pieces{
      {"<unk>", 0},      {kMark, -2},     {"a", -1},      {"b", -1.5},           {"ab", -2},
      {kMark + "a", -2}, {"é", -3},       {"<0xC3>", -9}, {kMark + "ab", -3.25}, {"<0xA8>", -9},
      {"abc", -20},      {"<0xF0>", -9.5}};
  json vocab = json::array();
  for (const auto& [piece, score] : pieces) vocab.push_back(json::array({piece, score}));
  return {
      {"version", "1.0"},
      {"added_tokens", json::array()},
      {"normalizer", nullptr},
      {"pre_tokenizer", {{"type", "Metaspace"}, {"replacement", kMark}}},
      {"post_processor", nullptr},
      {"decoder", {{"type", "Metaspace"}, {"replacement", kMark}}},
      {"model",
       {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", vocab}, {"byte_fallback", byte_fallback}}}};
}

std::string base64(const std::string& bytes) {
  static const char* const letters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    }
    for (int k = 3; k >= 0; --k) text += letters[bits >> (6 * k) & 63];
  }
  text.resize((bytes.size() * 8 + 5) / 6);
  return text + std::string((3 - bytes.size() % 3) % 3, '=');
}

// A double array with the rules "A" -> texts[0] and "AB" -> texts[3].
std::string map_of(const std::string& texts) {
  std::vector<std::uint32_t> units(512, 0);
  const auto unit = [](std::uint32_t offset, bool leaf, std::uint32_t label) {
    return offset << 10 | (leaf ? 1u << 8 : 0u) | label;
  };
  units[0] = unit(256, false, 0);
  const std::uint32_t a = 256 ^ 'A';
  units[a] = unit(a ^ 128, true, 'A');  // its value lies at 128
  units[128] = 0x80000000u | 0;
  const std::uint32_t b = 128 ^ 'B';
  units[b] = unit(b ^ 400, true, 'B');
  units[400] = 0x80000000u | 3;
  const auto size = static_cast<std::uint32_t>(4 * units.size());
  std::string blob(4 + size, '\0');
  std::memcpy(blob.data(), &size, 4);
  std::memcpy(blob.data() + 4, units.data(), size);
  return blob + texts;
}

json with_map(const std::string& blob) {
  json document = unigram();
  document["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", base64(blob)}};
  return document;
}

std::string place_of_error(const json& document) {
  try {
    parse_tokenizer(document.dump(), "t.json");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::data);
    return error.where();
  }
  return "";
}

}  // namespace

TEST_CASE("the pieces of the largest sum are taken, unknown ones as a run") {
  const Tokenizer t = read(unigram());
  CHECK(t.encode("ab") == Ids{8});
  CHECK(t.encode("aab ab") == Ids{5, 4, 8});
  CHECK(t.encode("bé") == Ids{1, 3, 6});
  CHECK(t.encode("xyz a") == Ids{1, 0, 5});
  CHECK(t.encode("abc") == Ids{1, 10});
  CHECK(t.encode("a  b") == Ids{5, 1, 1, 3});
  CHECK(t.encode("").empty());
  CHECK(t.decode(Ids{5, 4, 8}) == "aab ab");
  CHECK(t.vocab_size() == 12);
}

TEST_CASE("bytes stand for unknown characters when all of them have a token") {
  const Tokenizer t = read(unigram(true));
  CHECK(t.encode("è") == Ids{1, 7, 9});
  CHECK(t.encode("aé") == Ids{5, 6});
  CHECK(t.encode("\U0001F600") == Ids{1, 0});
  json document = unigram(true);
  document["decoder"] = {{"type", "ByteFallback"}};
  const Tokenizer bytes = read(document);
  CHECK(bytes.decode(Ids{2, 7, 9, 3}) == "aèb");
  CHECK(bytes.decode(Ids{2, 7, 7, 3}) == "a\uFFFD\uFFFDb");
  CHECK(bytes.decode(Ids{11}) == "\uFFFD");
}

TEST_CASE("a mark goes before every piece, the first or none") {
  const auto encoded = [](const std::string& scheme, const std::string& text) {
    json document = unigram();
    document["pre_tokenizer"]["prepend_scheme"] = scheme;
    document["added_tokens"].push_back(added_token(12, "<x>"));
    return read(document).encode(text);
  };
  CHECK(encoded("always", "a<x>a") == Ids{5, 12, 5});
  CHECK(encoded("first", "a<x>a") == Ids{5, 12, 2});
  CHECK(encoded("first", "<x>a") == Ids{12, 2});
  CHECK(encoded("never", "a<x>a") == Ids{2, 12, 2});
  CHECK(encoded("always", " a") == Ids{5});
  json old = unigram();
  old["pre_tokenizer"]["add_prefix_space"] = false;
  CHECK(read(old).encode("a") == Ids{2});
  old["pre_tokenizer"]["prepend_scheme"] = "always";
  CHECK(place_of_error(old) == "t.json: $.pre_tokenizer.prepend_scheme");
}

TEST_CASE("a text is prepended to what is not empty") {
  json document = unigram();
  document["pre_tokenizer"] = nullptr;
  document["normalizer"] = {
      {"type", "Sequence"},
      {"normalizers",
       {{{"type", "Prepend"}, {"prepend", kMark}},
        {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kMark}}}}};
  const Tokenizer t = read(document);
  CHECK(t.encode("a ab") == Ids{5, 8});
  CHECK(t.encode("").empty());
  document["normalizer"] = {{"type", "Nmt"}};
  CHECK(read(document).encode("a\x01"
                              "b\u200B") == Ids{4, 0});
}

TEST_CASE("a character map replaces clusters as their shortest rule says") {
  const CharsMap map(map_of(std::string("b\0\0ab\0", 6)), "map");
  REQUIRE(map.longest("ABA"));
  CHECK(map.longest("ABA")->length == 2);
  CHECK(map.longest("ABA")->replacement == "ab");
  CHECK(map.shortest("ABA")->replacement == "b");
  CHECK_FALSE(map.longest("B"));
  std::string out;
  append_precompiled(map, "ABxA\u0301A", out);
  CHECK(out == "bBxbb");  // the accent belongs to its cluster
  CHECK(read(with_map(map_of(std::string("b\0\0ab\0", 6)))).encode("A") == Ids{1, 3});
}

TEST_CASE("clusters end where Unicode says") {
  const auto length = [](const std::string& text) { return grapheme_length(text, 0); };
  CHECK(length("ab") == 1);
  CHECK(length("\r\nx") == 2);
  CHECK(length("\n\u0301") == 1);
  CHECK(length("e\u0301\u0302x") == 5);
  CHECK(length("\u1100\u1161\u11A8\u1100") == 9);
  CHECK(length("\U0001F1E9\U0001F1EA\U0001F1EB") == 8);
  CHECK(length("\U0001F469\u200D\U0001F680x") == 11);
  CHECK(length("a\u200D\U0001F680") == 4);
  CHECK(length("\u0600a") == 3);
}

TEST_CASE("a character map that is none, or leads out of itself, is refused or ignored") {
  CHECK_FALSE(place_of_error(with_map("abc")).empty());
  CHECK_FALSE(place_of_error(with_map(std::string(8, '\xFF'))).empty());
  CHECK_FALSE(place_of_error(with_map(map_of("\xFF"))).empty());
  CHECK_FALSE(place_of_error(with_map(map_of(std::string(1000, 'a')))).empty());
  json document = with_map(map_of("a"));
  document["normalizer"]["precompiled_charsmap"] = "a?b=";
  CHECK(place_of_error(document) == "t.json: $.normalizer.precompiled_charsmap");
  std::string wild = map_of("a");
  for (std::size_t i = 4; i + 8 < wild.size(); ++i) wild[i] = static_cast<char>(i * 197);
  const CharsMap map(wild, "map");
  std::string out;
  for (int c = 1; c < 0x300; ++c) {
    if (const auto found = map.longest(std::string(3, static_cast<char>(c))))
      out += found->replacement;
  }
  CHECK(out.size() < 1000);
}

TEST_CASE("a model of pieces has an unknown one, short tokens and numbers as scores") {
  const auto model = [](const std::function<void(json&)>& change) {
    json document = unigram();
    change(document["model"]);
    return place_of_error(document);
  };
  CHECK(model([](json& m) { m["unk_id"] = nullptr; }) == "t.json: $.model.unk_id");
  CHECK(model([](json& m) { m["unk_id"] = 12; }) == "t.json: $.model.unk_id");
  CHECK(model([](json& m) { m["vocab"][1] = "a"; }) == "t.json: $.model.vocab[1]");
  CHECK(model([](json& m) {
          m["vocab"][1] = json::array({"a", "b"});
        }) == "t.json: $.model.vocab[1][1]");
  CHECK(model([](json& m) { m["vocab"][1] = json::array({"a"}); }) == "t.json: $.model.vocab[1]");
  CHECK(model([](json& m) { m["vocab"][1][0] = std::string(2000, 'a'); }) ==
        "t.json: $.model.vocab[1]");
  CHECK(model([](json& m) { m["surprise"] = 1; }) == "t.json: $.model.surprise");
  CHECK(model([](json& m) { m["vocab"] = json::object(); }) == "t.json: $.model.vocab");
  json document = unigram();
  document["pre_tokenizer"]["replacement"] = "ab";
  CHECK(place_of_error(document) == "t.json: $.pre_tokenizer.replacement");
  document = unigram();
  document["decoder"]["prepend_scheme"] = "often";
  CHECK(place_of_error(document) == "t.json: $.decoder.prepend_scheme");
}

TEST_CASE("byte-pair encoding falls back on bytes, and words without one are unknown") {
  json document = unigram();
  document["pre_tokenizer"] = nullptr;
  document["model"] = {
      {"type", "BPE"},
      {"unk_token", "<unk>"},
      {"fuse_unk", true},
      {"byte_fallback", true},
      {"merges", json::array({json::array({"a", "b"})})},
      {"vocab", {{"<unk>", 0}, {"a", 1}, {"b", 2}, {"ab", 3}, {"<0xC3>", 4}, {"<0xA8>", 5}}}};
  const Tokenizer t = read(document);
  CHECK(t.encode("abèb") == Ids{3, 4, 5, 2});
  CHECK(t.encode("xyb") == Ids{0, 2});
  CHECK(t.encode("xèyb") == Ids{4, 5, 0, 2});  // an unknown run waits for the next known character
}

TEST_CASE("a word is a token or unknown") {
  json document = unigram();
  document["pre_tokenizer"] = {{"type", "CharDelimiterSplit"}, {"delimiter", " "}};
  document["model"] = {{"type", "WordLevel"}, {"unk_token", "?"}, {"vocab", {{"a", 0}, {"?", 1}}}};
  CHECK(read(document).encode("a b  a") == Ids{0, 1, 0});
  document["model"]["unk_token"] = "none";
  CHECK(place_of_error(document) == "t.json: $.model.unk_token");
}

TEST_CASE("a megabyte in one word costs pieces and merges no more than its length") {
  json bpe = unigram();
  bpe["pre_tokenizer"]["split"] = false;
  bpe["normalizer"] = {{"type", "Precompiled"},
                       {"precompiled_charsmap", base64(map_of(std::string("b\0\0ab\0", 6)))}};
  bpe["model"] = {{"type", "BPE"},
                  {"unk_token", "<unk>"},
                  {"merges", json::array({json::array({"a", "b"}), json::array({"ab", "ab"})})},
                  {"vocab", {{"<unk>", 0}, {"a", 1}, {"b", 2}, {"ab", 3}, {"abab", 4}}}};
  const std::vector<Tokenizer> kinds{read(unigram()), read(unigram(true)), read(bpe)};
  for (const std::string piece : {"a", "ab", "a ", "x", "\u0301", "A\u0301", "\U0001F600\u200D"}) {
    std::string text;
    while (text.size() < 1u << 20) text += piece;
    for (const Tokenizer& t : kinds) CHECK(t.encode(text).size() <= text.size() + 1);
  }
}

TEST_CASE("words that a thread met before have the same ids, for each tokenizer its own") {
  const Tokenizer first = read(unigram()), second = read(byte_level({{"a", "b"}}));
  for (int i = 0; i < 3; ++i) {
    CHECK(first.encode("ab aab") == Ids{8, 5, 4});
    CHECK(second.encode("ab") == Ids{257});
    CHECK(second.encode("abababababababababababab").size() == 12);
    CHECK(second.encode(std::string("ab\0", 3)) == Ids{257, 188});
  }
}

}  // namespace pieces_test
