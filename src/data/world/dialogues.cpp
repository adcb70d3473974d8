// Dialogues, preferences and pages of words, see tasks.h.
#include <algorithm>
#include <array>
#include <utility>

#include "scene_parts.h"
#include "tandem/base/error.h"
#include "tandem/data/world/caption.h"
#include "task_parts.h"
#include "words.h"

namespace tandem::data::world {
namespace {

Turn reply(std::string words) { return {"assistant", {text::text_part(std::move(words))}}; }

Turn question(std::string words, bool shows) {
  Turn turn{"user", {}};
  if (shows) turn.parts.push_back(text::picture_part(0));
  turn.parts.push_back(text::text_part(std::move(words)));
  return turn;
}

// What else can be asked of a scene, each once.
std::vector<std::pair<std::string, std::string>> more_questions(const Scene& scene,
                                                                Random& random) {
  std::vector<std::pair<std::string, std::string>> all{
      {"how many objects are there?", std::to_string(scene.objects.size())},
      {"what color is the background?", word(kBackgroundWords, scene.background)}};
  for (const Object& object : scene.objects) {
    all.emplace_back("what is " + at_the(object.place) + "?", describe(object.look));
  }
  for (std::size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[random.below(i)]);
  all.resize(std::min<std::size_t>(all.size(), 1 + random.below(3)));
  return all;
}

TaskSample conversation(const SceneRules& rules, Key key, std::int64_t index, Random& random) {
  TaskSample made = closed_question(rules, key, index);
  begin_dialogue(made, made.sample.question, made.sample.answer);
  for (auto& [asked, answer] : more_questions(made.scenes[0], random)) go_on(made, asked, answer);
  made.sample.answers = {{made.sample.answer, 1, -1}};
  made.sample.label = -1;
  made.sample.kind = "conversation";
  return made;
}

TaskSample description(const SceneRules& rules, Key key, std::int64_t index, Random& random) {
  constexpr std::array<std::string_view, 4> requests{
      "describe the picture in detail.", "what does the picture show? tell everything.",
      "give a full description of the picture.", "say what is where in the picture."};
  TaskSample made;
  made.scenes.push_back(scene_with(rules, index, key, {}));
  const std::vector<std::string> told = full_captions(made.scenes[0], key);
  begin_dialogue(made, std::string(requests[random.below(requests.size())]), told[0]);
  for (const std::string& one : told) made.sample.answers.push_back({one, 1, -1});
  made.sample.kind = "description";
  return made;
}

std::string counted(const Claim& claim, int count) {
  return std::to_string(count) + " " + (count == 1 ? noun(claim) : plural(claim));
}

// Whether it is so is drawn before the numbers, as in tasks.h.
TaskSample reasoning(const SceneRules& rules, Key key, std::int64_t index, Random& random) {
  Claim first, second;
  first.shape = draw_below(random, kShapes);
  do second.shape = draw_below(random, kShapes);
  while (second.shape == first.shape);
  const bool truth = random.below(2) == 0;
  const int most = most_counted(rules);
  int a = 0, b = 0;
  do {
    a = draw_below(random, most + 1);
    b = draw_below(random, most + 1);
  } while ((a > b) != truth || a + b > rules.max_objects);
  Wanted wanted;
  wanted.shown.assign(static_cast<std::size_t>(a), first);
  wanted.shown.insert(wanted.shown.end(), static_cast<std::size_t>(b), second);
  wanted.absent = {first, second};
  TaskSample made;
  made.scenes.push_back(scene_with(rules, index, key, wanted));
  begin_dialogue(made, "are there more " + plural(first) + " than " + plural(second) + "? say why.",
                 std::string(truth ? "yes" : "no") + ", because there are " + counted(first, a) +
                     " and " + counted(second, b) + ".");
  made.sample.answers = {{made.sample.answer, 1, -1}};
  made.sample.kind = "reasoning";
  return made;
}

// The shape that the question names, which an answer of training may not make a held-out pair.
bool allowed(const SceneRules& rules, const std::string& asked, const std::string& answer) {
  if (rules.split == Split::test) return true;
  for (int shape = 0; shape < kShapes; ++shape) {
    for (int colour = 0; colour < kColours; ++colour) {
      if (!held_out(shape, colour)) continue;
      const std::string form = word(kShapeWords, shape), tint = word(kColourWords, colour);
      const auto names = [&](const std::string& one) {
        return asked.find(" " + one) != std::string::npos;
      };
      if ((answer == tint && names(form)) || (answer == form && names(tint))) return false;
    }
  }
  return true;
}

std::vector<std::string> answers_of_kind(const SceneRules& rules, const std::string& kind) {
  std::vector<std::string> all;
  if (kind == "yes/no") all = {"yes", "no"};
  if (kind == "color") all.assign(kColourWords.begin(), kColourWords.end());
  if (kind == "shape") all.assign(kShapeWords.begin(), kShapeWords.end());
  if (kind == "place") all.assign(kPlaceWords.begin(), kPlaceWords.end());
  for (int n = 0; kind == "count" && n <= most_counted(rules); ++n)
    all.push_back(std::to_string(n));
  return all;
}

void prefer(TaskSample& made, const std::string& asked, const std::string& right,
            const std::string& wrong) {
  begin_dialogue(made, asked, right);
  made.sample.answers = {{right, 1, -1}};
  made.sample.label = -1;
  made.sample.prompt_turns = 1;
  made.sample.rejected = {reply(wrong)};
}

// The descriptions of a scene and of one that differs in a thing; which of them is shown is drawn.
TaskSample preferred_description(const SceneRules& rules, Key key, std::int64_t index,
                                 Random& random) {
  const bool test = rules.split == Split::test;
  Scene shown = scene_with(rules, index, key, {}), other;
  std::uint64_t attempt = 0;
  do other = with_one_change(shown, key.fold("other").fold(attempt++), !test);
  while (test && !shows_held_out(other));
  if (random.below(2) == 0) std::swap(shown, other);
  const int phrasing = draw_below(random, kPhrasings);
  TaskSample made;
  made.scenes.push_back(shown);
  prefer(made, "describe the picture.", full_caption(shown, phrasing),
         full_caption(other, phrasing));
  made.sample.kind = "description";
  return made;
}

TaskSample preferred_answer(const SceneRules& rules, Key key, std::int64_t index, Random& random) {
  TaskSample made = closed_question(rules, key, index);
  const std::string asked = made.sample.question, right = made.sample.answer;
  std::vector<std::string> others = answers_of_kind(rules, made.sample.kind);
  std::erase_if(
      others, [&](const std::string& one) { return one == right || !allowed(rules, asked, one); });
  TANDEM_CHECK(!others.empty(), "[world] a question with one answer: " + asked);
  prefer(made, asked, right, others[random.below(others.size())]);
  made.sample.kind = "answer";
  return made;
}

}  // namespace

void begin_dialogue(TaskSample& made, const std::string& asked, const std::string& answer) {
  made.sample.question = asked;
  made.sample.answer = answer;
  made.sample.turns = {question(asked, true), reply(answer)};
}

void go_on(TaskSample& made, const std::string& asked, const std::string& answer) {
  made.sample.turns.push_back(question(asked, false));
  made.sample.turns.push_back(reply(answer));
}

TaskSample dialogue(const SceneRules& rules, Key key, std::int64_t index) {
  Random random(key.fold("dialogue"));
  switch (random.below(3)) {
    case 0:
      return conversation(rules, key, index, random);
    case 1:
      return description(rules, key, index, random);
    default:
      return reasoning(rules, key, index, random);
  }
}

TaskSample preference(const SceneRules& rules, Key key, std::int64_t index) {
  Random random(key.fold("preference"));
  return random.below(2) == 0 ? preferred_answer(rules, key, index, random)
                              : preferred_description(rules, key, index, random);
}

TaskSample page_of_words(const SceneRules& rules, Key key, std::int64_t index) {
  Random random(key.fold("page"));
  SceneRules pages = rules;
  pages.kind = Kind::page;
  TaskSample made;
  made.scenes.push_back(make_scene(pages, index));
  const std::vector<Word>& words = made.scenes[0].words;
  if (random.below(2) == 0) {
    const std::size_t line = random.below(words.size());
    made.sample.kind = "line";
    begin_dialogue(made, "what is written in line " + std::to_string(line + 1) + "?",
                   words[line].text);
  } else {
    std::string all;
    for (const Word& one : words) all += (all.empty() ? "" : " ") + one.text;
    made.sample.kind = "page";
    begin_dialogue(made, "what is written on the page?", all);
  }
  made.sample.answers = {{made.sample.answer, 1, -1}};
  return made;
}

}  // namespace tandem::data::world
