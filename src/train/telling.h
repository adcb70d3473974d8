#pragma once
// What a stage tells of itself to those who watch it: chance levels, the sources that its samples
// come from, and stages.json, from which `tandem report` draws the track of the stages.

#include "tandem/report/chance.h"
#include "train/session.h"

namespace tandem::train {

report::ChanceLevels chance_levels(const models::Model& model, const config::StageConfig& stage);

// "seen.SOURCE" for each source of a stage that has several: how many of the samples at positions
// [first, last) are its.
std::vector<std::pair<std::string, double>> seen_of(const StageData& data, std::int64_t first,
                                                    std::int64_t last);

// Writes the stage's line into stages.json, in the place of one of an earlier start. Rank 0.
void tell_stage(const Session& session, const config::StageConfig& stage, const StageData& data,
                std::int64_t total_steps, const report::ChanceLevels& chance);

}  // namespace tandem::train
