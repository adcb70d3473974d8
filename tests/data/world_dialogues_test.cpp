// The world's dialogues, preferences and pages: what is said is so, the picture alone tells which
// answer is right, and training names no held-out pair.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <set>
#include <sstream>

#include "tandem/data/world/draw.h"
#include "tandem/data/world/reading.h"
#include "tandem/data/world/source.h"
#include "tandem/data/world/task_reading.h"
#include "tandem/data/world/tasks.h"
#include "world_support.h"

namespace world_dialogues_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::data::world;
using namespace tandem::testing;

namespace {

std::string words_of(const Turn& turn) {
  std::string words;
  for (const text::Part& part : turn.parts) words += part.text;
  return words;
}

bool describes(const std::string& text, const Scene& scene) {
  const auto said = read_caption(text);
  return said && said->background && agrees(*said, scene);
}

// The scene that a complete description tells of.
Scene scene_of(const Description& description) {
  Scene scene;
  scene.background = description.background.value();
  for (const Claim& claim : description.claims) {
    Object object;
    object.look = {claim.shape.value(), claim.colour.value(), claim.size.value(),
                   claim.texture.value_or(0)};
    object.place = claim.place.value();
    scene.objects.push_back(object);
  }
  return scene;
}

// "are there more rings than circles? say why." from what the scene shows.
std::string reasoned(const std::string& asked, const Scene& scene) {
  std::string are, there, more, first, than, second;
  std::istringstream(asked) >> are >> there >> more >> first >> than >> second;
  second.pop_back();
  const auto of = [&](const std::string& plural) {
    int count = 0;
    for (const Object& object : scene.objects) {
      const std::string one(kShapeWords[static_cast<std::size_t>(object.look.shape)]);
      count += plural == one + "s" || plural == one + "es" ? 1 : 0;
    }
    return count;
  };
  const auto told = [&](const std::string& plural) {
    const int count = of(plural);
    const std::string one = plural == "crosses" ? "cross" : plural.substr(0, plural.size() - 1);
    return std::to_string(count) + " " + (count == 1 ? one : plural);
  };
  return std::string(of(first) > of(second) ? "yes" : "no") + ", because there are " + told(first) +
         " and " + told(second) + ".";
}

// What an oracle answers; empty where it does not understand.
std::string seen(const std::string& asked, const Scene& scene) {
  if (asked == "how many objects are there?") return std::to_string(scene.objects.size());
  if (asked == "what color is the background?") {
    return std::string(kBackgroundWords[static_cast<std::size_t>(scene.background)]);
  }
  if (asked.ends_with("say why.")) return reasoned(asked, scene);
  return answer_question(asked, scene).value_or("");
}

// The share of pairs of which words that were preferred in training tell the right one; a draw
// counts a half.
double by_text_alone(const std::string& kind, int objects) {
  std::map<std::string, double> liked;  // by question and word
  const auto each_word = [](const std::string& asked, const std::string& text, const auto& act) {
    std::istringstream words(text);
    for (std::string word; words >> word;) act(asked + " | " + word);
    act(asked + " | = " + text);
  };
  double right = 0, all = 0;
  for (const Split split : {Split::train, Split::test}) {
    for (std::int64_t i = 0; i < 8000; ++i) {
      const Sample sample = task_sample(rules_of(split, objects), Task::preference, i).sample;
      if (sample.kind != kind) continue;
      const std::string chosen = sample.answer, rejected = words_of(sample.rejected.at(0));
      double balance = 0;
      if (split == Split::train) {
        each_word(sample.question, chosen, [&](const std::string& word) { liked[word] += 1; });
        each_word(sample.question, rejected, [&](const std::string& word) { liked[word] -= 1; });
        continue;
      }
      const auto weight = [&](const std::string& word) {
        const auto at = liked.find(word);
        return at == liked.end() ? 0.0 : at->second;
      };
      each_word(sample.question, chosen, [&](const std::string& w) { balance += weight(w); });
      each_word(sample.question, rejected, [&](const std::string& w) { balance -= weight(w); });
      right += balance > 0 ? 1 : balance < 0 ? 0 : 0.5;
      all += 1;
    }
  }
  return right / all;
}

}  // namespace

