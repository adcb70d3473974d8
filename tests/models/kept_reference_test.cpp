// What a reference says of pairs, kept on disk: in batches, packs and alone the same bits, computed
// once.

#include "models/kept_reference.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <torch/nn/module.h>

#include <catch2/catch.hpp>

#include "../support/temporary.h"
#include "models/llava/batch.h"
#include "models/llava/model.h"
#include "models/qwen2_vl/batch.h"
#include "models/qwen2_vl/model.h"
#include "small_qwen2_vl.h"
#include "support.h"
#include "tandem/models/adapters.h"
#include "tandem/tensor/pack.h"
#include "tandem/text/kinds.h"

namespace kept_reference_test {

using namespace tandem;
using namespace tandem::models;
using tandem::testing::TemporaryDirectory;

namespace {

const LossRequest preferences{.weights = {{"dpo", 1}}};

std::shared_ptr<const text::Tokenizer> words() {
  const std::vector<std::string> lines{"which one is it", "the red circle",
                                       "user assistant system"};
  return std::make_shared<const text::Tokenizer>(text::train_tokenizer("qwen", lines, 320));
}

qwen2_vl::Config small(const text::Tokenizer& tokenizer, const std::string& reference) {
  qwen2_vl::Config config = testing::small_qwen2_vl(qwen2_vl::Version::two_five, tokenizer);
  config.preference.reference = reference;
  config.preference.keep = 20;
  return config;
}

data::Sample pair(int pictures, const std::string& good, const std::string& bad) {
  data::Sample sample;
  text::Turn asks{"user", {}};
  for (int i = 0; i < pictures; ++i) {
    data::Picture shown;
    shown.pixels = vision::make_image(16 + 8 * i, 8 + 8 * pictures);
    for (std::size_t b = 0; b < shown.pixels.rgb.size(); ++b) {
      shown.pixels.rgb[b] = static_cast<std::uint8_t>(b * 7 + static_cast<std::size_t>(i));
    }
    sample.pictures.push_back(shown);
    asks.parts.push_back(text::picture_part(i));
  }
  asks.parts.push_back(text::text_part("which one is it"));
  sample.turns = {asks, {"assistant", {text::text_part(good)}}};
  sample.rejected = {{"assistant", {text::text_part(bad)}}};
  sample.prompt_turns = 1;
  return sample;
}

std::vector<Batch> examples(const Processor& processor) {
  std::vector<Batch> all;
  for (const data::Sample& sample :
       {pair(1, "the red circle", "it"), pair(0, "red", "the circle is it"),
        pair(2, "the circle", "which one is red"), pair(1, "it", "one")}) {
    all.push_back(processor.prepare(sample, Key(0), false));
    all.back().positions = {static_cast<std::int64_t>(all.size())};
  }
  return all;
}

// Adapters that say something, alone trained; or the language model.
void make_trained(Model& model, bool adapters) {
  if (adapters) {
    attach_adapters(model, {{"model.layers.1.self_attn.q_proj", 2, 1.0, 0.0}}, Key(1));
  }
  testing::add_noise(model, 0.3);  // not of the copy, which is none of the parameters
  for (const auto& [name, parameter] : model.parameters()) {
    const bool trained = adapters ? adapted_layer(name).has_value()
                                  : name.starts_with("model.") || name.starts_with("lm_head.");
    at::Tensor(parameter).set_requires_grad(trained);
  }
}

// Everything that the reference is made of.
void spoil_reference(Model& model) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : model.buffers()) at::Tensor(tensor).fill_(0.3);
}

at::Tensor loss_of(Model& model, const Batch& batch) {
  return model.losses(batch, preferences, {}).at("dpo").sum.detach();
}

}  // namespace

