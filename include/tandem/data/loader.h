#pragma once
// Threads that read, decode and prepare the samples of one rank ahead of the trainer, and hand them
// over in order. What comes out depends on the order, the sources and `prepare` alone, never on
// the number of threads or on time.
//
// Of each global batch, rank r takes the contiguous share [r B/W, (r+1) B/W); its micro-batches are
// consecutive runs of that share (the last one may be shorter), the same number on every rank. With
// max_tokens they are packs instead (tensor/pack.h): a first fit over the share, by length and then
// position. Ranks may then differ in their number, which a step's sums do not mind.
//
// A sample that throws Error(data) in read or prepare is replaced by Order's keyed draws and
// recorded; every other exception, and a sample for which all draws fail, is thrown by next() at
// the step it belongs to.

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "tandem/base/random.h"
#include "tandem/data/order.h"
#include "tandem/data/source.h"
#include "tandem/tensor/batch.h"

namespace tandem::data {

// models::Processor::prepare: a Sample to a Batch of one. Called from several threads at once. The
// loader sets `positions`, and `picture_ids` where it is left undefined.
using Prepare = std::function<Batch(const Sample&, Key, bool train)>;

struct LoaderOptions {
  std::int64_t global_batch = 1, micro_batch = 1;
  // Of a pack, above 0: samples are laid end to end in as few as fit, whatever micro_batch says.
  // One that is longer by itself, or cannot stand in a pack, is bad.
  std::int64_t max_tokens = 0;
  int rank = 0, world_size = 1;
  int threads = 1;
  std::int64_t memory = std::int64_t{512} << 20;  // bytes of prepared samples ahead of the trainer;
                                                  // the step that is asked for is always made
  std::int64_t steps_ahead = 4;
  std::int64_t start_position = 0;  // samples of the stage that are done
  std::int64_t end_position = std::numeric_limits<std::int64_t>::max();
  std::int64_t pad_id = 0;
  Padding padding = Padding::right;
  bool train = true;
  std::int64_t others = 0;  // texts of other pictures that a sample comes with (data/others.h)
  bool pin = false;         // in pinned memory, for copies that do not wait
};

struct BadSample {
  std::int64_t position = 0;
  std::string id{}, reason{};
  std::string replacement{};  // id of the sample that stood in
};

// How long next() waited, split as the threads spent their time on that step.
struct Waits {
  double total = 0, read = 0, prepare = 0, collate = 0;  // seconds
};

// Of texts that have labels: their tokens, and the places beside them that are padding.
struct Filling {
  std::int64_t tokens = 0, padding = 0;
};

struct StepBatches {
  std::int64_t step = 0;  // position of its first sample / global batch
  std::vector<Batch> micro_batches{};
  std::vector<BadSample> bad{};  // of this rank, by position
  Waits wait{};
  Filling filling{};  // of this rank
};

// Positions [first, last) of a rank in the global batch that starts at `batch_start`.
struct Share {
  std::int64_t first = 0, last = 0;
};
Share share_of(std::int64_t batch_start, const LoaderOptions& options);

class Loader {
 public:
  // Sources in the order of Order's parts. Throws Error(config) when the ranks do not divide the
  // global batch or a number is out of range.
  Loader(std::vector<std::shared_ptr<const Source>> sources, Order order, Prepare prepare,
         LoaderOptions options);
  ~Loader();  // stops after the samples in work; nothing is left running
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // The next step, waiting for it. Not past end_position: Error(internal).
  StepBatches next();

  // Bytes of prepared samples held now, and the most there ever were.
  std::int64_t bytes_held() const;
  std::int64_t bytes_peak() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tandem::data
