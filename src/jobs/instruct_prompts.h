#pragma once
// What the language model is told: the task of each kind, examples, captions and boxes as text. The
// recipe is that of Liu et al. 2023 (haotian-liu/LLaVA c121f04:playground/data/prompts); the words
// are ours.

#include <string>
#include <string_view>
#include <vector>

#include "tandem/data/sample.h"
#include "tandem/jobs/instruct.h"

namespace tandem::jobs {

bool is_instruct_kind(std::string_view kind);

// A system message, at most `shots` pairs of examples (a conversation has two, the others three),
// and the sample: a caption a line, then, but for conversations, an empty line and a box a line,
// "NAME: [x0, y0, x1, y1]" in shares of the sides with three decimals. boxes: the sample has some;
// else the task and the examples speak of captions alone, as they always do for a conversation.
std::vector<InstructMessage> instruct_messages(std::string_view kind, const std::string& shown,
                                               std::int64_t shots, bool boxes = true);
// width, height: of the picture in pixels, for the boxes.
std::string shown_as_text(const data::Sample& sample, bool with_boxes, double width, double height);

// Requests for a detailed description, one of which stands before an answer of that kind.
const std::vector<std::string>& detail_requests();

}  // namespace tandem::jobs