TEST_CASE("a pair's reference values are computed once, and are those of the batch") {
  const auto tokenizer = words();
  for (const std::string reference : {"copy", "adapters"}) {
    INFO(reference);
    const TemporaryDirectory folder;
    const qwen2_vl::Config config = small(*tokenizer, reference);
    const Processor processor = qwen2_vl::make_processor(config, tokenizer);
    const std::vector<Batch> each = examples(processor);
    const Batch padded = collate(each, processor.pad_id);
    qwen2_vl::Qwen2VlModel model(config, Key(1)), plain(config, Key(1));
    make_trained(model, reference == "adapters");
    make_trained(plain, reference == "adapters");
    models::keep_in(model, folder.path() / "kept");
    const at::Tensor first = loss_of(model, padded);
    CHECK(first.item<double>() == Approx(loss_of(plain, padded).item<double>()).epsilon(1e-5));
    CHECK(first.item<double>() != Approx(4 * std::log(2.0)));
    // One by one there is no other in the batch: the bits are those without.
    for (const Batch& one : each) CHECK(at::equal(loss_of(model, one), loss_of(plain, one)));
    // Now they are read, in another order and in a pack, too.
    const Batch turned = collate({each[3], each[1], each[0], each[2]}, processor.pad_id);
    const at::Tensor fresh = loss_of(plain, turned), packed = loss_of(plain, pack(each));
    if (reference == "copy") spoil_reference(model);
    CHECK(at::equal(loss_of(model, padded), first));
    CHECK(loss_of(model, turned).item<double>() == Approx(fresh.item<double>()).epsilon(1e-5));
    CHECK(loss_of(model, pack(each)).item<double>() == Approx(packed.item<double>()).epsilon(1e-5));
    // The same model of another start finds them; one with another reference does not.
    qwen2_vl::Qwen2VlModel again(config, Key(1)), other(config, Key(2));
    make_trained(again, reference == "adapters");
    make_trained(other, reference == "adapters");
    models::keep_in(again, folder.path() / "kept");
    models::keep_in(other, folder.path() / "kept");
    CHECK(at::equal(loss_of(again, turned), loss_of(model, turned)));
    loss_of(other, padded);
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path() / "kept"),
                        std::filesystem::directory_iterator()) == 2);
  }
}

TEST_CASE("what is kept does not depend on the samples beside it") {
  const auto tokenizer = words();
  const TemporaryDirectory one_folder, other_folder;
  const qwen2_vl::Config config = small(*tokenizer, "copy");
  const Processor processor = qwen2_vl::make_processor(config, tokenizer);
  const std::vector<Batch> each = examples(processor);
  qwen2_vl::Qwen2VlModel model(config, Key(1));
  make_trained(model, false);
  models::keep_in(model, one_folder.path());
  for (const Batch& one : each) loss_of(model, one);
  const at::Tensor warm = loss_of(model, collate(each, processor.pad_id));
  models::keep_in(model, other_folder.path());
  CHECK(at::equal(loss_of(model, collate(each, processor.pad_id)), warm));
  models::keep_in(model, other_folder.path() / "pack");
  const at::Tensor cold = loss_of(model, pack(each));
  models::keep_in(model, one_folder.path());
  CHECK(at::equal(loss_of(model, pack(each)), cold));
}

TEST_CASE("a sample of a batch and of a pack is the sample") {
  const auto tokenizer = words();
  const qwen2_vl::Config config = small(*tokenizer, "copy");
  const Processor processor = qwen2_vl::make_processor(config, tokenizer);
  const std::vector<Batch> each = examples(processor);
  const std::vector<std::int64_t> ends{0, 1, 1, 3, 4};
  for (const Batch& batch : {collate(each, processor.pad_id), pack(each)}) {
    for (std::int64_t i = 0; i < 4; ++i) {
      const Batch one = sample_of(batch, i, ends);
      const Batch& wanted = each[static_cast<std::size_t>(i)];
      CHECK(one.positions == wanted.positions);
      for (const auto which : {&Batch::text, &Batch::rejected}) {
        CHECK(at::equal((one.*which)->ids, (wanted.*which)->ids));
        CHECK(at::equal((one.*which)->labels, (wanted.*which)->labels));
        CHECK(at::equal((one.*which)->positions, (wanted.*which)->positions));
      }
      REQUIRE(one.patches.has_value() == wanted.patches.has_value());
      if (!one.patches) continue;
      CHECK(at::equal(one.patches->patches, wanted.patches->patches));
      CHECK(at::equal(one.patches->grid_thw, wanted.patches->grid_thw));
      CHECK(at::equal(one.patches->cu_seqlens, wanted.patches->cu_seqlens));
    }
  }
}

}  // namespace kept_reference_test
