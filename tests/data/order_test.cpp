#include "tandem/data/order.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "data/file.h"
#include "support.h"

namespace order_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::test;
using Mix = Order::Mix;

namespace {

const Key kKey = data_key(7, 0);

// The indices of an epoch of a single source.
std::vector<std::int64_t> indices(const Order& order, std::int64_t from, std::int64_t count) {
  std::vector<std::int64_t> found;
  for (std::int64_t p = from; p < from + count; ++p) found.push_back(order.at(p).index);
  return found;
}

bool is_permutation_of_all(std::vector<std::int64_t> found) {
  std::sort(found.begin(), found.end());
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i] != static_cast<std::int64_t>(i)) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("every epoch of a source holds each sample once, in another order") {
  for (const std::int64_t size : {1, 2, 7, 100, 1000}) {
    const Order order(kKey, {{size, 1}});
    const auto first = indices(order, 0, size), second = indices(order, size, size);
    CHECK(is_permutation_of_all(first));
    CHECK(is_permutation_of_all(second));
    if (size >= 100) CHECK(first != second);
    CHECK(order.epoch_size() == size);
    CHECK(order.at(size - 1).epoch == 0);
    CHECK(order.at(size).epoch == 1);
  }
}

TEST_CASE("without shuffling samples come as they stand") {
  const Order order(kKey, {{5, 1}}, Mix::weights, false);
  CHECK(indices(order, 3, 4) == std::vector<std::int64_t>{3, 4, 0, 1});
}

TEST_CASE("an order depends on seed and stage, and on nothing that was asked before") {
  const Order order(kKey, {{1000, 1}}), other_seed(data_key(8, 0), {{1000, 1}}),
      other_stage(data_key(7, 1), {{1000, 1}});
  const auto base = indices(order, 0, 1000);
  CHECK(base == indices(Order(kKey, {{1000, 1}}), 0, 1000));
  CHECK(base != indices(other_seed, 0, 1000));
  CHECK(base != indices(other_stage, 0, 1000));
  for (std::int64_t p = 999; p >= 0; p -= 37) {
    CHECK(order.at(p).index == base[static_cast<std::size_t>(p)]);
  }
}

TEST_CASE("the first places of an order are pinned: a change would change every run") {
  const Order order(kKey, {{1000, 3}, {50, 1}});
  std::vector<std::int64_t> found;
  for (std::int64_t p = 0; p < 8; ++p) {
    found.push_back(order.at(p).source * 1000 + order.at(p).index);
  }
  CHECK(found == std::vector<std::int64_t>{195, 304, 1019, 347, 904, 215, 1004, 626});
}

TEST_CASE("the first ten thousand places are pinned, for mixes and blocks as well") {
  const auto hash_of = [](const Order& order) {
    std::uint64_t hash = 0;
    for (std::int64_t p = 0; p < 10'000; ++p) {
      const Place place = order.at(p);
      hash = hash64(std::to_string(place.source) + " " + std::to_string(place.index) + " " +
                        std::to_string(place.epoch),
                    hash);
    }
    return hex(hash);
  };
  CHECK(hash_of(Order(kKey, {{4321, 1}})) == "382a7927a06e7a73");
  CHECK(hash_of(Order(kKey, {{4321, 1}, {77, 0.5}, {900, 2}})) == "528d1be035eacdcb");
  CHECK(hash_of(Order(kKey, {{4321, 1}, {77, 1}}, Mix::proportional)) == "38e26db4c39d7ef1");
  CHECK(hash_of(Order(kKey, {{4321, 1}}, Mix::weights, true, 16)) == "5e076ee1786bb12b");
}

TEST_CASE("blocks are shuffled whole and what is left of one comes last") {
  const std::int64_t size = 103, block = 10;
  const Order order(kKey, {{size, 1}}, Mix::weights, true, block);
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    const auto found = indices(order, epoch * size, size);
    CHECK(is_permutation_of_all(found));
    std::vector<std::int64_t> starts;
    for (std::int64_t b = 0; b < size / block; ++b) {
      const std::int64_t start = found[static_cast<std::size_t>(b * block)];
      CHECK(start % block == 0);
      for (std::int64_t i = 0; i < block; ++i) {
        CHECK(found[static_cast<std::size_t>(b * block + i)] == start + i);
      }
      starts.push_back(start);
    }
    CHECK_FALSE(std::is_sorted(starts.begin(), starts.end()));
    for (std::int64_t i = 100; i < 103; ++i) CHECK(found[static_cast<std::size_t>(i)] == i);
  }
  // A block larger than the source leaves it in its order.
  CHECK(indices(Order(kKey, {{5, 1}}, Mix::weights, true, 8), 0, 5) ==
        std::vector<std::int64_t>{0, 1, 2, 3, 4});
}

