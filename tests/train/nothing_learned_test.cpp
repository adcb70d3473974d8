// A batch that nothing is learned from stops the run with the reason.

#include <ATen/ops/full.h>

#include <catch2/catch.hpp>
#include <string>

#include "models/llava/config.h"
#include "models/llava/model.h"
#include "tandem/base/error.h"
#include "tandem/dist/mesh.h"
#include "train/step.h"

namespace nothing_learned_test {

using namespace tandem;

namespace {

models::llava::Config small_config() {
  models::llava::Config config;
  config.vision.image_size = 8;
  config.vision.patch_size = 4;
  config.vision.width = 12;
  config.vision.layers = 2;
  config.vision.heads = 2;
  config.language.width = 16;
  config.language.layers = 1;
  config.language.heads = 2;
  config.language.kv_heads = 2;
  config.language.mlp = 20;
  config.language.vocab_size = 40;
  config.language.eos_ids = {2};
  config.image_id = 39;
  return config;
}

// Two texts of six words, of which nobody asks anything.
Batch unsupervised() {
  Batch batch;
  batch.positions = {0, 1};
  Tokens text;
  text.ids = at::full({2, 6}, 7, at::kLong);
  text.mask = at::full({2, 6}, 1, at::kLong);
  text.labels = at::full({2, 6}, -100, at::kLong);
  batch.text = text;
  return batch;
}

}  // namespace

TEST_CASE("a batch without any supervised token is bad data, and the reason is said") {
  const models::llava::LlavaModel model(small_config(), Key(1));
  const dist::Mesh mesh;
  train::StepSettings settings;
  settings.request.weights = {{"lm", 1}};
  settings.mesh = &mesh;
  try {
    train::global_counts(model, {unsupervised(), unsupervised()}, settings);
    FAIL("nothing was said");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::data);
    CHECK(exit_code(error.kind()) == 65);
    CHECK(std::string(error.what())
              .find("[lm] expected something to learn from in the batch; got "
                    "no row or token that this loss counts") != std::string::npos);
  }
  // One learned token among all micro-batches is enough.
  Batch learned = unsupervised();
  learned.text->labels[1][3].fill_(7);
  CHECK(train::global_counts(model, {unsupervised(), learned}, settings).at("lm") == 1);
}

}  // namespace nothing_learned_test
