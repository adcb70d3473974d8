// What is trained: the files of CLIP's, GPT-2's and BERT's tokenizers with a vocabulary of ours.

#include <algorithm>
#include <set>

#include "tandem/base/error.h"
#include "tandem/text/tokenizer.h"
#include "text/byte_level.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/recipe.h"
#include "text/trainer.h"
#include "text/unicode.h"

namespace tandem::text {
namespace {

constexpr std::int64_t kMaxCharsOfWord = 100;  // of a WordPiece model; longer ones are [UNK]

// The words of the lines with their counts, in the order of their bytes.
std::vector<std::pair<std::string, std::int64_t>> count_words(std::span<const std::string> lines,
                                                              const Recipe& recipe) {
  const std::string name = "recipe";
  const nlohmann::json normalizer_json = nlohmann::json::parse(recipe.normalizer);
  const nlohmann::json pre_json = nlohmann::json::parse(recipe.pre_tokenizer);
  const Normalizer normalizer =
      normalizer_json.is_null() ? Normalizer() : Normalizer(JsonNode(normalizer_json, name));
  const PreTokenizer pre_tokenizer(JsonNode(pre_json, name));
  std::unordered_map<std::string, std::int64_t> counts;
  std::string repaired, buffer, spare;
  for (const std::string& line : lines) {
    repaired.clear();
    repair_utf8(line, repaired);
    pre_tokenizer.cut(normalizer.apply(repaired, buffer, spare), true,
                      [&](std::string_view word) { ++counts[std::string(word)]; });
  }
  std::vector<std::pair<std::string, std::int64_t>> words(counts.begin(), counts.end());
  std::sort(words.begin(), words.end());
  return words;
}

void check_size(int vocab_size, std::size_t needed) {
  if (vocab_size > 0 && static_cast<std::size_t>(vocab_size) >= needed) return;
  throw Error(ErrorKind::config, "[text] expected a vocabulary of at least " +
                                     std::to_string(needed) + " tokens (alphabet and marks); got " +
                                     std::to_string(vocab_size));
}

std::string quoted(const std::string& text) { return nlohmann::json(text).dump(); }

std::string vocabulary_json(const TokenList& tokens) {
  std::string text = "{";
  for (std::size_t id = 0; id < tokens.tokens().size(); ++id) {
    if (id > 0) text += ',';
    text += quoted(tokens.tokens()[id]) + ':' + std::to_string(id);
  }
  return text + '}';
}

std::string document(const Recipe& recipe, TokenList& tokens, const std::string& model) {
  std::string added, post = recipe.post_processor;
  for (const std::string& mark : recipe.marks) {
    const std::string id = std::to_string(tokens.add(mark));
    added += std::string(added.empty() ? "" : ",") + "{\"id\":" + id +
             ",\"content\":" + quoted(mark) +
             ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"
             "\"special\":true}";
    const std::string place = "@" + mark + "@";
    for (std::size_t at; (at = post.find(place)) != std::string::npos;) {
      post.replace(at, place.size(), id);
    }
  }
  return "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\n\"added_tokens\":[" + added +
         "],\n\"normalizer\":" + recipe.normalizer +
         ",\n\"pre_tokenizer\":" + recipe.pre_tokenizer + ",\n\"post_processor\":" + post +
         ",\n\"decoder\":" + recipe.decoder + ",\n\"model\":" + model + "}\n";
}

}  // namespace

namespace {

std::string letter_of(char byte) {
  std::string letter;
  append_char(letter, byte_letters()[static_cast<unsigned char>(byte)]);
  return letter;
}

// The letters in the order of their code points, as released: alone, then with the suffix.
TokenList byte_alphabet(const std::string& suffix) {
  std::vector<char32_t> alphabet(byte_letters().begin(), byte_letters().end());
  std::sort(alphabet.begin(), alphabet.end());
  TokenList tokens;
  for (const std::string& end : {std::string(), suffix}) {
    for (const char32_t letter : alphabet) {
      std::string token;
      append_char(token, letter);
      tokens.add(token + end);
    }
  }
  return tokens;
}

std::string bpe_json(const std::string& unk, const std::string& suffix, const TokenList& tokens,
                     const std::vector<Merge>& merges) {
  std::string text =
      "{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":" + unk +
      ",\"continuing_subword_prefix\":\"\",\"end_of_word_suffix\":" + quoted(suffix) +
      ",\"fuse_unk\":false,\"byte_fallback\":false,\"ignore_merges\":false,\n"
      "\"vocab\":" +
      vocabulary_json(tokens) + ",\n\"merges\":[";
  for (std::size_t i = 0; i < merges.size(); ++i) {
    if (i > 0) text += ',';
    text += '[' + quoted(tokens.tokens()[static_cast<std::size_t>(merges[i].left)]) + ',' +
            quoted(tokens.tokens()[static_cast<std::size_t>(merges[i].right)]) + ']';
  }
  return text + "]}";
}

}  // namespace

Tokenizer train_bpe(std::span<const std::string> lines, int vocab_size, BpeKind kind) {
  const bool clip = kind == BpeKind::clip;
  const Recipe& recipe = clip ? kClipRecipe : kGpt2Recipe;
  const std::string suffix = clip ? "</w>" : "";
  TokenList tokens = byte_alphabet(suffix);
  check_size(vocab_size, tokens.tokens().size() + recipe.marks.size());
  std::vector<CountedWord> words;
  for (const auto& [bytes, count] : count_words(lines, recipe)) {
    CountedWord word{{}, count};
    for (const char byte : bytes) {
      const bool last = word.symbols.size() + 1 == bytes.size();
      word.symbols.push_back(tokens.add(letter_of(byte) + (last ? suffix : "")));
    }
    words.push_back(std::move(word));
  }
  const std::size_t limit = static_cast<std::size_t>(vocab_size) - recipe.marks.size();
  const std::vector<Merge> merges = learn_merges(words, limit, "", tokens);
  for (const std::string& mark : recipe.marks) tokens.add(mark);  // the largest ids
  const std::string unk = clip ? quoted(recipe.marks.back()) : "null";
  return parse_tokenizer(document(recipe, tokens, bpe_json(unk, suffix, tokens, merges)),
                         "trained tokenizer");
}

Tokenizer train_wordpiece(std::span<const std::string> lines, int vocab_size) {
  auto counted = count_words(lines, kBertRecipe);
  // Longer words are unknown when a text is encoded: nothing is learned for them.
  std::erase_if(counted, [](const auto& word) { return chars_in(word.first) > kMaxCharsOfWord; });
  std::set<std::string> alphabet;  // in the order of UTF-8, which is that of the code points
  for (const auto& [word, count] : counted) {
    for (std::size_t at = 0; at < word.size();) {
      const std::size_t begin = at;
      next_char(word, at);
      alphabet.insert(word.substr(begin, at - begin));
    }
  }
  TokenList tokens;
  for (const std::string& mark : kBertRecipe.marks) tokens.add(mark);
  for (const std::string& letter : alphabet) tokens.add(letter);
  std::vector<CountedWord> words;
  for (const auto& [text, count] : counted) {
    CountedWord word{{}, count};
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = at;
      next_char(text, at);
      const std::string letter = text.substr(begin, at - begin);
      word.symbols.push_back(tokens.add(begin == 0 ? letter : "##" + letter));
    }
    words.push_back(std::move(word));
  }
  check_size(vocab_size, tokens.tokens().size());
  // A right side never begins a word, so it carries the "##" that joining takes away.
  learn_merges(words, static_cast<std::size_t>(vocab_size), "##", tokens);
  const std::string model =
      "{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
      "\"max_input_chars_per_word\":" +
      std::to_string(kMaxCharsOfWord) + ",\n\"vocab\":" + vocabulary_json(tokens) + "}";
  return parse_tokenizer(document(kBertRecipe, tokens, model), "trained tokenizer");
}

}  // namespace tandem::text
