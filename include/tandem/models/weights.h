#pragma once
// Weights by name into a model.

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "tandem/models/model.h"

namespace tandem::models {

// Copies `weights` (as Family::import_weights gives them) into the model's parameters and buffers,
// cast to their types. Throws Error(data) that names every tensor that is missing, surplus or of
// another shape (at most 20 of them); nothing is copied then. Buffers may be
// absent, but of those below one name (a momentum copy) all or none.
void assign_weights(Model& model, const std::map<std::string, at::Tensor>& weights);

}  // namespace tandem::models
