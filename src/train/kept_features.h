#pragma once
// A stage's `cache: features`: where its model's frozen tower keeps its rows, what that takes of a
// disk, and what does not go with it.

#include <memory>
#include <string>
#include <vector>

#include "tandem/models/kept_tower.h"
#include "tandem/train/rules.h"
#include "train/session.h"

namespace tandem::train {

// Gives the stage's model the file of its tower's rows, or takes the stage before's away. Null: the
// stage keeps none.
std::shared_ptr<const models::KeptTower> keep_features(Session& session,
                                                       const config::StageConfig& stage);
// "features: the tower was run for 40 of 120 pictures".
std::string kept_line(const models::KeptTower& kept);

// Empty, or why the stage cannot keep the features of this model. resolved: of the model's
// parameters; adapted: layers that get adapters.
std::string wrong_cache(const models::Model& model, const std::vector<ResolvedParameter>& resolved,
                        const std::vector<std::string>& adapted);

// The plan's line: the disk's room that is wanted and, where the folder's disk is known, what is
// free.
std::string cache_line(const config::RunConfig& config, const config::StageConfig& stage,
                       const models::Model& model, const SourceMap& sources);

}  // namespace tandem::train
