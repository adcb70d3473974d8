#pragma once
// The one way in which blocks are called (DESIGN 3, decision 7): recomputation, and later sharding
// and offload, live here and nowhere else.

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "tandem/base/random.h"

namespace tandem::nn {

// A block, pure in its tensors: everything that needs a gradient comes in as an input or is a
// parameter. It must live until backward is done.
using Block = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

struct BlockContext {
  // Keep only the inputs and run the block again in backward. Gradients are bit-equal either way.
  bool recompute = false;
  // Seeds the device's generator before the block, both times. A block without a key draws nothing.
  std::optional<Key> key{};
};

// The context of one of several blocks: its own key.
BlockContext of_block(BlockContext context, std::size_t block);
// The context of one of several passes or parts, by what it is for.
BlockContext of_part(BlockContext context, std::string_view purpose);

// module: holds the block's parameters. inputs: 1 to 4 tensors. Where neither wants a gradient the
// block runs once and nothing is recorded, recomputation or not.
at::Tensor run_block(const torch::nn::Module& module, const Block& block,
                     const std::vector<at::Tensor>& inputs, const BlockContext& context);

}  // namespace tandem::nn
