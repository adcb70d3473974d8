// From a PNG's bytes to normalised patches: those of transformers' image processor, which
// tests/reference/patches.py recorded.

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "models/pass.h"
#include "models/qwen2_vl/batch.h"
#include "models/qwen2_vl/config.h"
#include "tandem/nn/normalize.h"
#include "tandem/tensor/safetensors.h"
#include "tandem/text/kinds.h"

namespace qwen2_vl_patches_test {

using namespace tandem;
using namespace tandem::models;

namespace {

const std::filesystem::path& recorded_folder() {
  static const std::filesystem::path path =
      std::filesystem::path(TANDEM_SOURCE_DIR) / "tests/reference/patches";
  return path;
}

data::Picture png(const std::string& name) {
  std::ifstream file(recorded_folder() / (name + ".png"), std::ios::binary);
  REQUIRE(file);
  data::Picture picture;
  picture.encoded.assign(std::istreambuf_iterator<char>(file), {});
  return picture;
}

// settings: patch, merge, least and most pixels, int64 [4].
qwen2_vl::Config config_from(const at::Tensor& settings, const text::Tokenizer& tokenizer) {
  const auto* numbers = settings.const_data_ptr<std::int64_t>();
  qwen2_vl::Config config(qwen2_vl::Version::two);
  config.vision.patch.patch = numbers[0];
  config.vision.patch.merge = numbers[1];
  config.dialogue.min_pixels = static_cast<double>(numbers[2]);
  config.dialogue.max_pixels = static_cast<double>(numbers[3]);
  qwen2_vl::fit_vocabulary(config, tokenizer);
  return config;
}

}  // namespace

TEST_CASE("Qwen2-VL: patches of pictures equal those of transformers' image processor") {
  const TensorFile file = load_safetensors(recorded_folder() / "reference.safetensors");
  const std::vector<std::string> lines{"You are a helpful assistant.", "what is it", "a picture"};
  const auto tokenizer =
      std::make_shared<const text::Tokenizer>(text::train_tokenizer("qwen", lines, 320));
  for (const std::string name : {"near", "shrunk", "grown", "long", "grey", "released"}) {
    CAPTURE(name);
    const qwen2_vl::Config config = config_from(file.tensors.at(name + ".settings"), *tokenizer);
    data::Sample sample;
    sample.id = name;
    sample.pictures = {png(name)};
    sample.question = "what is it";
    sample.answer = "a picture";
    const Batch batch =
        qwen2_vl::make_processor(config, tokenizer).prepare(sample, Key(1), /*train=*/true);
    REQUIRE(batch.patches);
    CHECK(at::equal(batch.patches->grid_thw[0], file.tensors.at(name + ".grid")));
    const at::Tensor theirs = file.tensors.at(name + ".pixel_values");
    const at::Tensor pixels = batch.patches->patches.view(
        {batch.patches->patches.size(0), 3, -1, config.vision.patch.patch});
    const at::Tensor ours = nn::normalize_pixels(pixels, statistics_of(config.image)).flatten(1);
    REQUIRE(ours.sizes() == theirs.sizes());
    // One level of a pixel would be 0.014: the resized pixels are the same, the rest is rounding.
    CHECK((ours - theirs).abs().max().item<float>() < 1e-5F);
  }
}

}  // namespace qwen2_vl_patches_test
