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
#include "tandem/data/world/task_reading.h"
#include "tandem/data/world/tasks.h"

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

// What is right, as a text: answers, or labels as numbers.
std::string truth_of(const Sample& sample) {
  return sample.answer.empty() ? std::to_string(sample.label) : sample.answer;
}

const std::string& text_of(const Sample& sample) {
  return sample.question.empty() ? sample.texts.at(0) : sample.question;
}

std::string by_looking(Task task, const TaskSample& made) {
  const std::string& text = text_of(made.sample);
  const Scene& scene = made.scenes.at(0);
  if (task == Task::vqa || task == Task::clip) return answer_question(text, scene).value_or("");
  if (task == Task::nlvr2) {
    const auto truth = judge_sentence(text, scene, made.scenes.at(1));
    return truth ? std::to_string(*truth ? 1 : 0) : "";
  }
  const auto number = task == Task::ve ? judge_hypothesis(text, scene) : find_object(text, scene);
  return number ? std::to_string(*number) : "";
}

// How often each answer came, and the one that came most; the first of several in their order.
using Counts = std::map<std::string, std::int64_t>;

std::string most_of(const Counts& counts) {
  const auto most =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == counts.end() ? "" : most->first;
}

void add_task(const SceneRules& rules, Task task, const std::string& name, bool open,
              std::int64_t samples, std::vector<TaskBaseline>& all) {
  std::map<std::string, Counts> of_text, of_kind;
  SceneRules split = rules;
  split.split = Split::train;
  split.kind = Kind::objects;
  for (std::int64_t i = 0; i < samples; ++i) {
    const Sample sample = task_sample(split, task, i, {open}).sample;
    ++of_text[text_of(sample)][truth_of(sample)];
    ++of_kind[sample.kind][truth_of(sample)];
  }
  split.split = Split::test;
  std::map<std::string, TaskBaseline> kinds;
  for (std::int64_t i = 0; i < samples; ++i) {
    const TaskSample made = task_sample(split, task, i, {open});
    const Sample& sample = made.sample;
    const auto known = of_text.find(text_of(sample));
    const std::string guess =
        most_of(known != of_text.end() ? known->second : of_kind[sample.kind]);
    TaskBaseline& kind = kinds[sample.kind];
    ++kind.samples;
    kind.oracle += by_looking(task, made) == truth_of(sample);
    kind.text_only += guess == truth_of(sample);
    kind.chance += task == Task::grounding ? 1.0 / static_cast<double>(sample.proposals.size())
                                           : chance_of(rules, task, sample.kind);
  }
  for (auto& [kind, one] : kinds) {
    const auto count = static_cast<double>(one.samples);
    all.push_back(
        {name, kind, one.samples, one.oracle / count, one.text_only / count, one.chance / count});
  }
}

}  // namespace

std::vector<TaskBaseline> task_baselines(const SceneRules& rules, std::int64_t samples) {
  std::vector<TaskBaseline> all;
  add_task(rules, Task::vqa, "vqa", false, samples, all);
  add_task(rules, Task::vqa, "vqa open", true, samples, all);
  add_task(rules, Task::nlvr2, "nlvr2", false, samples, all);
  add_task(rules, Task::ve, "ve", false, samples, all);
  add_task(rules, Task::grounding, "grounding", false, samples, all);
  add_task(rules, Task::clip, "clip", false, samples, all);
  return all;
}

RetrievalScores oracle_scores(const SceneRules& rules) { return scores_of(rules, by_reading); }

RetrievalScores bag_of_attributes_scores(const SceneRules& rules) {
  return scores_of(rules, by_bag);
}

WorldBaselines world_baselines(const SceneRules& rules) {
  return {oracle_scores(rules), bag_of_attributes_scores(rules)};
}

}  // namespace tandem::data::world
