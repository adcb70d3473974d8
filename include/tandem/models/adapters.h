#pragma once
// Low-rank adapters (LoRA: Hu et al., arXiv:2106.09685) on the Linear layers of any model, found by
// their names. A layer L with weight "L.weight" gets the parameters "L.lora_A.weight" [rank, in]
// and "L.lora_B.weight" [out, rank]; its own weight stays as it is until they are merged.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tandem/base/random.h"
#include "tandem/models/model.h"

namespace tandem::models {

struct Adapter {
  std::string layer{};
  std::int64_t rank = 0;
  double scale = 1, dropout = 0;
};

// Names of the layers that can have one, in the module's order.
std::vector<std::string> linear_layers(const Model& model);

// Throws Error(config) for a layer that the model does not have. init: A is drawn from it and the
// layer's name; B is zeros, so the model gives the same as before.
void attach_adapters(Model& model, const std::vector<Adapter>& adapters, Key init);

// W += scale B A in every layer that has one, which is then as it was before attach. False: there
// was none.
bool merge_adapters(Model& model);

// The layer whose adapter has this parameter: "L" of "L.lora_A.weight".
std::optional<std::string> adapted_layer(const std::string& parameter);

}  // namespace tandem::models
