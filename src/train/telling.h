#pragma once
// What a stage tells of itself to those who watch it: chance levels, the sources that its samples
// come from, what is learned of its first samples, and stages.json, from which `tandem report`
// draws the track of the stages.

#include "tandem/report/chance.h"
#include "tandem/tensor/batch.h"
#include "tandem/text/tokenizer.h"
#include "train/session.h"

namespace tandem::train {

// Of the stage's losses; a contrast's is that of as many pairs as it tells apart at once.
report::ChanceLevels chance_levels(const models::Model& model, const config::StageConfig& stage,
                                   int ranks);

// "seen.SOURCE" for each source of a stage that has several: how many of the samples at positions
// [first, last) are its.
std::vector<std::pair<std::string, double>> seen_of(const StageData& data, std::int64_t first,
                                                    std::int64_t last);

// The first row of `tokens` as words, what is learned of it in [[ ]]; a token that comes several
// times in a row (a picture's) stands once with its number. At most `most` bytes, cut in the
// middle.
std::string marked_text(const Tokens& tokens, const text::Tokenizer& tokenizer,
                        std::size_t most = 1200);
// Says that of the stage's first three samples, where the family gives texts with labels. Rank 0.
void tell_learned(const Session& session, const StageData& data);

// Writes the stage's line into stages.json, in the place of one of an earlier start. Rank 0.
void tell_stage(const Session& session, const config::StageConfig& stage, const StageData& data,
                std::int64_t total_steps, const report::ChanceLevels& chance);

}  // namespace tandem::train
