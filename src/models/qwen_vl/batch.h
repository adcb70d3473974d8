#pragma once
// From a sample to what the language model reads: a dialogue, or a text that goes on behind its
// pictures.

#include <memory>
#include <string>
#include <vector>

#include "models/qwen_vl/config.h"
#include "tandem/models/model.h"
#include "tandem/text/turn.h"

namespace tandem::models::qwen_vl {

// tokenizer: of the model. Throws Error(config) when there is none.
Processor make_processor(const Settings& settings,
                         std::shared_ptr<const text::Tokenizer> tokenizer);

// The seven tasks of the second stage, as turns (the paper's appendix B): what the model is shown,
// and its reply. A dialogue as it is; a grounded sample is asked by <ref>words</ref> and answered
// by <box>..</box>; a question ends in " Answer:"; words in a picture (boxes with names and nothing
// else) are told with <quad>..</quad>; a caption follows a request for one; text alone is the
// reply. train: a caption is drawn by the key.
std::vector<text::Turn> pretraining_turns(const data::Sample& sample, Key key, bool train);
// The same for dialogues: questions and captions are asked as models/dialogue.h asks them.
std::vector<text::Turn> dialogue_turns(const data::Sample& sample, Key key, bool train);

}  // namespace tandem::models::qwen_vl
