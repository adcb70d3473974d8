#include "eval/loss.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>

#include <catch2/catch.hpp>
#include <set>

#include "tandem/base/error.h"

namespace loss_test {

using namespace tandem;
using namespace tandem::eval;

namespace {

struct Numbers final : data::Source {
  std::int64_t count;
  explicit Numbers(std::int64_t n) : count(n) {}
  std::int64_t size() const override { return count; }
  std::string fingerprint() const override { return "numbers"; }
  data::Sample read(std::int64_t index) const override {
    data::Sample sample;
    sample.id = std::to_string(index);
    return sample;
  }
};

// Its losses are sums of the ids, and of batches.
struct Adder final : models::Model {
  std::vector<std::vector<std::int64_t>> seen{};

  NamedTensors parameters() const override { return {}; }
  void to(const at::Device&) override {}
  void train(bool) override {}
  std::vector<std::string> losses_known() const override { return {"ids", "batches"}; }
  std::map<std::string, double> counts(const Batch& batch,
                                       const models::LossRequest&) const override {
    return {{"ids", static_cast<double>(batch.text->ids.size(0))}, {"batches", 1.0}};
  }
  LossTerms losses(const Batch& batch, const models::LossRequest&,
                   const models::StepContext& context) override {
    REQUIRE(context.mesh->size() == 1);
    CHECK_FALSE(at::GradMode::is_enabled());
    const at::Tensor ids = batch.text->ids.flatten();
    seen.emplace_back();
    for (std::int64_t i = 0; i < ids.size(0); ++i)
      seen.back().push_back(ids[i].item<std::int64_t>());
    // Models whose batch is on a GPU give no count: counts() has it.
    return {{"ids", {ids.sum().to(at::kFloat), 0}}, {"batches", {at::full({}, 3.0), 0}}};
  }
  models::Abilities abilities() override { return {}; }
  std::map<std::string, at::Tensor> reference_outputs(
      const std::map<std::string, at::Tensor>&) override {
    return {};
  }
};

struct Fixture {
  Adder model{};
  models::Processor processor{};
  dist::Mesh mesh{};
  Input input{};

  explicit Fixture(std::int64_t size) {
    processor.prepare = [](const data::Sample& sample, Key, bool train) {
      if (train) throw std::logic_error("trains");
      if (sample.id == "5") throw Error(ErrorKind::data, "broken", sample.id);
      Batch batch;
      batch.text =
          Tokens{at::full({1, 1}, std::stol(sample.id), at::kLong), at::full({1, 1}, 1, at::kLong)};
      return batch;
    };
    input.model = &model;
    input.processor = &processor;
    input.source = std::make_shared<Numbers>(100);
    input.size = size;
    input.batch = 4;
    input.threads = 2;
    input.mesh = &mesh;
    input.request.weights = {{"ids", 2.0}, {"batches", 0.5}};
  }
};

double of(const Metrics& metrics, const std::string& name) {
  for (const auto& [metric, value] : metrics) {
    if (metric == name) return value;
  }
  FAIL("no " + name);
  return 0;
}

}  // namespace

TEST_CASE("the validation loss is the mean over the samples, each counted once") {
  Fixture f(5);  // one batch of four and one of one
  const Metrics metrics = loss(f.input);
  CHECK(of(metrics, "ids") == (0 + 1 + 2 + 3 + 4) / 5.0);
  CHECK(of(metrics, "batches") == 3.0);
  CHECK(of(metrics, "total") == 2.0 * 2 + 0.5 * 3);
  CHECK(f.model.seen == std::vector<std::vector<std::int64_t>>{{0, 1, 2, 3}, {4}});
}

TEST_CASE("less than a batch is one, and more than the source has is all of it") {
  Fixture few(3);
  CHECK(of(loss(few.input), "ids") == 1.0);
  CHECK(few.model.seen.size() == 1);
  Fixture all(1000);
  loss(all.input);
  CHECK(all.model.seen.size() == 25);
  CHECK(all.model.seen.back() == std::vector<std::int64_t>{96, 97, 98, 99});
}

TEST_CASE("another sample stands in for one that cannot be used") {
  Fixture f(8);
  const double mean = of(loss(f.input), "ids");
  const std::int64_t other = f.model.seen.at(1).at(1);
  CHECK(other != 5);
  CHECK(mean == Approx((28.0 - 5 + static_cast<double>(other)) / 8));
}

TEST_CASE("what is called between the batches may end the evaluation") {
  Fixture f(20);
  int calls = 0;
  f.input.between = [&] {
    if (++calls == 3) throw std::runtime_error("stop");
  };
  CHECK_THROWS_AS(loss(f.input), std::runtime_error);
  CHECK(f.model.seen.size() == 2);
}

TEST_CASE("without losses to measure it is refused") {
  Fixture f(4);
  f.input.request.weights.clear();
  CHECK_THROWS_WITH(loss(f.input), Catch::Contains("losses"));
}

}  // namespace loss_test
