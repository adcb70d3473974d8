// Codes trained from pictures of few kinds of patches.

#include "tandem/jobs/train_codes.h"

#include <ATen/Parallel.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <torch/nn/module.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <set>
#include <string>

#include "../eval/support.h"
#include "../support/errors.h"
#include "../support/temporary.h"
#include "tandem/models/visual_codes.h"
#include "tandem/tensor/safetensors.h"

namespace train_codes_test {

using namespace tandem;
using namespace tandem::jobs;

namespace {

namespace fs = std::filesystem;

// Four patches of a picture of 2 x 2 pixels: its pixels, 3 numbers each.
struct Pixels final : torch::nn::Module, models::LearnedCodes {
  explicit Pixels(std::int64_t codes) : codes_(codes) {}
  at::Tensor codes(const at::Tensor& pixels) const override { return pixels; }
  std::array<std::int64_t, 2> shape() const override { return {codes_, 3}; }
  at::Tensor patches(const at::Tensor& pixels) const override {
    return pixels.to(at::kFloat).flatten(2).transpose(1, 2);
  }
  void take(const at::Tensor&) override {}
  std::int64_t codes_;
};

class CodedModel final : public eval::AbleModel {
 public:
  explicit CodedModel(std::int64_t codes) {
    root_.register_module("codes", std::make_shared<Pixels>(codes));
  }
  models::Abilities abilities() override { return {}; }
  torch::nn::Module* module() const override { return &root_; }

 private:
  mutable torch::nn::Module root_{};
};

// Pictures of one of eight colours, with a trace of another in one pixel; one cannot be read and
// one sample is a text.
std::shared_ptr<data::Source> pictures(int count, int seed) {
  std::vector<data::Sample> samples;
  Random random{Key(static_cast<std::uint64_t>(seed))};
  for (int i = 0; i < count; ++i) {
    const auto colour = static_cast<int>(random.below(8));
    std::string hex;
    for (int c = 0; c < 3; ++c) hex += (colour >> c & 1) != 0 ? "f0" : "10";
    data::Sample sample =
        eval::coloured(i == 3 ? "broken" : "s" + std::to_string(i), i, hex, {"words"});
    sample.pictures[0].pixels.rgb[random.below(12)] ^= 7;
    if (i == 5) sample.pictures.clear();
    samples.push_back(std::move(sample));
  }
  return std::make_shared<eval::GivenSource>(std::move(samples));
}

struct CodesSetting {
  CodedModel model{8};
  models::Processor processor = eval::colour_processor();
  dist::Mesh mesh{};
  testing::TemporaryDirectory temporary{};
  std::shared_ptr<data::Source> one = pictures(60, 1), two = pictures(40, 2);

  fs::path folder(const std::string& name) const { return temporary.path() / name; }
  fs::path file(const std::string& name) const { return folder(name) / codes_file; }

  CodesJob job(const std::string& name) {
    CodesJob job;
    job.name = name;
    job.model = &model;
    job.processor = &processor;
    job.inputs = {{"one", one}, {"two", two}};
    job.folder = folder(name);
    job.samples = 90;
    job.patches = 3;
    job.batch = 4;
    job.part = 10;  // three batches
    job.threads = 1;
    job.mesh = &mesh;
    job.key = Key(7);
    return job;
  }
};

std::string name_of(const fs::path& path) { return path.filename().string(); }

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(name_of(entry.path()));
  return names;
}

}  // namespace

TEST_CASE("a job finds the kinds of patches that pictures are made of") {
  CodesSetting setting;
  train_codes(setting.job("codes"));
  CHECK(names_in(setting.folder("codes")) == std::set<std::string>{codes_file});
  const at::Tensor centers = models::read_codes(setting.file("codes"));
  REQUIRE(centers.sizes() == at::IntArrayRef({8, 3}));
  std::set<int> colours;
  for (std::int64_t k = 0; k < 8; ++k) {
    int colour = 0;
    for (std::int64_t c = 0; c < 3; ++c) {
      const float value = centers[k][c].item<float>();
      CHECK((value < 0x20 || value > 0xe0));
      if (value > 0xe0) colour |= 1 << c;
    }
    colours.insert(colour);
  }
  CHECK(colours.size() == 8);
  const std::string bytes = testing::bytes_of_file(setting.file("codes"));
  int asked = 0;
  CodesJob again = setting.job("codes");
  again.between = [&] { ++asked; };
  train_codes(again);  // nothing is done twice
  CHECK(asked == 0);
  CHECK(testing::bytes_of_file(setting.file("codes")) == bytes);
}

