#pragma once
// How far below the top a parameter lies, for layer-wise decay of the learning rate: lr x
// decay^depth. As in BEiT (unilm:beit/optim_factory.py, get_num_layer_for_vit) and timm
// (optim/_param_groups.py, param_groups_layer_decay): of L blocks, block i lies L - i deep, what
// comes before the first block (embeddings) L + 1, what comes after the last one (norms, heads) 0.
//
// Blocks are known by their number in the name: "vision_model.encoder.layers.3.mlp.fc1.weight" is
// block 3 of the list "vision_model.encoder.layers". Any other parameter belongs to the list with
// which its name shares most of its first parts; before or after is the order of the parameters,
// which is that of the computation. One that shares none (a projection, a temperature) lies 0 deep.

#include <cstdint>
#include <string>
#include <vector>

namespace tandem::train {

// One for each name, in their order.
std::vector<std::int64_t> depths(const std::vector<std::string>& names);

}  // namespace tandem::train
