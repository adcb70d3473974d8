// What BLIP-2 writes, against what transformers writes: the fixtures of tests/reference/blip2.py
// and, behind 50 prompts, of blip2_prompts.py.

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/tensor.h>

#include <catch2/catch.hpp>
#include <memory>

#include "../support/fixtures.h"
#include "../support/temporary.h"
#include "models/blip2/model.h"
#include "models/blip2/weights.h"
#include "tandem/models/weights.h"
#include "tandem/tensor/safetensors.h"

namespace blip2_writing_test {

using namespace tandem;
using namespace tandem::models;
using namespace tandem::testing;

namespace {

struct Way {
  std::string name;
  std::int64_t tokens, beams, least;
  double penalty;
};

std::unique_ptr<blip2::Blip2Model> model_of_fixture(const char* name, blip2::Config& config) {
  auto settings = blip2::from_config_json(bytes_of_file(fixture(name) / "config.json"));
  const TensorFile file = load_safetensors(fixture(name) / "model.safetensors");
  blip2::fit_weights(*settings, file.tensors);
  config = dynamic_cast<blip2::Config&>(*settings);
  config.language.eos_id = 7;
  auto model = std::make_unique<blip2::Blip2Model>(config, Key(0));
  assign_weights(*model, blip2::import_weights(file.tensors, config));
  model->train(false);
  return model;
}

// ids without the picture's places, which the queries take.
Batch prompts_of(const at::Tensor& pixels, const at::Tensor& ids, const at::Tensor& mask,
                 const blip2::Config& config) {
  const std::int64_t rows = ids.size(0);
  const at::Tensor words = ids.ne(config.language.image_id);
  Batch prompts;
  prompts.images = Images{pixels, {}};
  prompts.text = Tokens{ids.masked_select(words).view({rows, -1}),
                        mask.masked_select(words).view({rows, -1}),
                        {},
                        {},
                        {}};
  return prompts;
}

GenerateOptions options_of(const Way& way) {
  GenerateOptions options;
  options.max_length = way.tokens;
  options.min_length = way.least;
  options.beams = way.beams;
  options.length_penalty = way.penalty;
  return options;
}

// theirs: filled with padding or the end mark behind each text.
bool writes(const std::vector<std::int64_t>& ours, const at::Tensor& theirs) {
  const at::Tensor own = at::tensor(ours, at::kLong);
  if (own.size(0) > theirs.size(0)) return false;
  const at::Tensor rest = theirs.slice(0, own.size(0));
  return at::equal(own, theirs.narrow(0, 0, own.size(0))) &&
         rest.eq(0).logical_or(rest.eq(7)).all().item<bool>();
}

}  // namespace

TEST_CASE("BLIP-2: greedy and beams write what transformers writes") {
  const std::vector<Way> ways{
      {"greedy", 10, 1, 0, 1}, {"beams", 10, 3, 0, 1}, {"beams_rules", 9, 4, 4, -1}};
  for (const char* name : {"blip2_opt", "blip2_opt_behind", "blip2_t5", "blip2_t5_plain"}) {
    blip2::Config config;
    const auto model = model_of_fixture(name, config);
    const auto recorded = load_safetensors(fixture(name) / "reference.safetensors").tensors;
    const at::Tensor& ids = recorded.at("input.input_ids");
    const bool t5 = config.language.is_t5();
    at::Tensor mask = recorded.at("input.attention_mask");
    if (!t5 && !mask.select(1, mask.size(1) - 1).all().item<bool>()) mask = at::ones_like(mask);
    const Batch prompts = prompts_of(recorded.at("input.pixel_values"), ids, mask, config);
    for (const Way& way : ways) {
      CAPTURE(name, way.name);
      const auto written = model->abilities().generate(prompts, options_of(way));
      const at::Tensor& theirs = recorded.at("extra.generated." + way.name);
      REQUIRE(static_cast<std::int64_t>(written.size()) == ids.size(0));
      for (std::int64_t i = 0; i < ids.size(0); ++i) {
        CHECK(
            writes(written[static_cast<std::size_t>(i)], theirs[i].slice(0, t5 ? 1 : ids.size(1))));
      }
    }
  }
}

TEST_CASE("BLIP-2: behind 50 prompts of several lengths, the tokens of transformers") {
  // tests/reference/blip2_prompts.py
  const std::vector<Way> ways{{"greedy", 12, 1, 0, 1},
                              {"beams", 12, 5, 0, 1},
                              {"caption", 12, 5, 8, 1},
                              {"answer", 10, 5, 1, -1}};
  for (const char* name : {"blip2_opt", "blip2_t5"}) {
    blip2::Config config;
    const auto model = model_of_fixture(name, config);
    const auto recorded = load_safetensors(fixture(name) / "prompts.safetensors").tensors;
    const Batch prompts = prompts_of(recorded.at("pixel_values"), recorded.at("input_ids"),
                                     recorded.at("attention_mask"), config);
    for (const Way& way : ways) {
      CAPTURE(name, way.name);
      const auto written = model->abilities().generate(prompts, options_of(way));
      const at::Tensor& theirs = recorded.at("generated." + way.name);
      REQUIRE(written.size() == 50);
      std::int64_t same = 0;
      for (std::int64_t i = 0; i < 50; ++i) {
        same += writes(written[static_cast<std::size_t>(i)], theirs[i]) ? 1 : 0;
      }
      CHECK(same == 50);
    }
  }
}

}  // namespace blip2_writing_test
