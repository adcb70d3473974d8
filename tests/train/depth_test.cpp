#include "tandem/train/depth.h"

#include <catch2/catch.hpp>

namespace depth_test {

using namespace tandem::train;
using Depths = std::vector<std::int64_t>;

TEST_CASE("embeddings lie deepest and what follows the blocks lies at the top, as in BEiT") {
  // get_num_layer_for_vit of 2 blocks: 0 for embeddings, i + 1 for block i, 3 for the rest; the
  // exponent is 3 minus that.
  CHECK(depths({"cls_token", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight",
                "blocks.0.norm1.bias", "blocks.1.mlp.fc1.weight", "norm.weight", "head.weight"}) ==
        Depths{3, 3, 2, 2, 1, 0, 0});
}

TEST_CASE("each tower has its own depth, and what stands outside of them lies at the top") {
  CHECK(depths({"logit_scale", "text_model.embeddings.token_embedding.weight",
                "text_model.encoder.layers.0.mlp.fc1.weight", "text_model.final_layer_norm.weight",
                "vision_model.embeddings.class_embedding", "vision_model.pre_layrnorm.weight",
                "vision_model.encoder.layers.0.mlp.fc1.weight",
                "vision_model.encoder.layers.2.mlp.fc1.weight", "vision_model.post_layernorm.bias",
                "visual_projection.weight"}) == Depths{0, 2, 1, 0, 4, 4, 3, 1, 0, 0});
}

TEST_CASE("a number inside a block does not count, and no number means no depth") {
  CHECK(depths({"a.embed.weight", "a.layers.0.experts.7.weight", "a.layers.1.experts.0.weight"}) ==
        Depths{3, 2, 1});
  CHECK(depths({"weight", "bias"}) == Depths{0, 0});
  CHECK(depths({}).empty());
}

}  // namespace depth_test