TEST_CASE("a mix is a fixed pattern that spreads its sources evenly by weight") {
  const Order order(kKey, {{10, 3}, {1000, 1}});
  CHECK(order.pattern().size() == 4);
  CHECK(std::count(order.pattern().begin(), order.pattern().end(), 0) == 3);
  for (std::int64_t p = 0; p < 100; ++p) {
    CHECK(order.at(p).source == order.pattern()[static_cast<std::size_t>(p % 4)]);
  }
  // 0.7 : 0.3 exactly, and never two of the rarer source in a row.
  const Order tenths(kKey, {{10, 0.7}, {10, 0.3}});
  REQUIRE(tenths.pattern().size() == 10);
  for (std::size_t i = 0; i < 10; ++i) {
    CHECK(tenths.pattern()[i] + tenths.pattern()[(i + 1) % 10] <= 1);
  }
  const Order odd(kKey, {{10, 1}, {10, 3.14159265}, {10, 1e-6}});
  std::map<std::int64_t, double> share;
  for (const std::int64_t source : odd.pattern()) {
    share[source] += 1.0 / static_cast<double>(odd.pattern().size());
  }
  CHECK(odd.pattern().size() <= 4100);
  CHECK(share[1] / share[0] == Approx(3.14159265).epsilon(0.01));
  CHECK(share[2] > 0);  // however small, it occurs
}

TEST_CASE("a temperature evens out the sizes of a mix") {
  CHECK(tempered(900, 0) == 1);
  CHECK(tempered(900, 1) == 900);
  const std::vector<std::int64_t> sizes{900, 100};
  const auto share = [&](double temperature) {
    std::vector<MixPart> parts;
    for (const std::int64_t size : sizes) {
      parts.push_back({.size = size, .weight = tempered(size, temperature)});
    }
    const Order order(Key(1), parts);
    std::int64_t first = 0;
    for (std::int64_t i = 0; i < 4096; ++i) first += order.at(i).source == 0;
    return static_cast<double>(first) / 4096;
  };
  CHECK(share(1) == Approx(0.9).margin(0.001));
  CHECK(share(2) == Approx(0.75).margin(0.001));  // 30 to 10
  CHECK(share(1e9) == Approx(0.5).margin(0.001));
}

TEST_CASE("in a mix each source goes through its own epochs") {
  const Order order(kKey, {{6, 2}, {40, 1}});
  std::map<std::int64_t, std::vector<Place>> by_source;
  for (std::int64_t p = 0; p < 120; ++p) by_source[order.at(p).source].push_back(order.at(p));
  REQUIRE(by_source[0].size() == 80);
  for (std::size_t i = 0; i + 6 <= 80; i += 6) {
    std::vector<std::int64_t> epoch;
    for (std::size_t k = i; k < i + 6; ++k) {
      CHECK(by_source[0][k].epoch == static_cast<std::int64_t>(i / 6));
      epoch.push_back(by_source[0][k].index);
    }
    CHECK(is_permutation_of_all(epoch));
  }
  std::vector<std::int64_t> once;
  for (const Place& place : by_source[1]) once.push_back(place.index);
  CHECK(is_permutation_of_all(once));
  CHECK(order.epoch_size() == 120);  // when the 40 were all seen
}

TEST_CASE("a proportional mix is all sources as one") {
  const Order order(kKey, {{30, 1}, {5, 100}, {65, 1}}, Mix::proportional);
  CHECK(order.pattern().empty());
  CHECK(order.epoch_size() == 100);
  for (std::int64_t epoch = 0; epoch < 2; ++epoch) {
    std::map<std::int64_t, std::set<std::int64_t>> seen;
    for (std::int64_t p = 100 * epoch; p < 100 * (epoch + 1); ++p) {
      CHECK(order.at(p).epoch == epoch);
      seen[order.at(p).source].insert(order.at(p).index);
    }
    CHECK(seen[0].size() == 30);
    CHECK(seen[1].size() == 5);
    CHECK(seen[2].size() == 65);
    CHECK(*seen[2].rbegin() == 64);
  }
}

TEST_CASE("a replacement is a keyed draw from the same source") {
  const Order order(kKey, {{500, 1}, {500, 1}});
  std::set<std::int64_t> drawn;
  for (std::int64_t p = 0; p < 50; ++p) {
    for (int attempt = 0; attempt < Order::tries; ++attempt) {
      const Place place = order.replacement(p, attempt);
      CHECK(place.source == order.at(p).source);
      CHECK(place.index >= 0);
      CHECK(place.index < 500);
      CHECK(place == order.replacement(p, attempt));
      drawn.insert(place.index);
    }
  }
  CHECK(drawn.size() > 200);
}

TEST_CASE("what no order can be made of is refused") {
  const auto kind_of = [](std::vector<MixPart> parts, std::int64_t block = 1) {
    return error_of([&] { Order(kKey, parts, Mix::weights, true, block); }).kind();
  };
  CHECK(kind_of({}) == ErrorKind::config);
  CHECK(kind_of({{0, 1}}) == ErrorKind::data);
  CHECK(kind_of({{5, 0}}) == ErrorKind::config);
  CHECK(kind_of({{5, 1}, {5, -1}}) == ErrorKind::config);
  CHECK(kind_of({{5, std::numeric_limits<double>::quiet_NaN()}}) == ErrorKind::config);
  CHECK(kind_of({{5, std::numeric_limits<double>::infinity()}}) == ErrorKind::config);
  CHECK(kind_of({{5, 1}}, 0) == ErrorKind::config);
  CHECK(error_of([] { Order(kKey, {{5, 1}}).at(-1); }).kind() == ErrorKind::internal);
}

}  // namespace order_test
