#include "text/pattern.h"

#include <catch2/catch.hpp>

#include "documents.h"
#include "tandem/base/error.h"
#include "text/pre_tokenizer.h"

namespace pattern_test {

using namespace tandem;
using namespace tandem::text;

using Words = std::vector<std::string>;

namespace {

Words matches(const Pattern& pattern, const std::string& text) {
  Words words;
  std::string all;
  pattern.cut(text, [&](std::size_t begin, std::size_t end, bool match) {
    if (match) words.push_back(text.substr(begin, end - begin));
    all += text.substr(begin, end - begin);
  });
  CHECK(all == text);  // the pieces cover the text
  return words;
}

Words cut(const nlohmann::json& document, const std::string& text) {
  Words words;
  const std::string name = "test";
  PreTokenizer(JsonNode(document, name)).cut(text, true, [&](std::string_view word) {
    words.emplace_back(word);
  });
  return words;
}

const std::string kText = "Hello  world\n\n  I'LL pay 12345€!!\n\t'ſx it's 'round  ";
const std::string kContractions = "'s|'t|'re|'ve|'m|'ll|'d";
const std::string kTail = R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string kHead = "(?i:" + kContractions + R"()|[^\r\n\p{L}\p{N}]?\p{L}+)";

}  // namespace

TEST_CASE("our matchers cut as the expressions do") {
  const Pattern clip =
      Pattern::regex(kContractions + R"(|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)", "test");
  CHECK(clip.kind() == Pattern::Kind::clip);
  CHECK(matches(clip, kText) == Words{"Hello", "world", "I", "'", "LL", "pay", "1", "2", "3", "4",
                                      "5", "€!!", "'", "ſx", "it", "'s", "'", "round"});
  const Pattern gpt2 = Pattern::regex(
      kContractions + R"(| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", "test");
  CHECK(gpt2.kind() == Pattern::Kind::gpt2);
  CHECK(matches(gpt2, kText) == Words{"Hello", " ", " world", "\n\n ", " I", "'", "LL", " pay",
                                      " 12345", "€!!", "\n", "\t", "'", "ſx", " it", "'s", " '",
                                      "round", "  "});
  const Pattern qwen2 = Pattern::regex(kHead + R"(|\p{N})" + kTail, "test");
  CHECK(qwen2.kind() == Pattern::Kind::qwen2);
  CHECK(matches(qwen2, kText) ==
        Words{"Hello", " ", " world", "\n\n", " ",  " I", "'LL", " pay", " ",  "1",     "2", "3",
              "4",     "5", "€!!\n",  "\t",   "'ſ", "x",  " it", "'s",   " '", "round", "  "});
  const Pattern llama3 = Pattern::regex(kHead + R"(|\p{N}{1,3})" + kTail, "test");
  CHECK(llama3.kind() == Pattern::Kind::llama3);
  CHECK(matches(llama3, kText) == Words{"Hello", " ",   " world", "\n\n", " ",     " I", "'LL",
                                        " pay",  " ",   "123",    "45",   "€!!\n", "\t", "'ſ",
                                        "x",     " it", "'s",     " '",   "round", "  "});
  const Pattern spaces = Pattern::regex(R"(\s+)", "test");
  CHECK(matches(spaces, "a \t b\u3000") == Words{" \t ", "\u3000"});
}

TEST_CASE("CLIP's marks in the pattern are one piece each") {
  const Pattern marked = Pattern::regex(R"(<\|startoftext\|>|<\|endoftext\|>|)" + kContractions +
                                            R"(|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)",
                                        "test");
  CHECK(marked.kind() == Pattern::Kind::clip_marked);
  CHECK(matches(marked, "<|endoftext|> <|endo!<|endoftext|>") ==
        Words{"<|endoftext|>", "<|", "endo", "!<|", "endoftext", "|>"});
}

TEST_CASE("other expressions run in ICU, on whole characters") {
  const Pattern pattern = Pattern::regex(R"(\d+|[é€]+)", "test");
  CHECK(pattern.kind() == Pattern::Kind::icu);
  CHECK(matches(pattern, "a12é€b3") == Words{"12", "é€", "3"});
  CHECK(matches(pattern, "none").empty());
  CHECK(matches(pattern, "").empty());
}

TEST_CASE("an expression that never ends is stopped") {
  const Pattern pattern = Pattern::regex("(a|aa|aaa)+b", "test");
  CHECK_THROWS_AS(matches(pattern, std::string(200, 'a')), Error);
  const Pattern deep = Pattern::regex("(.|x)*y", "test");
  CHECK_THROWS_AS(matches(deep, std::string(4 << 20, 'z')), Error);
}

TEST_CASE("expressions that cannot be read are refused") {
  CHECK_THROWS_AS(Pattern::regex("(", "test"), Error);
  CHECK_THROWS_AS(Pattern::regex("", "test"), Error);
  CHECK_THROWS_AS(Pattern::regex(std::string(20000, 'a'), "test"), Error);
  CHECK_THROWS_AS(Pattern::regex(std::string(9999, '('), "test"), Error);
  CHECK_THROWS_AS(Pattern::literal("", "test"), Error);
}

TEST_CASE("a split keeps its delimiters as its behavior says") {
  const auto split = [](const std::string& behavior, bool invert = false) {
    return cut({{"type", "Split"},
                {"pattern", {{"String", "-"}}},
                {"behavior", behavior},
                {"invert", invert}},
               "-the-final--countdown");
  };
  CHECK(split("Removed") == Words{"the", "final", "countdown"});
  CHECK(split("Removed", true) == Words{"-", "-", "-", "-"});
  CHECK(split("Isolated") == Words{"-", "the", "-", "final", "-", "-", "countdown"});
  CHECK(split("MergedWithPrevious") == Words{"-", "the-", "final-", "-", "countdown"});
  CHECK(split("MergedWithNext") == Words{"-the", "-final", "-", "-countdown"});
  CHECK(split("Contiguous") == Words{"-", "the", "-", "final", "--", "countdown"});
}

TEST_CASE("the other pre-tokenizers cut characters of their kind") {
  CHECK(cut({{"type", "Whitespace"}}, " a_1é.. b") == Words{"a_1é", "..", "b"});
  CHECK(cut({{"type", "WhitespaceSplit"}}, " a-b\u3000c ") == Words{"a-b", "c"});
  CHECK(cut({{"type", "BertPreTokenizer"}}, "it's $5 «a»") ==
        Words{"it", "'", "s", "$", "5", "«", "a", "»"});
  CHECK(cut({{"type", "Punctuation"}}, "a b!?") == Words{"a b", "!", "?"});
  CHECK(cut({{"type", "Digits"}, {"individual_digits", true}}, "a12½") ==
        Words{"a", "1", "2", "½"});
  CHECK(cut({{"type", "Digits"}, {"individual_digits", false}}, "a12½b") == Words{"a", "12½", "b"});
  CHECK(cut({{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}}, "a b") ==
        Words{" a", " b"});
  const nlohmann::json both = {{{"type", "WhitespaceSplit"}},
                               {{"type", "Digits"}, {"individual_digits", true}}};
  CHECK(cut({{"type", "Sequence"}, {"pretokenizers", both}}, "a1 b") == Words{"a", "1", "b"});
  CHECK(cut({{"type", "Sequence"}, {"pretokenizers", nlohmann::json::array()}}, "a b") ==
        Words{"a b"});
}

}  // namespace pattern_test
