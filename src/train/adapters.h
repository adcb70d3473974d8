#pragma once
// A stage's low-rank adapters: attached at its start, saved beside the base, merged into it when
// the next stage begins.

#include "train/session.h"

namespace tandem::train {

// Merges what the stage before has left, and attaches what the stage of the cursor asks for.
void begin_adapters(Session& session);
// The same without merging: for weights that are read next.
void attach_stage_adapters(Session& session);

// The tensors of adapter_model.safetensors and the text of adapter_config.json; empty without.
NamedTensors adapter_tensors(const NamedTensors& parameters);
std::string adapter_config(const Session& session);

}  // namespace tandem::train
