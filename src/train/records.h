#pragma once
// What a run writes down when something is wrong with a sample or a step, and when it gives up.

#include "tandem/data/loader.h"
#include "train/session.h"

namespace tandem::train {

// Appends this step's bad samples of all ranks to bad_samples.jsonl. bad: of all ranks; seen:
// samples of the stage so far. Throws Error(data) on all ranks when more than 1 % (of at least a
// thousand) were bad.
void record_bad(Session& session, const data::StepBatches& batches, std::int64_t bad,
                std::int64_t seen);

// Appends the samples of a step whose loss or gradient was not finite to broken_steps.jsonl. The
// step changed nothing. All ranks call it.
void record_broken(Session& session, const StageData& data, std::int64_t step,
                   const std::vector<std::int64_t>& positions);

// A row as report::json_of wrote it.
report::Row row_of(const std::string& text);

// Throws Error(numerics) after ten such steps in a row.
void stop_when_broken(const Session& session);

}  // namespace tandem::train
