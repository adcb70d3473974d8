// The same samples for any number of ranks, over as many steps as a long run has.

#include <ATen/core/Tensor.h>
#include <ATen/ops/full.h>

#include "support.h"
#include "tandem/data/loader.h"

namespace ranks_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::test;

namespace {

constexpr std::int64_t steps = 10'000, global_batch = 4;

// Samples that are their number; every ninetieth cannot be read.
class Cheap final : public Source {
 public:
  explicit Cheap(std::int64_t size) : size_(size) {}
  std::int64_t size() const override { return size_; }
  Sample read(std::int64_t index) const override {
    if (index % 90 == 17) throw Error(ErrorKind::data, "broken", std::to_string(index));
    Sample sample;
    sample.picture_id = index;
    sample.id = std::to_string(index);
    return sample;
  }
  std::string fingerprint() const override { return "cheap"; }

 private:
  std::int64_t size_;
};

Batch keep_nothing(const Sample&, Key, bool) { return {}; }

struct Row {
  std::int64_t position = 0, picture = 0;
  bool operator==(const Row&) const = default;
};

// All rows of the run in global order, put together from the shares of the ranks; bad samples as
// text.
std::vector<Row> rows_of(int world, std::string& bad) {
  std::vector<Row> rows(static_cast<std::size_t>(steps * global_batch));
  std::vector<std::string> told(rows.size());
  const Order order(data_key(11, 0), {{1000, 3}, {77, 1}});
  for (int rank = 0; rank < world; ++rank) {
    LoaderOptions options;
    options.global_batch = global_batch;
    options.micro_batch = global_batch / world;
    options.world_size = world;
    options.rank = rank;
    options.end_position = steps * global_batch;
    Loader loader({std::make_shared<Cheap>(1000), std::make_shared<Cheap>(77)}, order, keep_nothing,
                  options);
    for (std::int64_t step = 0; step < steps; ++step) {
      const StepBatches batches = loader.next();
      REQUIRE(batches.micro_batches.size() == 1);
      const Batch& batch = batches.micro_batches[0];
      const Share share = share_of(step * global_batch, options);
      REQUIRE(batch.size() == share.last - share.first);
      const auto* pictures = batch.picture_ids.const_data_ptr<std::int64_t>();
      for (std::int64_t i = 0; i < batch.size(); ++i) {
        rows[static_cast<std::size_t>(share.first + i)] = {
            batch.positions[static_cast<std::size_t>(i)], pictures[i]};
      }
      for (const BadSample& one : batches.bad) {
        told[static_cast<std::size_t>(one.position)] += one.id + ">" + one.replacement + " ";
      }
    }
  }
  for (const std::string& text : told) bad += text;
  return rows;
}

}  // namespace

TEST_CASE("1, 2 and 4 ranks see the same samples over 10,000 steps") {
  std::string bad;
  const std::vector<Row> alone = rows_of(1, bad);
  for (std::size_t i = 0; i < alone.size(); ++i) {
    if (alone[i].position != static_cast<std::int64_t>(i)) {
      FAIL("position " << alone[i].position << " stands at " << i);
    }
  }
  CHECK(contains(bad, ">"));
  for (const int world : {2, 4}) {
    std::string its_bad;
    const bool same = rows_of(world, its_bad) == alone;
    CHECK(same);
    CHECK(its_bad == bad);
  }
}

}  // namespace ranks_test