TEST_CASE("a codes job stopped anywhere goes on and ends in the same bytes, whatever the threads") {
  CodesSetting setting;
  train_codes(setting.job("whole"));
  const std::string bytes = testing::bytes_of_file(setting.file("whole"));
  CodesJob job = setting.job("stopped");
  const int before = at::get_num_threads();
  int stops = 0, within_rounds = 0;
  for (bool done = false; !done;) {
    int left = 2 + stops;  // a part or a round further each time
    job.threads = 1 + stops % 3;
    job.between = [&] {
      if (--left < 0) throw std::runtime_error("stopped");
    };
    at::set_num_threads(1 + stops % 2);
    try {
      train_codes(job);
      done = true;
    } catch (const std::runtime_error&) {
      ++stops;
      CHECK_FALSE(fs::exists(setting.file("stopped")));
    }
    REQUIRE(stops < 100);
    if (fs::exists(setting.folder("stopped") / "state.safetensors")) {
      ++within_rounds;
      CHECK(names_in(setting.folder("stopped") / "patches").size() == 8);  // 90 pictures by 12
    }
  }
  at::set_num_threads(before);
  CHECK(stops > 8);
  CHECK(within_rounds > 0);
  CHECK(testing::bytes_of_file(setting.file("stopped")) == bytes);
}

TEST_CASE("codes come from as many pictures and patches as asked for, drawn by the key") {
  CodesSetting setting;
  CodesJob job = setting.job("some");
  job.samples = 1000;  // there are 100
  job.patches = 0;     // all four
  job.between = [&] {
    if (fs::exists(job.folder / "patches/000008.safetensors")) throw 1;
  };
  CHECK_THROWS_AS(train_codes(job), int);  // after the last part
  std::int64_t rows = 0;
  for (const auto& entry : fs::directory_iterator(job.folder / "patches")) {
    rows += load_safetensors(entry.path()).tensors.at("rows").size(0);
  }
  CHECK(rows == 400);
  const auto first_rows = [&](const std::string& name, Key key) {
    CodesJob other = setting.job(name);
    other.key = key;
    other.between = [&] {
      if (fs::exists(other.folder / "patches/000000.safetensors")) throw 1;
    };
    CHECK_THROWS_AS(train_codes(other), int);
    return load_safetensors(other.folder / "patches/000000.safetensors").tensors.at("rows");
  };
  const at::Tensor drawn = first_rows("key", Key(7));
  CHECK(drawn.sizes() == at::IntArrayRef({36, 3}));
  CHECK(at::equal(first_rows("same", Key(7)), drawn));
  CHECK_FALSE(at::equal(first_rows("other", Key(8)), drawn));
}

TEST_CASE("codes that cannot be trained or read are told") {
  CodesSetting setting;
  CodesJob job = setting.job("few");
  CodedModel many(300);
  job.model = &many;
  CHECK_THROWS_WITH(train_codes(job), Catch::Contains("at least as many patches as codes (300)") &&
                                          Catch::Contains("270"));
  eval::ColourModel none;
  job.model = &none;
  CHECK_THROWS_WITH(train_codes(job), Catch::Contains("a model with visual codes"));
  const fs::path path = setting.temporary / "codes.safetensors";
  const models::LearnedCodes* codes = models::learned_codes(setting.model);
  REQUIRE(codes != nullptr);
  save_safetensors(path, {{"centers", at::zeros({9, 3})}});
  CHECK_THROWS_WITH(models::read_codes(path, codes),
                    Catch::Contains("expected 8 codes") && Catch::Contains("[9, 3]"));
  CHECK(models::read_codes(path).size(0) == 9);
  save_safetensors(path, {{"weights", at::zeros({8, 3})}});
  CHECK_THROWS_WITH(models::read_codes(path), Catch::Contains("the tensor centers"));
}

}  // namespace train_codes_test
