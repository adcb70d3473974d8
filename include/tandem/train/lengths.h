#pragma once
// What the stages of a config ask of the samples of its sources beyond that they can be read, found
// out from rows and headers.

#include <functional>
#include <map>
#include <string>

#include "tandem/data/sample.h"
#include "tandem/train/run.h"

namespace tandem::train {

// By source; none for one of which no stage asks more. Each throws Error(data) with the sample's id
// for one that a stage's model cannot take (texts and pictures that do not fit together, nothing to
// learn in its length) or that is longer than the stage's data.max_tokens. Holds `input`'s
// tokenizer; with one that only stands in for another, lengths are not known and nothing is asked.
using SampleCheck = std::function<void(const data::Sample&)>;
std::map<std::string, SampleCheck> sample_checks(const PlanInput& input);

}  // namespace tandem::train