TEST_CASE("what is said in the world's dialogues is so") {
  std::map<std::string, int> kinds;
  std::size_t longest = 0;
  for (const int objects : {2, 3, 6}) {
    for (std::int64_t i = 0; i < 1500; ++i) {
      const TaskSample made = task_sample(rules_of(Split::test, objects), Task::dialogue, i);
      const Sample& sample = made.sample;
      ++kinds[sample.kind];
      REQUIRE(sample.turns.size() % 2 == 0);
      longest = std::max(longest, sample.turns.size());
      CHECK(sample.turns[0].parts.at(0) == text::picture_part(0));
      CHECK(words_of(sample.turns[0]) == sample.question);
      CHECK(words_of(sample.turns[1]) == sample.answer);
      for (std::size_t t = 0; t < sample.turns.size(); t += 2) {
        const std::string asked = words_of(sample.turns[t]), told = words_of(sample.turns[t + 1]);
        INFO(asked << " " << told);
        if (sample.kind == "description") {
          REQUIRE(describes(told, made.scenes[0]));
        } else {
          REQUIRE(seen(asked, made.scenes[0]) == told);
        }
      }
    }
  }
  CHECK(kinds.size() == 3);
  CHECK(longest == 8);
}

TEST_CASE("a dialogue of questions asks much of one picture, and what it is told is so") {
  std::map<std::string, std::map<std::string, int>> told;  // by the question's first two words
  std::size_t turns = 0;
  constexpr std::int64_t kDialogues = 1500;
  for (std::int64_t i = 0; i < kDialogues; ++i) {
    const TaskSample made = task_sample(rules_of(Split::train, 2), Task::questions, i);
    const Sample& sample = made.sample;
    std::set<std::string> asked;
    CHECK(words_of(sample.turns.at(0)) == sample.question);
    CHECK(words_of(sample.turns.at(1)) == sample.answer);
    for (std::size_t t = 0; t < sample.turns.size(); t += 2) {
      const std::string question = words_of(sample.turns[t]),
                        answer = words_of(sample.turns[t + 1]);
      INFO(question << " " << answer);
      REQUIRE(seen(question, made.scenes[0]) == answer);
      REQUIRE(asked.insert(question).second);
      CHECK(sample.turns[t].parts.size() == (t == 0 ? 2 : 1));
      ++told[question.substr(0, question.find(' ', question.find(' ') + 1))][answer];
    }
    turns += asked.size();
  }
  CHECK(static_cast<double>(turns) / kDialogues > 8);
  CHECK(told["what color"].size() == static_cast<std::size_t>(kColours));
  CHECK(told["what shape"].size() == static_cast<std::size_t>(kShapes));
  CHECK(told["where is"].size() == static_cast<std::size_t>(kPlaces));
  CHECK(told["how many"].size() == 3);
  for (const char* kind : {"is there", "is the"}) {
    const double yes = told[kind]["yes"], all = yes + told[kind]["no"];
    CHECK(yes / all == Approx(0.5).margin(0.2));
  }
}

TEST_CASE("a scene that is told and not shown has the answers to what is asked of it") {
  for (std::int64_t i = 0; i < 500; ++i) {
    const TaskSample made = task_sample(rules_of(Split::train, 2), Task::reading, i);
    REQUIRE(made.scenes.empty());
    const auto& turns = made.sample.turns;
    const std::string first = words_of(turns.at(0));
    const std::size_t end = first.find(". ");
    INFO(first);
    REQUIRE(end != std::string::npos);
    REQUIRE(turns[0].parts.size() == 1);
    CHECK(first.substr(end + 2) == made.sample.question);
    const Scene told = scene_of(read_caption(first.substr(0, end)).value());
    CHECK(seen(made.sample.question, told) == made.sample.answer);
    for (std::size_t t = 2; t < turns.size(); t += 2) {
      CHECK(seen(words_of(turns[t]), told) == words_of(turns[t + 1]));
    }
    for (const Turn& turn : turns) REQUIRE_FALSE(names_held_out(words_of(turn)));
  }
}

TEST_CASE("whether there are more is yes half of the time") {
  for (const int objects : {2, 6}) {
    int yes = 0, all = 0;
    for (std::int64_t i = 0; i < 20'000; ++i) {
      const Sample sample = task_sample(rules_of(Split::test, objects), Task::dialogue, i).sample;
      if (sample.kind != "reasoning") continue;
      ++all;
      yes += sample.answer.starts_with("yes") ? 1 : 0;
    }
    CHECK(yes / static_cast<double>(all) == Approx(0.5).margin(0.02));
  }
}

TEST_CASE("the picture alone tells which answer is preferred") {
  for (const int objects : {2, 6}) {
    for (const std::string kind : {"answer", "description"}) {
      const double share = by_text_alone(kind, objects);
      INFO(kind << ", " << objects << " objects: " << share);
      CHECK(std::abs(share - 0.5) <= 0.03);
    }
    for (std::int64_t i = 0; i < 1000; ++i) {
      const TaskSample made = task_sample(rules_of(Split::test, objects), Task::preference, i);
      const Sample& sample = made.sample;
      const std::string wrong = words_of(sample.rejected.at(0));
      INFO(sample.question << " " << sample.answer << " / " << wrong);
      CHECK(sample.prompt_turns == 1);
      if (sample.kind == "answer") {
        CHECK(seen(sample.question, made.scenes[0]) == sample.answer);
        CHECK(wrong != sample.answer);
      } else {
        CHECK(describes(sample.answer, made.scenes[0]));
        CHECK_FALSE(describes(wrong, made.scenes[0]));
      }
    }
  }
}

