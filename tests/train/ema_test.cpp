#include "tandem/train/ema.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <catch2/catch.hpp>

#include "tandem/base/error.h"

namespace ema_test {

using namespace tandem;
using namespace tandem::train;

namespace {

struct Fixture {
  NamedTensors parameters{{"w", at::full({2, 2}, 1.0).set_requires_grad(true)},
                          {"frozen", at::full({2}, 7.0)}};
  std::vector<ResolvedParameter> resolved{{.name = "w", .elements = 4, .rule = 0, .trained = true},
                                          {.name = "frozen", .elements = 2}};

  Ema ema(config::EmaConfig config) { return Ema(config, resolved, parameters); }
  void set(double value) { parameters[0].second.detach().fill_(value); }
};

const at::Tensor fine = at::zeros({}), broken = at::full({}, 1.0);

double value(const Ema& ema) { return ema.state().at(0).second.flatten()[0].item<double>(); }

}  // namespace

TEST_CASE("the average follows its formula, from the weights at the start") {
  Fixture f;
  Ema ema = f.ema({.decay = 0.9});
  REQUIRE(ema.state().size() == 1);  // nothing for what is frozen
  CHECK(value(ema) == 1.0);
  double expected = 1;
  for (int step = 0; step < 5; ++step) {
    f.set(step);
    ema.update(step, fine);
    expected = 0.9 * expected + 0.1 * step;
    CHECK(value(ema) == Approx(expected).epsilon(1e-6));
  }
}

TEST_CASE("with warm-up the decay is (1 + n) / (10 + n) until it is the wanted one") {
  Fixture f;
  Ema ema = f.ema({.decay = 0.3, .warmup = true});
  double expected = 1;
  for (int n = 0; n < 6; ++n) {
    f.set(10 + n);
    ema.update(n, fine);
    const double decay = std::min(0.3, (1.0 + n) / (10.0 + n));
    expected = decay * expected + (1 - decay) * (10 + n);
    CHECK(value(ema) == Approx(expected).epsilon(1e-6));
  }
}

TEST_CASE("a step that changed nothing leaves the average in every bit") {
  Fixture f;
  Ema ema = f.ema({.decay = 0.9});
  f.set(1.0 / 3);
  ema.update(0, fine);
  const at::Tensor before = ema.state()[0].second.clone();
  ema.update(1, broken);
  CHECK(ema.state()[0].second.equal(before));
}

TEST_CASE("weights and averages are exchanged and given back in every bit") {
  Fixture f;
  Ema ema = f.ema({.decay = 0.9});
  f.set(0.1);
  ema.update(0, fine);
  const at::Tensor weight = f.parameters[0].second.detach().clone();
  const at::Tensor average = ema.state()[0].second.clone();
  {
    const Averaged averaged(&ema);
    CHECK(f.parameters[0].second.equal(average));
  }
  CHECK(f.parameters[0].second.equal(weight));
  CHECK(ema.state()[0].second.equal(average));
  const Averaged none(nullptr);
  CHECK(f.parameters[0].second.equal(weight));
}

TEST_CASE(
    "a saved average goes on in the same bits, and one that does not fit is refused by name") {
  Fixture f, g;
  Ema a = f.ema({.decay = 0.9}), b = g.ema({.decay = 0.9});
  f.set(0.3);
  g.set(0.3);
  a.update(0, fine);
  b.load(a.state());
  a.update(1, fine);
  b.update(1, fine);
  CHECK(a.state()[0].second.equal(b.state()[0].second));
  CHECK_THROWS_WITH(b.load({}), Catch::Contains("w"));
  CHECK_THROWS_WITH(b.load({{"w", at::zeros({3})}}), Catch::Contains("w"));
  CHECK_THROWS_WITH(b.load({{"w", at::zeros({2, 2})}, {"x", at::zeros({1})}}),
                    Catch::Contains("x"));
}

}  // namespace ema_test
