#include "eval/metrics/answers.h"

#include <algorithm>
#include <array>
#include <map>

#include "tandem/base/error.h"
#include "tandem/text/words.h"

namespace tandem::eval {
namespace {

constexpr std::string_view punctuation = ";/[]\"{}()=+\\_->@<`,?!";
constexpr int most_stops = 32;

// Contractions in full. People leave out one of the apostrophes.
constexpr std::array contractions = {
    "'ow's'at",      "'twas",       "ain't",       "aren't",         "can't",
    "could've",      "couldn't",    "couldn't've", "didn't",         "doesn't",
    "don't",         "hadn't",      "hadn't've",   "hasn't",         "haven't",
    "he'd",          "he'd've",     "he's",        "how'd",          "how'll",
    "how's",         "isn't",       "it'd",        "it'd've",        "it'll",
    "ma'am",         "might've",    "mightn't",    "mightn't've",    "must've",
    "mustn't",       "needn't",     "not've",      "o'clock",        "oughtn't",
    "shan't",        "she'd've",    "should've",   "shouldn't",      "shouldn't've",
    "somebody'd've", "somebody'll", "somebody's",  "someone'd",      "someone'd've",
    "someone'll",    "someone's",   "something'd", "something'd've", "something'll",
    "that's",        "there'd",     "there'd've",  "there're",       "there's",
    "they'd",        "they'd've",   "they'll",     "they're",        "they've",
    "wasn't",        "we'd've",     "we've",       "weren't",        "what'll",
    "what're",       "what's",      "what've",     "when's",         "where'd",
    "where's",       "where've",    "who'd",       "who'd've",       "who'll",
    "who's",         "who've",      "why'll",      "why're",         "why's",
    "won't",         "would've",    "wouldn't",    "wouldn't've",    "y'all",
    "y'all'd've",    "y'all'll",    "you'd",       "you'd've",       "you'll",
    "you're",        "you've"};

using Words = std::map<std::string, std::string, std::less<>>;

Words whole_words() {
  Words words{{"none", "0"},
              {"zero", "0"},
              {"one", "1"},
              {"two", "2"},
              {"three", "3"},
              {"four", "4"},
              {"five", "5"},
              {"six", "6"},
              {"seven", "7"},
              {"eight", "8"},
              {"nine", "9"},
              {"ten", "10"},
              {"somebody'd", "somebodyd"}};  // the official table has these two in this order
  for (const std::string whole : contractions) {
    for (std::size_t i = whole.find('\''); i != std::string::npos; i = whole.find('\'', i + 1)) {
      words.emplace(whole.substr(0, i) + whole.substr(i + 1), whole);
    }
  }
  return words;
}

bool digit(char c) { return c >= '0' && c <= '9'; }

bool comma_between_digits(std::string_view text) {
  for (std::size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == ',' && digit(text[i - 1]) && digit(text[i + 1])) return true;
  }
  return false;
}

// Whether the mark touches a space anywhere.
bool touches_space(std::string_view text, char mark) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != mark) continue;
    if ((i > 0 && text[i - 1] == ' ') || (i + 1 < text.size() && text[i + 1] == ' ')) return true;
  }
  return false;
}

std::string without_punctuation(std::string_view text) {
  const bool number = comma_between_digits(text);
  std::array<bool, 256> removed{};
  for (const char mark : punctuation) {
    removed[static_cast<unsigned char>(mark)] = number || touches_space(text, mark);
  }
  std::string kept;
  for (const char c : text) {
    if (punctuation.find(c) == std::string_view::npos) {
      kept += c;
    } else if (!removed[static_cast<unsigned char>(c)]) {
      kept += ' ';
    }
  }
  std::string out;
  int stops = 0;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const bool goes = kept[i] == '.' && !(i + 1 < kept.size() && digit(kept[i + 1]));
    if (goes && stops < most_stops) {
      ++stops;
    } else {
      out += kept[i];
    }
  }
  return out;
}

// Line ends and tabs as spaces, none at the ends.
std::string on_one_line(std::string_view text) {
  std::string line(text);
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
  constexpr const char* space = " \r\v\f\x1c\x1d\x1e\x1f";
  const std::size_t first = line.find_first_not_of(space);
  if (first == std::string::npos) return {};
  return line.substr(first, line.find_last_not_of(space) - first + 1);
}

}  // namespace

std::string normalised_answer(std::string_view answer) {
  static const Words words = whole_words();
  std::string out;
  for (const std::string& word : text::lower_words(without_punctuation(on_one_line(answer)))) {
    if (word == "a" || word == "an" || word == "the") continue;
    const auto whole = words.find(word);
    out += (out.empty() ? "" : " ") + (whole == words.end() ? word : whole->second);
  }
  return out;
}

double answer_accuracy(std::string_view answer, const std::vector<std::string>& people) {
  TANDEM_CHECK(!people.empty(), "[eval] an answer without people's answers");
  std::vector<std::string> said;
  for (const std::string& one : people) said.push_back(on_one_line(one));
  std::string own = on_one_line(answer);
  if (std::any_of(said.begin(), said.end(), [&](const auto& one) { return one != said[0]; })) {
    for (std::string& one : said) one = normalised_answer(one);
    own = normalised_answer(own);
  }
  const auto all = static_cast<double>(std::count(said.begin(), said.end(), own));
  double sum = 0;
  for (const std::string& one : said) sum += std::min(1.0, (all - (one == own ? 1 : 0)) / 3);
  return sum / static_cast<double>(said.size());
}

}  // namespace tandem::eval