TEST_CASE("dialogues and preferences of training show and name no held-out pair") {
  for (const Task task : {Task::dialogue, Task::preference, Task::questions}) {
    for (const int objects : {2, 6}) {
      for (std::int64_t i = 0; i < 2000; ++i) {
        const TaskSample train = task_sample(rules_of(Split::train, objects), task, i);
        REQUIRE(held_out_pairs(train.scenes[0]) == 0);
        for (const auto* turns : {&train.sample.turns, &train.sample.rejected}) {
          for (const Turn& turn : *turns) REQUIRE_FALSE(names_held_out(words_of(turn)));
        }
        const TaskSample test = task_sample(rules_of(Split::test, objects), task, i);
        REQUIRE(held_out_pairs(test.scenes[0]) >= 1);
        REQUIRE(test.scenes[0].objects.size() >= 2);
        REQUIRE(test.scenes[0].objects.size() <= static_cast<std::size_t>(objects));
      }
    }
  }
}

TEST_CASE("a page is read line by line or as a whole") {
  std::map<std::string, int> kinds;
  std::set<std::string> answers;
  for (std::int64_t i = 0; i < 500; ++i) {
    const TaskSample made = task_sample(rules_of(Split::train), Task::ocr, i);
    const Sample& sample = made.sample;
    ++kinds[sample.kind];
    answers.insert(sample.answer);
    std::string all;
    for (const Word& word : made.scenes[0].words) all += (all.empty() ? "" : " ") + word.text;
    if (sample.kind == "page") CHECK(sample.answer == all);
    if (sample.kind == "line") {
      const auto line = static_cast<std::size_t>(sample.question[24] - '1');
      INFO(sample.question);
      CHECK(sample.answer == made.scenes[0].words.at(line).text);
    }
  }
  CHECK(kinds.size() == 2);
  CHECK(answers.size() > 400);
}

TEST_CASE("a page tells where its words stand: all ink is in their boxes, and each has some") {
  WorldSettings settings;
  settings.task = "ocr";
  settings.boxes = true;
  settings.size = 60;
  for (const std::int64_t side : {64, 96, 224}) {
    settings.side = side;
    const auto source = open_world(settings);
    CHECK(source->fingerprint().find(":boxes") != std::string::npos);
    for (std::int64_t index = 0; index < settings.size; index += 7) {
      const Sample sample = source->read(index);
      REQUIRE_FALSE(sample.boxes.empty());
      REQUIRE(sample.box_names.size() == sample.boxes.size());
      CHECK((sample.turns.empty() && sample.question.empty() && sample.texts.empty()));
      const vision::Image& page = sample.pictures.at(0).pixels;
      std::vector<int> ink(sample.boxes.size());
      int outside = 0;
      for (int y = 0; y < page.height; ++y) {
        for (int x = 0; x < page.width; ++x) {
          if (std::equal(page.row(y) + 3 * x, page.row(y) + 3 * x + 3, page.row(0))) continue;
          const auto holds = [&](const Box& box) {
            return x >= box.x0 && x < box.x1 && y >= box.y0 && y < box.y1;
          };
          const auto found = std::find_if(sample.boxes.begin(), sample.boxes.end(), holds);
          if (found == sample.boxes.end()) {
            ++outside;
          } else {
            ++ink[static_cast<std::size_t>(found - sample.boxes.begin())];
          }
        }
      }
      CAPTURE(side, index);
      CHECK(outside == 0);
      for (const int pixels : ink) CHECK(pixels > 0);
    }
  }
  settings.task = "vqa";
  CHECK_THROWS_WITH(open_world(settings), Catch::Contains("expected it left out with task vqa"));
}

TEST_CASE("the world's dialogues come as a source") {
  for (const std::string task : {"dialogue", "preference", "ocr"}) {
    WorldSettings settings;
    settings.task = task;
    settings.size = 100;
    const auto source = open_world(settings);
    const Sample sample = source->read(3), peeked = source->peek(3);
    CHECK(sample.pictures.size() == 1);
    CHECK(sample.turns == peeked.turns);
    CHECK(sample.rejected.empty() == (task != "preference"));
    CHECK(sample.id == "world/" + task + "/train/000003");
    CHECK(source->fingerprint().ends_with(":task=" + task));
    CHECK(source->answers().empty());
    CHECK_FALSE(texts_of(sample).empty());
  }
}

}  // namespace world_dialogues_test
