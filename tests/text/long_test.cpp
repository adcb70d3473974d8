// Megabytes in one word: what would be quadratic would not end.

#include <catch2/catch.hpp>
#include <map>

#include "documents.h"
#include "files.h"
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
// or an early exit could live on. The first letter is an "a": a space there is a mark's.
const std::vector<std::string> kLetters{"a", "b", "e", " ", "\u00e9", "\u4f60", "7", "."};

std::string random_text(std::size_t size) {
  Random random(Key(11));
  std::string text = "a";
  text.reserve(size + 4);
  while (text.size() < size / 2) text += kLetters[random.below(kLetters.size())];
  while (text.size() < size) text += kLetters[random.below(3)];
  return text;
}

const std::string kSpaceMark = "\u2581";

// The pieces of the kinds that know characters: a mark for the space, every letter, some unions.
std::vector<std::string> long_pieces() {
  std::vector<std::string> pieces{kSpaceMark};
  for (const std::string& letter : kLetters) {
    if (letter != " ") pieces.push_back(letter);
  }
  for (const std::string union_of : {"ab", "abab"}) pieces.push_back(union_of);
  pieces.push_back(kSpaceMark + "a");
  return pieces;
}

// A tokenizer.json that takes the whole text as one word.
json whole_text(const json& model) {
  const json spaces = {{"type", "Metaspace"}, {"replacement", kSpaceMark}, {"split", false}};
  return {{"version", "1.0"},        {"added_tokens", json::array()}, {"normalizer", nullptr},
          {"pre_tokenizer", spaces}, {"post_processor", nullptr},     {"decoder", spaces},
          {"model", model}};
}

Tokenizer long_unigram() {
  json vocab = json::array({json::array({"<unk>", 0.0})});
  for (const std::string& piece : long_pieces()) {
    vocab.push_back(json::array({piece, -1.0 - 0.25 * static_cast<double>(vocab.size())}));
  }
  return read(whole_text({{"type", "Unigram"}, {"unk_id", 0}, {"vocab", vocab}}));
}

Tokenizer long_characters() {
  json vocab = {{"<unk>", 0}};
  for (const std::string& piece : long_pieces()) vocab[piece] = vocab.size();
  const json merges = json::array(
      {json::array({"a", "b"}), json::array({"ab", "ab"}), json::array({kSpaceMark, "a"})});
  return read(
      whole_text({{"type", "BPE"}, {"unk_token", "<unk>"}, {"merges", merges}, {"vocab", vocab}}));
}

Tokenizer long_sentencepiece(int kind) {
  std::string bytes = piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3);
  float score = 0;
  for (const std::string& text : long_pieces()) bytes += piece(text, score -= 0.5f);
  const Folder folder;
  folder.write("tokenizer.model", bytes + trainer(kind) + normalizer(true, false));
  return load_tokenizer(folder.path);
}

Tokenizer long_tiktoken() {
  const Folder folder;
  folder.write("qwen.tiktoken",
               tiktoken_bytes() + "YmE= 256\nYWI= 257\nYWJh 258\n");  // ba, ab, aba
  return load_tokenizer(folder.path);
}

// A kind gives a text back, or (lower case, spaces of its own) only says how much of it there is.
void check_long(const std::string& name, const Tokenizer& tokenizer, const std::string& text,
                bool comes_back) {
  INFO(name << ", " << text.size() << " bytes");
  const auto ids = tokenizer.encode(text);
  CHECK(ids.size() > text.size() / 16);
  CHECK(ids.size() <= text.size() + 1);
  if (comes_back) CHECK((tokenizer.decode(ids, true) == text));  // no megabytes in the report
}

TEST_CASE("megabytes of random text are encoded by every kind and come back") {
  std::vector<std::string> training;
  for (std::size_t i = 0; i < 40; ++i) training.push_back(random_text(200 + i));
  const Tokenizer gpt2 = train_bpe(training, 400, BpeKind::gpt2), tiktoken = long_tiktoken();
  const Tokenizer clip = train_bpe(training, 600, BpeKind::clip);
  const Tokenizer bert = train_wordpiece(training, 60);
  const Tokenizer unigram = long_unigram(), characters = long_characters();
  const Tokenizer sentences = long_sentencepiece(1), merged = long_sentencepiece(2);
  for (const std::size_t megabytes : {1u, 4u, 16u}) {
    const std::string text = random_text(megabytes << 20);
    check_long("gpt2", gpt2, text, true);
    check_long("tiktoken", tiktoken, text, true);
    check_long("clip", clip, text, false);
    check_long("WordPiece", bert, text, false);
    if (megabytes > 4) continue;  // some tens of bytes of memory for each of the text
    check_long("Unigram", unigram, text, true);
    check_long("characters", characters, text, true);
    check_long("SentencePiece, Unigram", sentences, text, true);
    check_long("SentencePiece, BPE", merged, text, true);
  }
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
