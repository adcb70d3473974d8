// Texts of other pictures beside a sample: what they may be, and that they depend on the position
// in the stage alone.

#include "tandem/data/others.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "support.h"
#include "tandem/data/loader.h"

namespace others_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::test;

namespace {

// Two samples in a row show the same picture, and each has two texts, which are numbers. Sample 9
// cannot be read, 10 has no text.
class Doubles final : public Source {
 public:
  std::int64_t size() const override { return 40; }
  Sample read(std::int64_t index) const override {
    if (index == 9) throw Error(ErrorKind::data, "it cannot be read", "n9");
    Sample sample;
    sample.id = "n" + std::to_string(index);
    sample.picture_id = index / 2;
    if (index != 10) sample.texts = {std::to_string(index), std::to_string(100 + index)};
    return sample;
  }
  std::string fingerprint() const override { return "doubles"; }
};

// Of one picture alone.
class Same final : public Source {
 public:
  std::int64_t size() const override { return 4; }
  Sample read(std::int64_t) const override {
    Sample sample;
    sample.id = "same";
    sample.texts = {"a"};
    return sample;
  }
  std::string fingerprint() const override { return "same"; }
};

Batch prepare(const Sample& sample, Key, bool) {
  Batch example;
  example.text = Tokens{at::full({1, 1}, sample.picture_id, at::kLong)};
  const auto count = static_cast<std::int64_t>(sample.others.size());
  at::Tensor ids = at::empty({count, 1}, at::kLong);
  auto* values = ids.mutable_data_ptr<std::int64_t>();
  for (const std::string& text : sample.others) *values++ = std::stoll(text);
  example.others = Tokens{ids};
  return example;
}

// By position: the sample's picture, then the texts that it came with.
using Seen = std::map<std::int64_t, std::vector<std::int64_t>>;

void run(Seen& seen, std::int64_t micro_batch, int threads, int rank, int ranks) {
  constexpr std::int64_t each = 5, steps = 4;
  LoaderOptions options;
  options.global_batch = 8;
  options.micro_batch = micro_batch;
  options.threads = threads;
  options.rank = rank;
  options.world_size = ranks;
  options.others = each;
  Loader loader({std::make_shared<Doubles>()}, Order(data_key(7, 0), {{.size = 40}}), prepare,
                options);
  for (std::int64_t step = 0; step < steps; ++step) {
    for (const Batch& batch : loader.next().micro_batches) {
      REQUIRE(batch.others->ids.size(0) == each * batch.size());
      const auto* own = batch.text->ids.const_data_ptr<std::int64_t>();
      const auto* others = batch.others->ids.const_data_ptr<std::int64_t>();
      for (const std::int64_t position : batch.positions) {
        std::vector<std::int64_t>& row = seen[position];
        row = {*own++};
        row.insert(row.end(), others, others + each);
        others += each;
      }
    }
  }
}

}  // namespace

TEST_CASE("texts of others are those of the whole source, evenly, of other pictures only") {
  const Doubles source;
  const Sample sample = source.read(12);
  std::map<std::string, int> counts;
  for (const std::string& text : texts_of_others(source, sample, 3400, Key(1))) ++counts[text];
  CHECK(counts.size() == 2 * (40 - 2 - 2));  // neither 12 nor 13, nor what has no text
  for (const char* never : {"9", "10", "12", "13", "109", "110", "112", "113"}) {
    CHECK_FALSE(counts.contains(never));
  }
  for (const auto& [text, count] : counts) {  // 47 each, give or take 7
    CAPTURE(text);
    CHECK(count > 12);
    CHECK(count < 96);
  }
}

TEST_CASE("texts of others follow from the key, and more of them begin with the same") {
  const Doubles source;
  const Sample sample = source.read(0);
  const auto few = texts_of_others(source, sample, 5, Key(1));
  auto more = texts_of_others(source, sample, 15, Key(1));
  more.resize(5);
  CHECK(few == more);
  CHECK(few != texts_of_others(source, sample, 5, Key(2)));
  CHECK(texts_of_others(source, sample, 0, Key(1)).empty());
}

TEST_CASE("a source of one picture has no texts of others, and the error says whose are missing") {
  const Same source;
  CHECK(texts_of_others(source, source.read(0), 0, Key(1)).empty());
  const Error error = error_of([&] { texts_of_others(source, source.read(0), 1, Key(1)); });
  CHECK(error.kind() == ErrorKind::data);
  CHECK(error.where() == "same");
  CHECK_THAT(error.message(), Catch::Contains("texts of other pictures"));
}

TEST_CASE("the loader draws the same texts of others for any threads, ranks and micro-batches") {
  Seen alone, shared;
  run(alone, 8, 1, 0, 1);
  for (const int rank : {0, 1}) run(shared, 3, 3, rank, 2);
  CHECK(alone.size() == 32);
  CHECK(alone == shared);
  std::set<std::vector<std::int64_t>> drawn;
  for (const auto& [position, row] : alone) {
    for (std::size_t i = 1; i < row.size(); ++i) CHECK(row[i] % 100 / 2 != row[0]);
    drawn.insert(std::vector<std::int64_t>(row.begin() + 1, row.end()));
  }
  CHECK(drawn.size() == 32);  // each sample has its own
}

TEST_CASE("a number of other texts below none is refused") {
  LoaderOptions options;
  options.others = -1;
  const Error error = error_of([&] {
    Loader({std::make_shared<Same>()}, Order(data_key(7, 0), {{.size = 4}}), prepare, options);
  });
  CHECK(error.kind() == ErrorKind::config);
}

}  // namespace others_test
