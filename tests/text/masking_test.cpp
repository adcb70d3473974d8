#include "tandem/text/masking.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "../support/errors.h"

namespace masking_test {

using namespace tandem;
using namespace tandem::text;

namespace {

using Ids = std::vector<std::int32_t>;
constexpr std::int32_t kMask = 4, kWords = 1000, kFirstPiece = 500;

// [PAD] [UNK] [CLS] [SEP] [MASK] are 0 to 4, as in a trained vocabulary; ids from 500 on go on with
// the word before them.
MaskingVocabulary thousand() {
  MaskingVocabulary vocabulary;
  vocabulary.mask_id = kMask;
  vocabulary.vocab_size = kWords;
  vocabulary.special.assign(kWords, false);
  for (const std::size_t mark : {0, 2, 3, 4}) vocabulary.special[mark] = true;
  vocabulary.continues.assign(kWords, false);
  for (std::size_t id = kFirstPiece; id < kWords; ++id) vocabulary.continues[id] = true;
  return vocabulary;
}

// [CLS], words of one token, [SEP].
Ids sentence(std::int32_t words) {
  Ids ids{2};
  for (std::int32_t i = 0; i < words; ++i) ids.push_back(5 + i % 400);
  ids.push_back(3);
  return ids;
}

MaskedText masked(const Ids& ids, const MaskingRule& rule, std::uint64_t seed) {
  return mask_tokens(ids, rule, thousand(), Key(seed));
}

bool hides(const MaskedText& text, std::size_t place) { return text.labels.at(place) != -100; }

std::size_t hidden_in(const MaskedText& text) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.labels.size(); ++i) count += hides(text, i) ? 1 : 0;
  return count;
}

// What becomes of hidden tokens.
struct Count {
  double tokens = 0, hidden = 0, as_mask = 0, as_random = 0, kept = 0;
  std::set<std::int32_t> seen{};  // of the random ones
};

Count counted(const MaskingRule& rule, int texts) {
  const Ids ids = sentence(100);
  Count count;
  for (int t = 0; t < texts; ++t) {
    const MaskedText text = masked(ids, rule, static_cast<std::uint64_t>(t));
    REQUIRE(text.ids.size() == ids.size());
    REQUIRE(text.labels.size() == ids.size());
    count.tokens += 100;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (!hides(text, i)) {
        REQUIRE(text.ids[i] == ids[i]);
        continue;
      }
      REQUIRE(text.labels[i] == ids[i]);
      ++count.hidden;
      if (text.ids[i] == kMask) {
        ++count.as_mask;
      } else if (text.ids[i] == ids[i]) {
        ++count.kept;
      } else {
        ++count.as_random;
        count.seen.insert(text.ids[i]);
      }
    }
  }
  return count;
}

}  // namespace

TEST_CASE(
    "masking: 15 of 100 tokens are hidden; of these 80 as the mask, 10 as any, 10 as they are") {
  // The margins are four standard deviations of 40,000 tokens and of the 6,000 that are hidden.
  const Count count = counted({}, 400);
  CHECK(count.hidden / count.tokens == Approx(0.15).margin(0.0072));
  CHECK(count.as_mask / count.hidden == Approx(0.8).margin(0.021));
  CHECK(count.as_random / count.hidden == Approx(0.1).margin(0.016));
  CHECK(count.kept / count.hidden == Approx(0.1).margin(0.016));
  // 600 draws among 1,000 tokens of the whole vocabulary.
  CHECK(count.seen.size() > 350);
  CHECK(*count.seen.begin() < 50);
  CHECK(*count.seen.rbegin() > 950);
}

TEST_CASE("masking: the rule's shares are those that are drawn") {
  const Count count = counted({.share = 0.4, .as_mask = 0.5, .as_random = 0.5}, 200);
  CHECK(count.hidden / count.tokens == Approx(0.4).margin(0.014));
  CHECK(count.as_mask / count.hidden == Approx(0.5).margin(0.023));
  CHECK(count.kept / count.hidden < 0.005);  // a random token that is the same one
  const Count all = counted({.share = 1.0, .as_mask = 1.0, .as_random = 0.0}, 2);
  CHECK(all.hidden == all.tokens);
  CHECK(all.as_mask == all.hidden);
}

