// Answers of VQA: one spelling for each, and files of closed lists.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "data/file.h"
#include "tandem/base/error.h"
#include "tandem/data/vqa.h"

namespace tandem::data {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t max_list_bytes = 64 << 20;
constexpr std::int64_t max_answers = 10'000'000;

constexpr std::string_view kPunctuation = ";/[]\"{}()=+\\_->@`,?!<";

// Contractions that are written without (some of) their apostrophes.
constexpr std::array<std::string_view, 95> kContractions{
    "ain't",          "aren't",       "can't",        "could've",   "couldn't",      "couldn't've",
    "didn't",         "doesn't",      "don't",        "hadn't",     "hadn't've",     "hasn't",
    "haven't",        "he'd",         "he'd've",      "he's",       "how'd",         "how'll",
    "how's",          "isn't",        "it'd",         "it'd've",    "it'll",         "ma'am",
    "mightn't",       "mightn't've",  "might've",     "mustn't",    "must've",       "needn't",
    "not've",         "o'clock",      "oughtn't",     "'ow's'at",   "shan't",        "she'd've",
    "should've",      "shouldn't",    "shouldn't've", "somebody'd", "somebody'd've", "somebody'll",
    "somebody's",     "someone'd",    "someone'd've", "someone'll", "someone's",     "something'd",
    "something'd've", "something'll", "that's",       "there'd",    "there'd've",    "there're",
    "there's",        "they'd",       "they'd've",    "they'll",    "they're",       "they've",
    "'twas",          "wasn't",       "we'd've",      "we've",      "weren't",       "what'll",
    "what're",        "what's",       "what've",      "when's",     "where'd",       "where's",
    "where've",       "who'd",        "who'd've",     "who'll",     "who's",         "who've",
    "why'll",         "why're",       "why's",        "won't",      "would've",      "wouldn't",
    "wouldn't've",    "y'all",        "y'all'll",     "y'all'd've", "you'd",         "you'd've",
    "you'll",         "you're",       "you've",       "let's",      "she's"};

constexpr std::array<std::string_view, 11> kNumbers{
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"};

std::string without_apostrophes(std::string_view word) {
  std::string plain(word);
  std::erase(plain, '\'');
  return plain;
}

// "dont" -> "don't". "lets" and "shes" are words as they are.
std::string with_apostrophes(const std::string& word) {
  static const std::unordered_map<std::string, std::string_view> table = [] {
    std::unordered_map<std::string, std::string_view> made;
    for (const std::string_view one : kContractions) {
      if (one != "let's" && one != "she's") made.emplace(without_apostrophes(one), one);
    }
    return made;
  }();
  const auto at = table.find(without_apostrophes(word));
  return at == table.end() ? word : std::string(at->second);
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool has_comma_in_number(std::string_view text) {
  for (std::size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == ',' && is_digit(text[i - 1]) && is_digit(text[i + 1])) return true;
  }
  return false;
}

// A mark at the edge of a word goes, one inside separates two words; points stay in numbers.
std::string without_punctuation(std::string_view text) {
  const bool number = has_comma_in_number(text);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '.') {
      if (i + 1 < text.size() && is_digit(text[i + 1])) out += c;
    } else if (kPunctuation.find(c) == std::string_view::npos) {
      out += c;
    } else {
      const std::string before{' ', c}, behind{c, ' '};
      const bool at_edge = text.find(before) != std::string_view::npos ||
                           text.find(behind) != std::string_view::npos;
      if (!at_edge && !number) out += ' ';
    }
  }
  return out;
}

std::vector<std::string> from_object(const Json& object, const std::string& path) {
  std::vector<std::string> list(object.size());
  for (const auto& [answer, place] : object.items()) {
    const bool fits = place.is_number_integer() && place.get<std::int64_t>() >= 0 &&
                      place.get<std::int64_t>() < static_cast<std::int64_t>(list.size()) &&
                      list[place.get<std::size_t>()].empty();
    if (!fits) {
      throw Error(ErrorKind::data,
                  "[vqa] expected places 0, 1, ... each once; got another at '" + answer + "'",
                  path);
    }
    list[place.get<std::size_t>()] = answer;
  }
  return list;
}

}  // namespace

std::string normalized_answer(std::string_view answer) {
  std::string joined;
  const std::string plain = lower(without_punctuation(answer));
  std::size_t at = 0;
  while (at < plain.size()) {
    const std::size_t first = plain.find_first_not_of(" \t\r\n", at);
    if (first == std::string::npos) break;
    at = std::min(plain.find_first_of(" \t\r\n", first), plain.size());
    std::string word = plain.substr(first, at - first);
    if (word == "none") word = "0";
    const auto number = std::find(kNumbers.begin(), kNumbers.end(), word);
    if (number != kNumbers.end()) word = std::to_string(number - kNumbers.begin());
    if (word == "a" || word == "an" || word == "the") continue;
    joined += (joined.empty() ? "" : " ") + with_apostrophes(word);
  }
  return joined;
}

std::vector<std::string> read_answer_list(const std::string& path) {
  const std::string text = read_text(path, max_list_bytes);
  std::vector<std::string> list;
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_object()) {
    list = from_object(json, path);
  } else if (json.is_array()) {
    for (const Json& one : json) {
      if (!one.is_string()) throw Error(ErrorKind::data, "[vqa] expected a list of texts", path);
      list.push_back(one.get<std::string>());
    }
  } else {
    std::string_view rest = text;
    while (!rest.empty() && static_cast<std::int64_t>(list.size()) < max_answers) {
      const std::string line(trimmed(first_line(rest)));
      const std::size_t end = rest.find('\n');
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
      if (!line.empty()) list.push_back(line);
    }
  }
  std::vector<std::string> sorted = list;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (list.empty()) throw Error(ErrorKind::data, "[vqa] expected answers; got none", path);
  if (twice != sorted.end()) {
    throw Error(ErrorKind::data, "[vqa] expected each answer once; got '" + *twice + "' twice",
                path);
  }
  return list;
}

}  // namespace tandem::data
