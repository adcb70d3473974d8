#include "eval/metrics/captions.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <sstream>
#include <unordered_map>
#include <unordered_set>

#include "tandem/base/error.h"

namespace tandem::eval {
namespace {

constexpr std::size_t longest = 4;  // n-grams of 1 to 4 words
constexpr double rouge_beta = 1.2;
constexpr double cider_sigma = 6;

using Grams = std::unordered_map<std::string, double>;  // words joined by spaces -> count
using GramsByLength = std::array<Grams, longest>;

struct Counted {
  std::int64_t words = 0;
  GramsByLength grams{};
};

Counted counted(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream stream(text);
  for (std::string word; stream >> word;) words.push_back(word);
  Counted result{static_cast<std::int64_t>(words.size())};
  for (std::size_t first = 0; first < words.size(); ++first) {
    std::string gram;
    for (std::size_t n = 0; n < longest && first + n < words.size(); ++n) {
      gram += (n == 0 ? "" : " ") + words[first + n];
      result.grams[n][gram] += 1;
    }
  }
  return result;
}

double count_of(const Grams& grams, const std::string& gram) {
  const auto found = grams.find(gram);
  return found == grams.end() ? 0 : found->second;
}

struct Picture {
  Counted caption{};
  std::vector<Counted> references{};
};

// --- BLEU

// What BLEU adds up over pictures.
struct Matches {
  double words = 0, reference_words = 0;
  std::array<double, longest> guessed{}, right{};

