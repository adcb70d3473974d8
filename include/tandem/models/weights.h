#pragma once
// Weights by name into a model.

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "tandem/models/model.h"

namespace tandem::models {

// Copies `weights` (as Family::import_weights gives them) into the model's parameters and buffers,
// cast to their types. Throws Error(data) that names every tensor that is missing, surplus or of
// another shape (at most 20 of them); nothing is copied then. Buffers may be
// absent, but of those below one name (a momentum copy) all or none.
void assign_weights(Model& model, const std::map<std::string, at::Tensor>& weights);

// What a model took of weights that were made for another one of its family.
struct Taken {
  std::vector<std::string> fresh{};     // that the weights do not have: they stay as initialised
  std::vector<std::string> left_out{};  // that the model does not have
};

// The same from another stage or another task: a layer that `weights` does not have at all stays as
// it is, what the model does not have is left out. So are queues of another length. Throws
// Error(data) for a layer that is there in part, for another shape, and where nothing fits.
Taken take_weights(Model& model, const std::map<std::string, at::Tensor>& weights);

// For people: the parts ("classifier.*, temp") of names; of a part that `others` has, too, its own
// parts ("transformer.lm_head.*").
std::string parts_named(const std::vector<std::string>& names,
                        const std::vector<std::string>& others);

}  // namespace tandem::models
