// Megabytes in one word: what would be quadratic would not end.

#include <catch2/catch.hpp>
#include <map>

#include "documents.h"
#include "tandem/base/random.h"

namespace long_test {

using namespace tandem;
using namespace tandem::text;
using namespace tandem::text::testing;

namespace {

constexpr std::size_t kLong = 1 << 20;

std::string repeated(const std::string& piece) {
  std::string text;
  while (text.size() < kLong) text += piece;
  return text;
}

std::vector<std::string> long_texts() {
  return {repeated("a"),
          repeated("ab"),
          repeated(" "),
          repeated("\n"),
          repeated(" \n"),
          repeated("'"),
          repeated("9"),
          repeated("!"),
          repeated("\U0001F600"),
          repeated("\U0001F469\u200D\U0001F680"),
          repeated("\u0301"),
          "e" + repeated("\u0301\u0316"),  // each second mark has to move before the others
          repeated("\u1100\u1161"),
          repeated("<|endoftext|>"),
          repeated("<|endoftext"),
          repeated("\xFF"),
          repeated("\xF0\x9F"),
          repeated("\u4f60")};
}

std::vector<std::string> lines() {
  return {repeated("a").substr(0, 4096), "the cat sat on the mat", repeated("ab ").substr(0, 999)};
}

// The definition: the merge of the lowest rank first, the leftmost of equal ones.
std::vector<std::string> merged_slowly(const json& model, std::vector<std::string> symbols) {
  std::map<std::pair<std::string, std::string>, std::size_t> ranks;
  for (const auto& merge : model["merges"])
    ranks.emplace(std::pair(merge[0], merge[1]), ranks.size());
  for (;;) {
    std::size_t best = ranks.size(), place = 0;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto it = ranks.find({symbols[i], symbols[i + 1]});
      if (it != ranks.end() && it->second < best) {
        best = it->second;
        place = i;
      }
    }
    if (best == ranks.size()) return symbols;
    symbols[place] += symbols[place + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(place) + 1);
  }
}

}  // namespace

TEST_CASE("a megabyte of anything is encoded at once and comes back") {
  const Tokenizer gpt2 = train_bpe(lines(), 300, BpeKind::gpt2);
  const Tokenizer clip = train_bpe(lines(), 600, BpeKind::clip);
  const Tokenizer bert = train_wordpiece(lines(), 60);
  json document = byte_level({{"a", "a"}, {"aa", "aa"}, {"aaaa", "aaaa"}});
  document["pre_tokenizer"] = {{"type", "Sequence"},
                               {"pretokenizers",
                                {{{"type", "Split"},
                                  {"pattern",
                                   {{"Regex",
                                     "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
                                     "\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!"
                                     "\\S)|\\s+"}}},
                                  {"behavior", "Isolated"},
                                  {"invert", false}},
                                 {{"type", "ByteLevel"},
                                  {"add_prefix_space", false},
                                  {"trim_offsets", false},
                                  {"use_regex", false}}}}};
  document["normalizer"] = {{"type", "NFC"}};
  const Tokenizer qwen2 = read(document);
  for (const std::string& text : long_texts()) {
    const auto ids = gpt2.encode(text);
    CHECK_FALSE(ids.empty());
    const std::string back = gpt2.decode(ids, true);
    if (static_cast<unsigned char>(text[0]) < 0xF0) CHECK(back == text);
    CHECK_FALSE(qwen2.encode(text).empty());
    CHECK(clip.encode_with_marks(text, 77).size() <= 77);
    CHECK(clip.encode(text).size() <= 3 * text.size());  // a wrong byte becomes three
    CHECK(bert.encode(text).size() <= text.size());
  }
}

// Random words of several scripts, then one random word to the end: what has no period that a cache
// or an early exit could live on.
std::string random_text(std::size_t size) {
  static const std::vector<std::string> letters{"a", "b", "e", " ", "\u00e9", "\u4f60", "7", "."};
  Random random(Key(11));
  std::string text;
  text.reserve(size + 4);
  while (text.size() < size / 2) text += letters[random.below(letters.size())];
  while (text.size() < size) text += letters[random.below(3)];
  return text;
}

TEST_CASE("sixteen megabytes of random text are encoded by every kind and come back") {
  const std::string text = random_text(16 << 20);
  std::vector<std::string> training;
  for (std::size_t i = 0; i < 40; ++i) training.push_back(random_text(200 + i));
  const Tokenizer gpt2 = train_bpe(training, 400, BpeKind::gpt2);
  CHECK(gpt2.decode(gpt2.encode(text), true) == text);
  CHECK(train_bpe(training, 600, BpeKind::clip).encode(text).size() > text.size() / 16);
  CHECK(train_wordpiece(training, 60).encode(text).size() > text.size() / 16);
}

TEST_CASE("a word piece model without a limit of characters takes a megabyte in one word") {
  json document = word_piece();
  document["model"]["max_input_chars_per_word"] = 2147483647;
  const Tokenizer t = read(document);
  CHECK(t.encode(repeated("a")).size() == kLong);
  CHECK(t.encode(repeated("a") + "x") == std::vector<std::int32_t>{1});
}

TEST_CASE("training on a megabyte in one word ends") {
  Random random(Key(5));
  std::string text;
  while (text.size() < kLong) text.push_back(static_cast<char>('a' + random.below(4)));
  const std::vector<std::string> training{text};
  CHECK(train_bpe(training, 2000, BpeKind::gpt2).vocab_size() == 2000);
  CHECK(train_wordpiece(training, 300).vocab_size() == 5);  // too long a word: nothing to learn
}

TEST_CASE("short and long words are merged alike, as the definition says") {
  Random random(Key(9));
  std::vector<std::string> training;
  const auto word = [&](std::size_t length) {
    std::string text;
    while (text.size() < length) text.push_back(static_cast<char>('a' + random.below(3)));
    return text;
  };
  for (int i = 0; i < 40; ++i) training.push_back(word(1 + random.below(60)));
  const Tokenizer t = train_bpe(training, 340, BpeKind::gpt2);
  const json model = json::parse(t.files()[0].second)["model"];
  for (std::size_t length = 1; length < 200; length += 1 + length / 9) {
    const std::string text = word(length);
    std::vector<std::string> symbols, got;
    for (const char c : text) symbols.emplace_back(1, c);
    for (const std::int32_t id : t.encode(text)) got.push_back(t.token_of(id));
    CHECK(got == merged_slowly(model, symbols));
  }
}

}  // namespace long_test