TEST_CASE("masking: the pieces of a word are hidden together, or each on its own") {
  // A piece behind a mark has no word to join.
  const Ids ids{2, 10, 510, 511, 11, 512, 12, 3, 513, 3};
  double words = 0, hidden = 0;
  bool apart = false;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    const MaskedText whole = masked(ids, {.share = 0.3, .whole_words = true}, seed);
    REQUIRE(hides(whole, 1) == hides(whole, 2));
    REQUIRE(hides(whole, 1) == hides(whole, 3));
    REQUIRE(hides(whole, 4) == hides(whole, 5));
    for (const std::size_t first : {1, 4, 6, 8}) {
      ++words;
      hidden += hides(whole, first) ? 1 : 0;
    }
    const MaskedText single = masked(ids, {.share = 0.3}, seed);
    apart = apart || hides(single, 1) != hides(single, 2);
  }
  CHECK(apart);
  // The share is that of the words; where none of the four is hidden (0.7^4), one is.
  CHECK(hidden / words == Approx(0.3 + 0.2401 / 4).margin(0.022));
}

TEST_CASE("masking: marks are never hidden, an unknown word is") {
  const Ids ids{2, 10, 1, 3, 4, 11, 3, 0, 0};
  std::set<std::size_t> places;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    for (const bool whole : {false, true}) {
      const MaskedText text = masked(ids, {.share = 0.9, .whole_words = whole}, seed);
      for (std::size_t i = 0; i < ids.size(); ++i) {
        if (hides(text, i)) places.insert(i);
      }
    }
  }
  CHECK(places == std::set<std::size_t>{1, 2, 5});
}

TEST_CASE("masking: where chance hides nothing one token or word is hidden, if there is one") {
  std::set<std::size_t> places;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const MaskedText text = masked(sentence(6), {.share = 0.0}, seed);
    REQUIRE(hidden_in(text) == 1);
    for (std::size_t i = 0; i < text.labels.size(); ++i) {
      if (hides(text, i)) places.insert(i);
    }
    const MaskedText word = masked({2, 10, 510, 11, 3}, {.share = 0.0, .whole_words = true}, seed);
    REQUIRE(hidden_in(word) == (hides(word, 3) ? 1 : 2));
  }
  CHECK(places == std::set<std::size_t>{1, 2, 3, 4, 5, 6});
  const Ids marks{2, 3, 0};
  const MaskedText none = masked(marks, {.share = 1.0}, 1);
  CHECK(hidden_in(none) == 0);
  CHECK(none.ids == marks);
  CHECK(masked({}, {}, 1).ids.empty());
}

TEST_CASE("masking: the same key gives the same mask, another key another one") {
  const Ids ids = sentence(40);
  const MaskedText first = masked(ids, {}, 7), again = masked(ids, {}, 7),
                   other = masked(ids, {}, 8);
  CHECK(first.ids == again.ids);
  CHECK(first.labels == again.labels);
  CHECK(first.labels != other.labels);
}

TEST_CASE("masking: a vocabulary knows its mask, its marks and its inner pieces") {
  const std::vector<std::string> lines(3, "playing players played the plays of a player");
  const Tokenizer tokenizer = train_wordpiece(lines, 60);
  const MaskingVocabulary vocabulary = masking_vocabulary(tokenizer);
  CHECK(vocabulary.mask_id == tokenizer.id_of("[MASK]"));
  CHECK(vocabulary.vocab_size == tokenizer.vocab_size());
  std::size_t inner = 0;
  for (std::int32_t id = 0; id < vocabulary.vocab_size; ++id) {
    const std::string token = tokenizer.token_of(id);
    CAPTURE(token);
    const auto index = static_cast<std::size_t>(id);
    CHECK(vocabulary.special.at(index) == (token.front() == '[' && token != "[UNK]"));
    CHECK(vocabulary.continues.at(index) == (token.rfind("##", 0) == 0));
    inner += vocabulary.continues.at(index) ? 1 : 0;
  }
  CHECK(inner > 5);
  const Error error =
      test::error_of([&] { masking_vocabulary(train_bpe(lines, 600, BpeKind::clip)); });
  CHECK(error.kind() == ErrorKind::config);
  CHECK(test::contains(error.what(), "expected a tokenizer with [MASK]"));
}

}  // namespace masking_test
