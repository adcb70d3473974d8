#include "jobs/instruct_answers.h"

#include <algorithm>
#include <array>
#include <set>
#include <sstream>

#include "tandem/text/words.h"

namespace tandem::jobs {
namespace {

// What a text says when it speaks of what the writer was told rather than of a picture.
constexpr auto told_phrases = std::to_array<std::string_view>({"caption",
                                                               "captions",
                                                               "captioned",
                                                               "bounding box",
                                                               "bounding boxes",
                                                               "coordinate",
                                                               "coordinates",
                                                               "the description given",
                                                               "the descriptions",
                                                               "the description provided",
                                                               "the description says",
                                                               "the description mentions",
                                                               "the description states",
                                                               "the given description",
                                                               "the provided description",
                                                               "given descriptions",
                                                               "provided descriptions",
                                                               "according to the description",
                                                               "based on the description",
                                                               "the given sentences",
                                                               "the provided sentences",
                                                               "the sentences provided",
                                                               "the given information",
                                                               "the provided information",
                                                               "the information provided"});

constexpr auto refusing_phrases = std::to_array<std::string_view>(
    {"i'm sorry", "i am sorry", "i apologize", "i cannot", "i can't", "i can not", "i'm unable",
     "i am unable", "i'm not able", "i am not able", "as an ai", "as a language model",
     "language model", "i don't have access", "i do not have access", "i don't have the ability",
     "i do not have the ability", "unable to see", "cannot be determined"});

constexpr auto picture_tags =
    std::to_array<std::string_view>({"<image>", "<video>", "<img>", "</img>", "<im_"});

bool is_word_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80;
}

// As whole words of a text in lower case.
bool says(const std::string& text, std::string_view phrase) {
  for (std::size_t at = text.find(phrase); at != std::string::npos;
       at = text.find(phrase, at + 1)) {
    const std::size_t end = at + phrase.size();
    const bool begins = at == 0 || !is_word_byte(text[at - 1]);
    if (begins && (end == text.size() || !is_word_byte(text[end]))) return true;
  }
  return false;
}

// The first of the phrases; empty: none.
template <class Phrases>
std::string_view said_of(const std::string& text, const Phrases& phrases) {
  const auto found = std::find_if(phrases.begin(), phrases.end(),
                                  [&](std::string_view phrase) { return says(text, phrase); });
  return found == phrases.end() ? std::string_view{} : *found;
}

// "[0.1, 0.25": corners written out.
bool has_corners(const std::string& text) {
  for (std::size_t at = text.find_first_of("[("); at != std::string::npos;
       at = text.find_first_of("[(", at + 1)) {
    std::size_t i = at + 1;
    const auto digits = [&] {
      const std::size_t first = i;
      while (i < text.size() && text[i] >= '0' && text[i] <= '9') ++i;
      return i > first;
    };
    if (digits() && i < text.size() && text[i++] == '.' && digits() && i < text.size() &&
        text[i] == ',') {
      return true;
    }
  }
  return false;
}

std::string straight(std::string text) {
  for (std::size_t at = text.find("\xe2\x80\x99"); at != std::string::npos;
       at = text.find("\xe2\x80\x99", at)) {
    text.replace(at, 3, "'");
  }
  return text;
}

// Why a question or an answer is of no use whatever its kind; empty: it is.
std::string wrong_words(const std::string& text, const InstructLimits& limits) {
  const std::string lower = straight(text::lower_case(text));
  for (const std::string_view tag : picture_tags) {
    if (lower.find(tag) != std::string::npos) return "a tag: " + std::string(tag);
  }
  if (const auto told = said_of(lower, told_phrases); !told.empty()) {
    return "speaks of what was told: " + std::string(told);
  }
  if (has_corners(lower)) return "speaks of what was told: corners of a box";
  constexpr std::size_t beginning = 200;
  if (const auto refusing = said_of(lower.substr(0, beginning), refusing_phrases);
      !refusing.empty()) {
    return "refuses: " + std::string(refusing);
  }
  const std::int64_t words = word_count(text);
  if (words > limits.most_words) return "too long: " + std::to_string(words) + " words";
  return {};
}

// "Question: what" -> the rest behind the head; false: no such line.
bool cut_head(std::string& line, std::string_view head) {
  std::string plain = text::trimmed(line);
  while (plain.starts_with('*') || plain.starts_with('#') || plain.starts_with(' ')) {
    plain.erase(0, 1);
  }
  if (text::lower_case(plain.substr(0, head.size())) != head) return false;
  plain.erase(0, head.size());
  while (plain.starts_with('*')) plain.erase(0, 1);
  if (!plain.starts_with(':')) return false;
  plain.erase(0, 1);
  while (plain.starts_with('*')) plain.erase(0, 1);
  line = text::trimmed(plain);
  return true;
}

bool is_rule(const std::string& line) {
  const std::string plain = text::trimmed(line);
  return plain.size() >= 3 && plain.find_first_not_of('=') == std::string::npos;
}

struct AnswerBlock {
  bool asks = false;
  std::string text{};
};

std::string too_short(std::string_view kind, const AnsweredPairs& made,
                      const InstructLimits& limits) {
  const std::int64_t least = kind == instruct_detail      ? limits.least_detail
                             : kind == instruct_reasoning ? limits.least_reasoning
                                                          : 1;
  const std::int64_t words = word_count(made.pairs.front().second);
  return words < least ? "too short: " + std::to_string(words) + " words" : "";
}

std::string asked_twice(const AnsweredPairs& made) {
  std::set<std::string> asked;
  for (const auto& [question, answer] : made.pairs) {
    if (!asked.insert(text::lower_case(question)).second) return "asks twice: " + question;
  }
  return {};
}

}  // namespace

