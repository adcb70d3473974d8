#pragma once
// One object of a dialogue file as a sample whose pictures and clips are still names.

#include <string>
#include <vector>

#include "tandem/data/sample.h"

namespace tandem::data {

struct DialogueRow {
  Sample sample{};                      // turns, rejected, prompt_turns
  std::vector<std::string> pictures{};  // as they are written: names, file://, data:
  struct VideoNames {
    std::string file{};  // or frames
    std::vector<std::string> frames{};
    double fps = 0;
  };
  std::vector<VideoNames> clips{};
};

// Throws Error(data) at `where` for anything that is none of the shapes in data/dialogue.h.
DialogueRow dialogue_row(const std::string& text, const std::string& where);

}  // namespace tandem::data
