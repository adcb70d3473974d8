#pragma once
// How full the texts of a step are: what its row of metrics and the end of a stage say of it.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tandem/config/run_config.h"

namespace tandem::train {

// Over all ranks; of texts that have labels (data::Filling). Nothing where a stage has none.
struct StepFilling {
  std::int64_t tokens = 0, padding = 0, micro_batches = 0;

  StepFilling& operator+=(const StepFilling& other);
};

// "tokens", and "padding" as the share of places that hold none; empty without tokens.
std::vector<std::pair<std::string, double>> numbers_of(const StepFilling& filling);

// A line for the log: tokens, share of padding and, of packs, how full they are. Empty without
// tokens.
std::string filling_line(const config::StageConfig& stage, const StepFilling& filling);

}  // namespace tandem::train
