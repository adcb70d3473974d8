#include "jobs/instruct_prompts.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "tandem/base/error.h"

namespace tandem::jobs {
namespace {

constexpr const char* conversation_task =
    "You are an assistant that looks at one picture. You cannot be shown the picture itself; what "
    "it shows is told to you in a few sentences, each about the same picture. Write a conversation "
    "between a person who asks about the picture and you, who answer because you see it.\n\n"
    "Ask about different things: which objects there are, how many, what they look like, what "
    "somebody does, where things are and how they lie to each other. Ask only what has a certain "
    "answer: something that is surely there, or surely not. Add one or two harder questions about "
    "the same picture, for example about the background of what is seen or about what to bear in "
    "mind there, and answer those in more detail. Never guess.\n\n"
    "Never say that you were told something: no captions, no sentences, no descriptions. Write "
    "nothing but the conversation, in this form:\n"
    "Question:\n...\n===\nAnswer:\n...\n===\nQuestion:\n...\n===\nAnswer:\n...";

constexpr const char* told_boxes =
    ", and then what is where in it: a name and the corners [x1, y1, x2, y2] of a box, left, top, "
    "right and bottom, as shares of the picture's width and height from 0 to 1, counted from the "
    "top left";

// Both begin and end alike.
std::string task_of_one_picture(const std::string& task, bool boxes) {
  return std::string(
             "You are an assistant that looks at one picture. You cannot be shown the picture "
             "itself; a few sentences about it are told to you") +
         (boxes ? told_boxes : "") + ".\n\n" + task +
         "\n\nWrite as somebody who sees the picture. Never mention captions" +
         (boxes ? ", boxes, coordinates" : "") + " or that something was told to you. ";
}

std::string detail_task(bool boxes) {
  return task_of_one_picture(
             std::string(
                 "Describe the picture in detail, in whole sentences. Say what there is, how "
                 "many of it, where it is and how things lie to each other") +
                 (boxes ? "; use the boxes for this, but put what they say into words" : "") +
                 ". Say nothing that is not certain.",
             boxes) +
         "Write nothing but the description.";
}

std::string reasoning_task(bool boxes) {
  return task_of_one_picture(
             "Write one question about the picture that cannot be answered by naming what is seen: "
             "why something is so, what is likely to happen, what one should do, what follows from "
             "it. Do not give away in the question what the picture shows; whoever answers has to "
             "see it first. Then answer it step by step, from what is seen and from general "
             "knowledge.",
             boxes) +
         "Write nothing but the question and its answer, in this form:\n"
         "Question:\n...\n===\nAnswer:\n...";
}

struct InstructExample {
  const char* captions;
  const char* boxes;
  const char* conversation;  // nullptr: none
  const char* detail;
  const char* reasoning;
};

constexpr std::array<InstructExample, 3> examples{{
    {"A woman in a green apron cuts a loaf of bread on a kitchen counter.\n"
     "A gray cat sits on the window sill while somebody slices bread.\n"
     "A small bright kitchen with bread, two mugs and a cat at the window.\n"
     "Somebody is making breakfast as a cat looks on.\n"
     "A cat behind a woman with a bread knife.",
     "person: [0.312, 0.104, 0.655, 0.981]\n"
     "cat: [0.71, 0.213, 0.864, 0.452]\n"
     "cup: [0.148, 0.602, 0.201, 0.688]\n"
     "cup: [0.222, 0.611, 0.274, 0.694]\n"
     "knife: [0.498, 0.587, 0.611, 0.628]",
     "Question:\nWhat is the woman doing?\n===\nAnswer:\nShe is cutting a loaf of bread on the "
     "kitchen counter.\n===\nQuestion:\nWhat color is her apron?\n===\nAnswer:\nHer apron is green."
     "\n===\nQuestion:\nWhere is the cat?\n===\nAnswer:\nThe cat sits on the window sill, behind "
     "the woman.\n===\nQuestion:\nHow many mugs are there?\n===\nAnswer:\nThere are two "
     "mugs.\n===\n"
     "Question:\nIs there a dog in the kitchen?\n===\nAnswer:\nNo, the only animal in the kitchen "
     "is a cat.\n===\nQuestion:\nWhat should she bear in mind with the cat so near?\n===\nAnswer:\n"
     "A cat that sits on a sill may jump down at any moment, and she is working with a long sharp "
     "knife. She should keep the blade away from the edge of the counter, cut away from herself, "
     "and stop when the cat comes onto the counter. Bread and crumbs are also better kept out of "
     "its reach: a cat on a counter is not clean.",
     "A woman in a green apron stands in the middle of a small, bright kitchen and cuts a loaf of "
     "bread with a long knife. On the counter to her left stand two mugs, side by side. To the "
     "right, behind her, a gray cat sits on the sill of the window, a little higher than the "
     "counter, and looks on. It looks like the beginning of a breakfast for two.",
     "Question:\nIs she likely to eat alone?\n===\nAnswer:\nProbably not. Two mugs stand next to "
     "each other on the counter, and somebody who has breakfast alone would take out one. The loaf "
     "that she is slicing is also more than one person needs. The cat is company of a kind, but it "
     "drinks from no mug, so a second person is likely to join her."},
    {"Two children fly a yellow kite on a wide beach.\n"
     "A boy holds the string of a kite while a girl runs beside him.\n"
     "Kids playing with a kite near the sea on a cloudy day.\n"
     "A kite in the air above a beach where people walk.\n"
     "Children in jackets on the sand, the waves behind them.",
     "person: [0.214, 0.563, 0.297, 0.842]\n"
     "person: [0.352, 0.581, 0.441, 0.851]\n"
     "kite: [0.668, 0.071, 0.802, 0.233]\n"
     "person: [0.871, 0.498, 0.893, 0.561]\n"
     "person: [0.902, 0.501, 0.921, 0.559]",
     "Question:\nWhat are the children playing with?\n===\nAnswer:\nThey are flying a yellow kite."
     "\n===\nQuestion:\nWho holds the string?\n===\nAnswer:\nThe boy holds it; the girl runs "
     "beside "
     "him.\n===\nQuestion:\nWhere are they?\n===\nAnswer:\nThey are on a wide beach, with the "
     "waves "
     "behind them.\n===\nQuestion:\nIs the sky clear?\n===\nAnswer:\nNo, it is cloudy.\n===\n"
     "Question:\nWhy is a beach a good place for this?\n===\nAnswer:\nThe wind from the sea meets "
     "no "
     "houses or trees on its way and is therefore steady, which a kite needs. There is also room "
     "to "
     "run without looking where one steps, and nothing in which the string could be caught. Other "
     "people are the one thing to watch for, as a string under tension can hurt.",
     "Two children are on a wide beach under a cloudy sky. A boy on the left holds the string of a "
     "yellow kite, and a girl runs a few steps to the right of him; both wear jackets. The kite is "
     "high in the upper right of the scene. Far behind them, near the right edge, two people walk "
     "along the water, small in the distance, and waves come in behind the sand.",
     "Question:\nWhat time of the year could it be, and what speaks for it?\n===\nAnswer:\nIt is "
     "probably not high summer. The children wear jackets on the sand and nobody bathes, which "
     "points to cool air. The sky is covered with clouds, and there is enough wind to lift a kite "
     "high up, as is usual in spring and autumn. The beach is also nearly empty: besides the "
     "children only two people walk in the distance, whereas a warm day in the holidays would fill "
     "it."},
    {"A blue bicycle leans against a fruit stand in the rain.\n"
     "A market with an umbrella over boxes of oranges and apples.\n"
     "Fruit for sale on a wet street, a bike standing beside it.\n"
     "A man under a red umbrella sells fruit.\n"
     "A street market on a rainy day.",
     "bicycle: [0.063, 0.432, 0.391, 0.878]\n"
     "umbrella: [0.402, 0.095, 0.913, 0.341]\n"
     "person: [0.702, 0.284, 0.831, 0.744]\n"
     "orange: [0.448, 0.571, 0.613, 0.667]\n"
     "apple: [0.619, 0.58, 0.74, 0.671]",
     nullptr,
     "It is a rainy day at a street market. A large red umbrella spans the right half of the "
     "scene, "
     "and below it a man stands behind a stand with boxes of fruit: oranges to the left, apples "
     "next to them. On the left a blue bicycle leans against the stand, out in the rain. The "
     "street "
     "around is wet.",
     "Question:\nWhat could go wrong for the owner of the vehicle, and what would help?\n===\n"
     "Answer:\nThe bicycle stands outside the shelter of the umbrella, so it gets wet: the saddle "
     "will be soaked, and a chain that stays wet rusts. It also only leans against the fruit stand "
     "and may slide on the wet ground, or take boxes with it when somebody pushes it. The owner "
     "could move it under the cover, put it on a stand, pull a bag over the saddle, and oil the "
     "chain when it is dry again."},
}};

constexpr std::array<const char*, 3> kind_names{instruct_conversation, instruct_detail,
                                                instruct_reasoning};

std::string task_of_kind(std::string_view kind, bool boxes) {
  if (kind == instruct_conversation) return conversation_task;
  return kind == instruct_detail ? detail_task(boxes) : reasoning_task(boxes);
}

const char* example_answer(const InstructExample& example, std::string_view kind) {
  if (kind == instruct_conversation) return example.conversation;
  return kind == instruct_detail ? example.detail : example.reasoning;
}

// 0.287, 0.63, 1.0
std::string three_decimals(double value) {
  std::array<char, 16> digits{};
  std::snprintf(digits.data(), digits.size(), "%.3f", std::clamp(value, 0.0, 1.0));
  std::string text = digits.data();
  while (text.ends_with('0') && text[text.size() - 2] != '.') text.pop_back();
  return text;
}

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return text;
}

}  // namespace

