#pragma once
// One sample as a source gives it, before any decoding. No torch.

#include <cstdint>
#include <string>
#include <vector>

#include "tandem/text/turn.h"
#include "tandem/vision/image.h"

namespace tandem::data {

// A picture as its encoded bytes (JPEG, PNG: decoded by the loader's threads) or as pixels already
// (the world draws them).
struct Picture {
  std::vector<std::uint8_t> encoded{};
  vision::Image pixels{};  // used when `encoded` is empty
  std::string name{};      // of its file below the source's folder; empty: not a file of its own
};

// A clip as frames with their times, or a file that holds them.
struct Clip {
  std::string file{};
  std::vector<Picture> frames{};
  std::vector<double> seconds{};  // of each frame; empty: `fps` says them
  double fps = 0;                 // of the frames; 0: not known
};

using text::Turn;

struct Box {
  double x0 = 0, y0 = 0, x1 = 0, y1 = 0;  // pixels of the picture as it is stored
};

// An answer that counts as right, and for how much.
struct Answer {
  std::string text{};
  double score = 1;         // 0 to 1: VQAv2's soft scores, or the share of people who gave it
  std::int64_t label = -1;  // its place in Source::answers(); -1: not in it, or there is none
  std::int64_t people = 0;  // who gave it; 0: not known
  friend bool operator==(const Answer&, const Answer&) = default;
};

// What a task keeps where:
//   captions     texts; label 1 true, 0 wrong where that is known, `kind` what was done to it;
//                boxes with box_names where it is known what is where
//   vqa          question, answers (the best one first, `answer` again), label of the best one
//   nlvr2        two pictures, left and right; texts[0] the sentence; label 1 true, 0 false
//   ve           texts[0] the hypothesis; label 0 contradiction, 1 neutral, 2 entailment
//   grounding    texts[0] the expression, boxes[0] what it means; proposals: what may be chosen,
//                label the right one of them (-1: by the overlap of their boxes)
//   dialogue     turns, which say where the pictures and clips stand
//   preference   turns with the answer that is preferred; rejected: what else was said from turn
//                prompt_turns on
struct Sample {
  std::string id{};             // what a person finds it by: a file's name, a shard and a key
  std::int64_t picture_id = 0;  // equal for samples that show the same picture
  std::int64_t group = -1;      // samples that are told apart from each other (the hard gallery)
  std::vector<Picture> pictures{};
  std::vector<std::string> texts{};  // captions; an epoch draws one by key
  std::vector<Turn> turns{};
  std::vector<Turn> rejected{};
  std::int64_t prompt_turns = 0;
  std::vector<Clip> clips{};
  std::vector<Box> boxes{};
  std::vector<std::string> box_names{};  // of a captioned picture: what is in each box
  std::vector<Box> proposals{};
  std::string question{}, answer{};
  std::vector<Answer> answers{};
  std::int64_t label = -1;
  std::string kind{};  // of the question or the sentence: figures are also given for each
  // Texts of other pictures of the source, where a model asks for them (data/others.h).
  std::vector<std::string> others{};
};

}  // namespace tandem::data
