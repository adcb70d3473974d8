#include "tandem/data/world/baselines.h"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tandem/base/error.h"
#include "tandem/data/world/caption.h"
#include "tandem/data/world/gallery.h"
#include "tandem/data/world/reading.h"
#include "tandem/data/world/source.h"

namespace tandem::data::world {
namespace {

struct Pairs {
  std::vector<Scene> scenes{};
  std::vector<std::string> texts{};
};

Pairs pairs_of(const SceneRules& rules, const std::string& split) {
  Pairs pairs;
  if (split == "hard") {
    for (int group = 0; group < kHardGroups; ++group) {
      for (Scene& scene : hard_group(rules, group)) pairs.scenes.push_back(std::move(scene));
    }
  } else {
    SceneRules test = rules;
    test.split = Split::test;
    test.kind = Kind::objects;
    for (std::int64_t i = 0; i < kRetrievalSize; ++i) pairs.scenes.push_back(make_scene(test, i));
  }
  for (std::size_t i = 0; i < pairs.scenes.size(); ++i) {
    const Key key = caption_key(rules.seed, split, static_cast<std::int64_t>(i));
    pairs.texts.push_back(full_caption(pairs.scenes[i], key));
  }
  return pairs;
}

// [row * n + column]: how well scene `row` fits text `column`, of n x n candidates.
using Scores = std::vector<double>;
using Score = std::function<Scores(const std::vector<Scene>&, const std::vector<std::string>&)>;

// How often the right one of n candidates wins; of w winners the right one counts 1/w.
struct Wins {
  double by_row = 0, by_column = 0;
};

Wins wins_of(const Scores& scores, std::size_t n) {
  const auto share = [&](std::size_t right, const auto& at) {
    int better = 0, equal = 0;
    for (std::size_t i = 0; i < n; ++i) {
      better += at(i) > at(right);
      equal += at(i) == at(right);
    }
    return better > 0 ? 0.0 : 1.0 / equal;
  };
  Wins wins;
  for (std::size_t k = 0; k < n; ++k) {
    wins.by_row += share(k, [&](std::size_t i) { return scores[k * n + i]; });
    wins.by_column += share(k, [&](std::size_t i) { return scores[i * n + k]; });
  }
  return wins;
}

RetrievalScores scores_of(const SceneRules& rules, const Score& score) {
  RetrievalScores result;
  const Pairs test = pairs_of(rules, "test");
  const std::size_t n = test.scenes.size();
  const Wins all = wins_of(score(test.scenes, test.texts), n);
  result.text_at_1 = all.by_row / static_cast<double>(n);
  result.picture_at_1 = all.by_column / static_cast<double>(n);

  const Pairs hard = pairs_of(rules, "hard");
  for (std::int64_t first = 0; first < kHardSize; first += kHardVariants) {
    const std::vector<Scene> scenes(hard.scenes.begin() + first,
                                    hard.scenes.begin() + first + kHardVariants);
    const std::vector<std::string> texts(hard.texts.begin() + first,
                                         hard.texts.begin() + first + kHardVariants);
    const Wins group = wins_of(score(scenes, texts), kHardVariants);
    result.hard_text += group.by_row / kHardSize;
    result.hard_picture += group.by_column / kHardSize;
  }
  return result;
}

Scores by_reading(const std::vector<Scene>& scenes, const std::vector<std::string>& texts) {
  std::vector<Description> said;
  for (const std::string& text : texts) {
    const auto description = read_caption(text);
    TANDEM_CHECK(description.has_value(), "[world] a caption that cannot be read: " + text);
    said.push_back(*description);
  }
  Scores scores;
  for (const Scene& scene : scenes) {
    for (const Description& one : said) scores.push_back(agrees(one, scene) ? 1 : 0);
  }
  return scores;
}

using Bag = std::map<std::string, int>;

template <class Table>
void count(Bag& bag, const std::string& kind, const Table& table, const std::optional<int>& value) {
  if (value) ++bag[kind + std::string(table[static_cast<std::size_t>(*value)])];
}

Bag bag_of(const std::string& text) {
  const auto said = read_caption(text);
  TANDEM_CHECK(said.has_value(), "[world] a caption that cannot be read: " + text);
  Bag bag;
  count(bag, "background ", kBackgroundWords, said->background);
  for (const Claim& claim : said->claims) {
    count(bag, "", kShapeWords, claim.shape);
    count(bag, "", kColourWords, claim.colour);
    count(bag, "", kSizeWords, claim.size);
    count(bag, "", kTextureWords, claim.texture);
    count(bag, "at ", kPlaceWords, claim.place);
  }
  return bag;
}

double shared_less_single(const Bag& a, const Bag& b) {
  double score = 0;
  for (const auto& [word, n] : a) {
    const auto it = b.find(word);
    const int m = it == b.end() ? 0 : it->second;
    score += std::min(n, m) - std::abs(n - m);
  }
  for (const auto& [word, m] : b) {
    if (!a.contains(word)) score -= m;
  }
  return score;
}

Scores by_bag(const std::vector<Scene>& scenes, const std::vector<std::string>& texts) {
  std::vector<Bag> of_texts;
  for (const std::string& text : texts) of_texts.push_back(bag_of(text));
  Scores scores;
  for (const Scene& scene : scenes) {
    const Bag of_scene = bag_of(full_caption(scene, 0));
    for (const Bag& bag : of_texts) scores.push_back(shared_less_single(of_scene, bag));
  }
  return scores;
}

}  // namespace

RetrievalScores oracle_scores(const SceneRules& rules) { return scores_of(rules, by_reading); }

RetrievalScores bag_of_attributes_scores(const SceneRules& rules) {
  return scores_of(rules, by_bag);
}

WorldBaselines world_baselines(const SceneRules& rules) {
  return {oracle_scores(rules), bag_of_attributes_scores(rules)};
}

}  // namespace tandem::data::world