bool is_instruct_kind(std::string_view kind) {
  return std::find(kind_names.begin(), kind_names.end(), kind) != kind_names.end();
}

std::vector<InstructMessage> instruct_messages(std::string_view kind, const std::string& shown,
                                               std::int64_t shots, bool boxes) {
  TANDEM_CHECK(is_instruct_kind(kind), "[instruct] an unknown kind");
  const bool shows_boxes = boxes && kind != instruct_conversation;
  std::vector<InstructMessage> messages{{"system", task_of_kind(kind, boxes)}};
  for (const InstructExample& example : examples) {
    const char* answer = example_answer(example, kind);
    if (answer == nullptr || static_cast<std::int64_t>(messages.size()) > 2 * shots) continue;
    std::string asked = example.captions;
    if (shows_boxes) asked += std::string("\n\n") + example.boxes;
    messages.push_back({"user", std::move(asked)});
    messages.push_back({"assistant", answer});
  }
  messages.push_back({"user", shown});
  return messages;
}

std::string shown_as_text(const data::Sample& sample, bool with_boxes, double width,
                          double height) {
  std::string shown;
  for (const std::string& text : sample.texts) {
    shown += (shown.empty() ? "" : "\n") + one_line(text);
  }
  const std::size_t boxes = std::min(sample.boxes.size(), sample.box_names.size());
  if (!with_boxes || boxes == 0) return shown;
  shown += "\n";
  for (std::size_t i = 0; i < boxes; ++i) {
    const data::Box& box = sample.boxes[i];
    shown += "\n" + one_line(sample.box_names[i]) + ": [" + three_decimals(box.x0 / width) + ", " +
             three_decimals(box.y0 / height) + ", " + three_decimals(box.x1 / width) + ", " +
             three_decimals(box.y1 / height) + "]";
  }
  return shown;
}

const std::vector<std::string>& detail_requests() {
  static const std::vector<std::string> requests{
      "Describe this picture in detail.",
      "What does the picture show? Tell everything that you see.",
      "Give a full description of what is in the picture.",
      "Can you describe the scene with all its details?",
      "Say what is where in this picture, as exactly as you can.",
      "Please tell me at length what can be seen here.",
      "Write a thorough description of the picture.",
      "Explain what is in the picture, with the things at its edges too.",
      "What would you tell somebody who cannot see this picture?",
      "Walk me through the picture: what is there, and where?"};
  return requests;
}

}  // namespace tandem::jobs