  void add(const Matches& other) {
    words += other.words;
    reference_words += other.reference_words;
    for (std::size_t n = 0; n < longest; ++n) {
      guessed[n] += other.guessed[n];
      right[n] += other.right[n];
    }
  }
};

Matches matches_of(const Picture& picture) {
  const std::int64_t words = picture.caption.words;
  Matches matches{.words = static_cast<double>(words)};
  // The length of the reference that is nearest to the caption's, of two the shorter.
  const auto distance = [&](const Counted& one) {
    return std::pair(std::abs(one.words - words), one.words);
  };
  const auto nearest = std::min_element(
      picture.references.begin(), picture.references.end(),
      [&](const Counted& a, const Counted& b) { return distance(a) < distance(b); });
  matches.reference_words = static_cast<double>(nearest->words);
  for (std::size_t n = 0; n < longest; ++n) {
    const auto gone = static_cast<std::int64_t>(n);
    matches.guessed[n] = static_cast<double>(std::max<std::int64_t>(0, words - gone));
    for (const auto& [gram, count] : picture.caption.grams[n]) {
      double most = 0;
      for (const Counted& one : picture.references) {
        most = std::max(most, count_of(one.grams[n], gram));
      }
      matches.right[n] += std::min(most, count);
    }
  }
  return matches;
}

// The package's small numbers against division by zero are kept: they show in pictures without any
// right n-gram.
std::array<double, longest> bleu_of(const Matches& matches) {
  constexpr double small = 1e-9, tiny = 1e-15;
  std::array<double, longest> bleu{};
  const double ratio = (matches.words + tiny) / (matches.reference_words + small);
  const double penalty = ratio < 1 ? std::exp(1 - 1 / ratio) : 1;
  double product = 1;
  for (std::size_t n = 0; n < longest; ++n) {
    product *= (matches.right[n] + tiny) / (matches.guessed[n] + small);
    bleu[n] = std::pow(product, 1 / static_cast<double>(n + 1)) * penalty;
  }
  return bleu;
}

// --- ROUGE-L

// Words between single spaces: two spaces in a row have an empty word between them.
std::vector<std::string> between_spaces(const std::string& text) {
  std::vector<std::string> words{""};
  for (const char c : text) {
    if (c == ' ') {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

double longest_common(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::vector<std::int64_t> row(b.size() + 1, 0);
  for (const std::string& word : a) {
    std::int64_t corner = 0;
    for (std::size_t i = 0; i < b.size(); ++i) {
      const std::int64_t above = row[i + 1];
      row[i + 1] = word == b[i] ? corner + 1 : std::max(above, row[i]);
      corner = above;
    }
  }
  return static_cast<double>(row.back());
}

// Best precision and best recall may be of different references.
double rouge_of(const Captioned& picture) {
  const std::vector<std::string> caption = between_spaces(picture.caption);
  double precision = 0, recall = 0;
  for (const std::string& one : picture.references) {
    const std::vector<std::string> reference = between_spaces(one);
    const double common = longest_common(caption, reference);
    precision = std::max(precision, common / static_cast<double>(caption.size()));
    recall = std::max(recall, common / static_cast<double>(reference.size()));
  }
  if (precision == 0 || recall == 0) return 0;
  constexpr double squared = rouge_beta * rouge_beta;
  return (1 + squared) * precision * recall / (recall + squared * precision);
}

// --- CIDEr-D

// In how many pictures' references an n-gram stands.
Grams document_frequency(const std::vector<Picture>& pictures) {
  Grams frequency;
  for (const Picture& picture : pictures) {
    std::unordered_set<std::string> seen;
    for (const Counted& one : picture.references) {
      for (const Grams& grams : one.grams) {
        for (const auto& [gram, count] : grams) seen.insert(gram);
      }
    }
    for (const std::string& gram : seen) frequency[gram] += 1;
  }
  return frequency;
}

struct Weighed {
  GramsByLength grams{};
  std::array<double, longest> norm{};
  double length = 0;  // in pairs of words, as the package counts it
};

class Cider {
 public:
  explicit Cider(const std::vector<Picture>& pictures)
      : frequency_(document_frequency(pictures)),
        log_pictures_(std::log(static_cast<double>(pictures.size()))) {}

  double score(const Picture& picture) const {
    const Weighed caption = weighed(picture.caption);
    double sum = 0;
    for (const Counted& one : picture.references) sum += similarity(caption, weighed(one));
    return 10 * sum / static_cast<double>(longest * picture.references.size());
  }

 private:
  Weighed weighed(const Counted& text) const {
    Weighed result;
    for (std::size_t n = 0; n < longest; ++n) {
      double squares = 0;
      for (const auto& [gram, count] : text.grams[n]) {
        const double known = std::log(std::max(1.0, count_of(frequency_, gram)));
        const double weight = count * (log_pictures_ - known);
        result.grams[n][gram] = weight;
        squares += weight * weight;
      }
      result.norm[n] = std::sqrt(squares);
    }
    result.length = static_cast<double>(std::max<std::int64_t>(0, text.words - 1));
    return result;
  }

  // The sum over lengths of cosines, of which the caption's weights are cut to the reference's.
  static double similarity(const Weighed& caption, const Weighed& reference) {
    const double delta = caption.length - reference.length;
    double sum = 0;
    for (std::size_t n = 0; n < longest; ++n) {
      double product = 0;
      for (const auto& [gram, weight] : caption.grams[n]) {
        const double other = count_of(reference.grams[n], gram);
        product += std::min(weight, other) * other;
      }
      const double norms = caption.norm[n] * reference.norm[n];
      if (norms != 0) sum += product / norms;
    }
    return sum * std::exp(-delta * delta / (2 * cider_sigma * cider_sigma));
  }

  Grams frequency_;
  double log_pictures_;
};

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

}  // namespace

CaptionScores caption_scores(const std::vector<Captioned>& given) {
  if (given.empty()) {
    throw Error(ErrorKind::data, "[captions] expected captions to score; got none");
  }
  std::vector<Picture> pictures;
  CaptionScores scores;
  Matches all;
  for (const Captioned& one : given) {
    if (one.references.empty()) {
      throw Error(ErrorKind::data, "[captions] expected a reference of each picture; got none");
    }
    Picture& picture = pictures.emplace_back(Picture{counted(one.caption)});
    for (const std::string& text : one.references) picture.references.push_back(counted(text));
    const Matches matches = matches_of(picture);
    scores.bleu_each.push_back(bleu_of(matches));
    scores.rouge_l_each.push_back(rouge_of(one));
    all.add(matches);
  }
  const Cider cider(pictures);
  for (const Picture& picture : pictures) scores.cider_each.push_back(cider.score(picture));
  scores.bleu = bleu_of(all);
  scores.rouge_l = mean_of(scores.rouge_l_each);
  scores.cider = mean_of(scores.cider_each);
  return scores;
}

}  // namespace tandem::eval
