#pragma once
// The world's tasks beside captions. Text alone tells nothing: question or sentence and the right
// answer are drawn first and independently of each other, then a scene is made in which it is the
// answer. So the answers to one and the same question are spread evenly over all that may be right
// (in training over those that name no held-out pair, in tests over all), and whoever does not look
// is right as often as `chance_of` says.
//
// In training no text names and no picture shows a held-out pair; of tests every picture shows at
// least one. max_objects from 2.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tandem/base/random.h"
#include "tandem/data/sample.h"
#include "tandem/data/world/scene.h"

namespace tandem::data::world {

struct TaskSample {
  std::vector<Scene> scenes{};  // a picture each
  Sample sample{};              // all but its id and its pictures; see data/sample.h
};

enum class Task {
  vqa,
  nlvr2,
  ve,
  grounding,
  dialogue,
  preference,
  ocr,
  clip,
  questions,
  reading,
  screen,
  target,
  several
};

struct TaskOptions {
  bool open = false;                   // vqa: answers are free text, not of closed_answers()
  int side = 64;                       // grounding, target: boxes are in pixels of such a picture
  std::vector<std::int64_t> rates{2};  // clip: frames a second, drawn from these
};

// Pure in (rules.seed, rules.split, task, options, index).
TaskSample task_sample(const SceneRules& rules, Task task, std::int64_t index,
                       const TaskOptions& options = {});

// vqa, closed. Kinds: "yes/no" (is there a red ring? is the ring striped?), "color", "shape",
// "count" (0 to 3), "place".
// vqa, open. Kinds: "object" (what is at the top left? large striped red ring), "shapes" (which
// shapes are in the picture? circle and ring).
// nlvr2. Kinds: "both", "one", "sides", "more".
// ve. Kinds: "color", "shape", "place", "look". A hypothesis speaks of one object: entailed when
// the picture shows it so, contradicted when it shows it otherwise, neutral when it shows none.
// grounding. Kind: "look" (the large red ring); no place is named, which would tell where without
// a look.
// dialogue: turns; the first question and its answer are also the sample's own. Kinds:
// "conversation" (a closed question, then up to three others), "description" (everything is told),
// "reasoning" (are there more rings than circles? say why. yes, because there are 2 and 1).
// questions: a dialogue of closed questions about one picture, up to nine. Kind: that of the first
// one. They are for training: what was said before may tell an answer, so nobody is scored on them.
// reading: the same about a scene that is told in its caption and not shown, for language models
// alone.
//
// preference: an answer that is right and one that is not, of which the picture alone tells which.
// Kinds: "answer" (of a closed question), "description" (of two scenes that differ in one thing).
//
// ocr: a page of words (Kind::page). Kinds: "page" (all of it), "line".
//
// clip: objects that move (Kind::clip), for 8 or 10 seconds. Kinds: "start" (at which second does
// the red ring start to move? 1 to 5), "stop" (2 to 6), "way" (where does it move? up, down, left,
// right), "speed" (how fast? slowly, fast), "object" (what moves? large striped red ring).
//
// screen: a dialogue about the buttons of a screen (Kind::screen). Kinds, those of the first
// question: "button" (which button is at the top left? BAK), "place" (where is the button BAK?),
// "color".
//
// target: what means one button of a screen, and its box, as grounding. Kinds: "text" (the button
// BAK), "place" (the button at the top left), "color" (the red button).
//
// several: a dialogue over two or three pictures, which stand before its first question (which
// picture shows a red ring? second). Kinds: "two", "three". The further questions say of which
// picture they are.
const std::vector<std::string>& closed_answers();

// What whoever sees no picture reaches on tests: 1 / number of answers that are as likely. 0 where
// there is no such number (open answers, dialogues; grounding: 1 / number of objects).
double chance_of(const SceneRules& rules, Task task, std::string_view kind);

}  // namespace tandem::data::world
