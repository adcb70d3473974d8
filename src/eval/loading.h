#pragma once
// How evaluations read a source.

#include <cstdint>

#include "tandem/data/loader.h"
#include "tandem/eval/task.h"

namespace tandem::eval {

// The samples that this rank sees: every W-th batch of the source, in order, as evaluation prepares
// them.
data::LoaderOptions loader_options(const Input& input, std::int64_t size);

}  // namespace tandem::eval