std::int64_t word_count(std::string_view text) {
  std::istringstream stream{std::string(text)};
  std::int64_t count = 0;
  for (std::string word; stream >> word;) ++count;
  return count;
}

AnsweredPairs answered_pairs(std::string_view text) {
  std::vector<AnswerBlock> blocks;
  std::istringstream lines{std::string(text)};
  bool open = false;  // a rule ends a block
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    const bool asks = cut_head(line, "question");
    if (asks || cut_head(line, "answer")) {
      blocks.push_back({asks, line});
      open = true;
    } else if (is_rule(line)) {
      open = false;
    } else if (open) {
      blocks.back().text += "\n" + line;
    } else if (!text::trimmed(line).empty()) {
      return {{}, "not in the form: a text outside of questions and answers"};
    }
  }
  if (blocks.empty()) return {{}, "not in the form: no question"};
  AnsweredPairs made;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    std::string words = text::trimmed(blocks[i].text);
    if (blocks[i].asks != (i % 2 == 0)) {
      return {{}, "not in the form: questions and answers that do not alternate"};
    }
    if (words.empty()) return {{}, "not in the form: an empty question or answer"};
    if (blocks[i].asks) {
      made.pairs.emplace_back(std::move(words), "");
    } else {
      made.pairs.back().second = std::move(words);
    }
  }
  if (blocks.back().asks) return {{}, "not in the form: a question without an answer"};
  return made;
}

AnsweredPairs judged_answer(std::string_view kind, std::string_view text,
                            const InstructLimits& limits) {
  AnsweredPairs made;
  if (kind == instruct_detail) {
    made.pairs.emplace_back("", text::trimmed(text));
    if (made.pairs[0].second.empty()) return {{}, "too short: 0 words"};
  } else {
    made = answered_pairs(text);
  }
  if (!made.why.empty()) {
    // A refusal has no form either, and is what a person wants to read.
    const std::string other = wrong_words(std::string(text), limits);
    if (other.starts_with("refuses")) made.why = other;
    return made;
  }
  if (kind == instruct_reasoning && made.pairs.size() > 1) {
    return {{}, "not in the form: more than one question"};
  }
  if (static_cast<std::int64_t>(made.pairs.size()) > limits.most_turns) {
    return {{}, "too long: " + std::to_string(made.pairs.size()) + " questions"};
  }
  std::string why;
  for (const auto& [question, answer] : made.pairs) {
    if (why.empty()) why = wrong_words(question, limits);
    if (why.empty()) why = wrong_words(answer, limits);
  }
  if (why.empty()) why = too_short(kind, made, limits);
  if (why.empty()) why = asked_twice(made);
  if (!why.empty()) return {{}, why};
  return made;
}

}  // namespace tandem::jobs
