#include "tandem/data/loader.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/full.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <iterator>
#include <mutex>
#include <thread>
#include <utility>

#include "data/first_fit.h"
#include "tandem/base/error.h"
#include "tandem/data/others.h"
#include "tandem/tensor/pack.h"

namespace tandem::data {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void check(const LoaderOptions& o, std::size_t sources) {
  const auto refuse = [](const std::string& text) {
    throw Error(ErrorKind::config, "[loader] " + text);
  };
  if (sources == 0) refuse("expected a source; got none");
  if (o.global_batch < 1 || o.micro_batch < 1 || o.threads < 1 || o.steps_ahead < 1) {
    refuse("expected a batch, a micro-batch, threads and steps ahead of at least 1");
  }
  if (o.max_tokens < 0) refuse("expected a budget of tokens, or 0; got one below");
  if (o.others < 0) refuse("expected a number of other texts, or 0; got one below");
  if (o.world_size < 1 || o.rank < 0 || o.rank >= o.world_size) {
    refuse("expected a rank in [0, " + std::to_string(o.world_size) + "); got " +
           std::to_string(o.rank));
  }
  if (o.global_batch % o.world_size != 0) {
    refuse("expected a batch that " + std::to_string(o.world_size) + " ranks divide; got " +
           std::to_string(o.global_batch));
  }
}

// Places of the texts that are learned, and how many of them are no tokens.
Filling filling_of(const Batch& batch) {
  Filling filling;
  for (const auto* text : {&batch.text, &batch.rejected}) {
    if (!*text || !(*text)->labels.defined() || !(*text)->mask.defined()) continue;
    const std::int64_t places = (*text)->ids.numel();
    const auto tokens = (*text)->mask.ne(0).sum().item<std::int64_t>();
    filling.tokens += tokens;
    filling.padding += places - tokens;
  }
  return filling;
}

}  // namespace

Share share_of(std::int64_t batch_start, const LoaderOptions& o) {
  const std::int64_t share = o.global_batch / o.world_size;
  return {batch_start + o.rank * share, batch_start + (o.rank + 1) * share};
}

struct Loader::State {
  // One step in the making. Guarded by the loader's mutex, but for the examples that a thread has
  // claimed: each slot has one writer, and the thread that completes a run collates it. A run is
  // what becomes batches together: a micro-batch, or the share that is cut into packs.
  struct Step {
    std::int64_t first = 0;  // position of this rank's first sample
    std::int64_t step = 0;
    std::vector<Batch> examples{};
    std::vector<std::int64_t> missing{};  // by run: samples still in work
    std::vector<std::vector<Batch>> made{};
    std::int64_t runs_left = 0;
    std::int64_t in_work = 0;
    std::int64_t claimed = 0;
    std::int64_t bytes = 0;
    std::vector<BadSample> bad{};
    std::exception_ptr failure{};
    std::int64_t failed_slot = 0;
    Waits spent{};
    Filling filling{};

    bool ready() const { return failure ? in_work == 0 : runs_left == 0; }
  };

  std::vector<std::shared_ptr<const Source>> sources;
  Order order;
  Prepare prepare;
  LoaderOptions options;
  std::int64_t share = 0, run_length = 0;

  mutable std::mutex mutex{};
  std::condition_variable work{}, done{};
  std::deque<std::shared_ptr<Step>> steps{};  // from the one that next() gives
  std::int64_t next_start;                    // of the first step that is not in `steps`
  std::int64_t held = 0, peak = 0, largest = 0, in_work = 0;
  bool stop = false, failed = false;
  std::vector<std::thread> threads{};

  State(std::vector<std::shared_ptr<const Source>> s, Order o, Prepare p, LoaderOptions l)
      : sources(std::move(s)),
        order(std::move(o)),
        prepare(std::move(p)),
        options(l),
        share(l.global_batch / l.world_size),
        run_length(l.max_tokens > 0 ? share : l.micro_batch),
        next_start(l.start_position) {}

  struct Claim {
    std::shared_ptr<Step> step{};
    std::int64_t slot = 0;
  };

  // With the mutex held: the next sample in order, or none when the budget or the window is full.
  Claim claim() {
    if (failed) return {};
    const bool open_step = !steps.empty() && steps.back()->claimed < share;
    if (!open_step && (next_start >= options.end_position ||
                       static_cast<std::int64_t>(steps.size()) >= options.steps_ahead)) {
      return {};
    }
    const bool is_head = steps.empty() || (open_step && steps.size() == 1);
    // What is in work will be about as large as the largest so far.
    if (!is_head && held + (in_work + 1) * largest > options.memory) return {};
    if (!open_step) begin_step();
    Step& step = *steps.back();
    ++step.in_work;
    ++in_work;
    return {steps.back(), step.claimed++};
  }

  void begin_step() {
    auto step = std::make_shared<Step>();
    step->first = share_of(next_start, options).first;
    step->step = next_start / options.global_batch;
    step->examples.resize(static_cast<std::size_t>(share));
    for (std::int64_t begin = 0; begin < share; begin += run_length) {
      step->missing.push_back(std::min(run_length, share - begin));
    }
    step->made.resize(step->missing.size());
    step->runs_left = static_cast<std::int64_t>(step->missing.size());
    next_start += options.global_batch;
    steps.push_back(std::move(step));
  }

  Batch read_and_prepare(const Place& place, std::int64_t position, std::string& id,
                         Waits& spent) const {
    auto start = Clock::now();
    const Source& source = *sources[static_cast<std::size_t>(place.source)];
    const Key key = sample_key(order.key(), position);
    Sample sample = source.read(place.index);
    id = sample.id;
    sample.others = texts_of_others(source, sample, options.others, key.fold("others"));
    spent.read += seconds_since(start);
    if (sources.size() > 1) {  // numbers of pictures are a source's own
      sample.picture_id =
          static_cast<std::int64_t>(Key(static_cast<std::uint64_t>(place.source))
                                        .fold(static_cast<std::uint64_t>(sample.picture_id))
                                        .bits() >>
                                    1);
    }
    start = Clock::now();
    Batch example = prepare(sample, key, options.train);
    example.positions = {position};
    if (!example.picture_ids.defined()) {
      example.picture_ids = at::full({1}, sample.picture_id, at::kLong);
    }
    spent.prepare += seconds_since(start);
    if (options.max_tokens > 0) expect_room(example);
    return example;
  }

  // A sample is whole in a pack or is none of it: what is cut might be a picture.
  void expect_room(const Batch& example) const {
    const std::int64_t tokens = packed_length(example);
    if (tokens <= options.max_tokens) return;
    throw Error(ErrorKind::data, "[loader] expected a sample of at most " +
                                     std::to_string(options.max_tokens) + " tokens; got " +
                                     std::to_string(tokens));
  }

  Batch make_example(std::int64_t position, std::vector<BadSample>& bad, Waits& spent) const {
    for (int attempt = -1; attempt < Order::tries; ++attempt) {
      const Place place = attempt < 0 ? order.at(position) : order.replacement(position, attempt);
      std::string id;
      try {
        Batch example = read_and_prepare(place, position, id, spent);
        for (BadSample& one : bad) one.replacement = id;
        return example;
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::data) throw;
        if (id.empty()) id = error.where();
        if (id.empty()) {
          id = "source " + std::to_string(place.source) + ", sample " + std::to_string(place.index);
        }
        bad.push_back({position, id, error.message(), ""});
      }
    }
    throw Error(ErrorKind::data,
                "[loader] expected a good sample among " + std::to_string(Order::tries) +
                    " replacements; got none, last: " + bad.back().reason,
                bad.front().id, "look at the data with `tandem data inspect`");
  }

  // The examples of a run become its batches; they are released.
  std::vector<Batch> collate_run(Step& step, std::size_t run) const {
    const std::int64_t begin = static_cast<std::int64_t>(run) * run_length;
    const auto first = step.examples.begin() + begin;
    const auto last = step.examples.begin() + std::min(begin + run_length, share);
    std::vector<Batch> examples(std::make_move_iterator(first), std::make_move_iterator(last));
    std::fill(first, last, Batch{});
    std::vector<Batch> batches;
    if (options.max_tokens > 0) {
      batches = packs_of(std::move(examples));
    } else {
      batches.push_back(collate(examples, options.pad_id, options.padding));
    }
    return batches;
  }

  std::vector<Batch> packs_of(std::vector<Batch> examples) const {
    std::vector<std::int64_t> lengths;
    for (const Batch& example : examples) lengths.push_back(packed_length(example));
    std::vector<Batch> packs;
    for (const std::vector<std::int64_t>& places : first_fit(lengths, options.max_tokens)) {
      std::vector<Batch> own;
      for (const std::int64_t place : places) {
        own.push_back(std::move(examples[static_cast<std::size_t>(place)]));
      }
      packs.push_back(pack(std::move(own)));
    }
    return packs;
  }

  // With the mutex released.
  void finish_run(Step& step, std::size_t run, std::vector<Batch>& batches,
                  Filling& filling) const {
    batches = collate_run(step, run);
    for (Batch& batch : batches) {
      const Filling own = filling_of(batch);
      filling.tokens += own.tokens;
      filling.padding += own.padding;
      if (options.pin) batch = pin(std::move(batch));
    }
  }

  void keep_failure(Step& step, std::int64_t slot) {  // in a catch block, with the mutex held
    failed = true;
    if (!step.failure || slot < step.failed_slot) {
      step.failure = std::current_exception();
      step.failed_slot = slot;
    }
  }

  void add_bytes(Step& step, std::int64_t bytes) {
    step.bytes += bytes;
    held += bytes;
    peak = std::max(peak, held);
  }

  void do_sample(std::unique_lock<std::mutex>& lock, const Claim& claim) {
    Step& step = *claim.step;
    const auto slot = static_cast<std::size_t>(claim.slot);
    const auto run = static_cast<std::size_t>(claim.slot / run_length);
    lock.unlock();
    std::vector<BadSample> bad;
    Waits spent;
    try {
      Batch example = make_example(step.first + claim.slot, bad, spent);
      const std::int64_t bytes = bytes_of(example);
      lock.lock();
      step.examples[slot] = std::move(example);
      largest = std::max(largest, bytes);
      add_bytes(step, bytes);
      if (--step.missing[run] == 0) {
        lock.unlock();
        const auto start = Clock::now();
        std::vector<Batch> batches;
        Filling filling;
        finish_run(step, run, batches, filling);
        spent.collate += seconds_since(start);
        lock.lock();
        step.made[run] = std::move(batches);
        step.filling.tokens += filling.tokens;
        step.filling.padding += filling.padding;
        --step.runs_left;
      }
    } catch (...) {
      if (!lock.owns_lock()) lock.lock();
      keep_failure(step, claim.slot);
    }
    step.bad.insert(step.bad.end(), bad.begin(), bad.end());
    step.spent.read += spent.read;
    step.spent.prepare += spent.prepare;
    step.spent.collate += spent.collate;
    --step.in_work;
    --in_work;
    if (step.ready()) done.notify_all();
    work.notify_all();
  }

  void run() {
    std::unique_lock lock(mutex);
    while (!stop) {
      const Claim claimed = claim();
      if (claimed.step) {
        do_sample(lock, claimed);
      } else {
        work.wait(lock);
      }
    }
  }

  void stop_threads() {
    {
      const std::lock_guard lock(mutex);
      stop = true;
    }
    work.notify_all();
    for (std::thread& thread : threads) thread.join();
  }
};

Loader::Loader(std::vector<std::shared_ptr<const Source>> sources, Order order, Prepare prepare,
               LoaderOptions options) {
  check(options, sources.size());
  state_ =
      std::make_unique<State>(std::move(sources), std::move(order), std::move(prepare), options);
  try {
    for (int i = 0; i < options.threads; ++i) {
      state_->threads.emplace_back([state = state_.get()] { state->run(); });
    }
  } catch (...) {  // no more threads to be had: those that started must end first
    state_->stop_threads();
    throw;
  }
}

Loader::~Loader() { state_->stop_threads(); }

StepBatches Loader::next() {
  State& state = *state_;
  std::unique_lock lock(state.mutex);
  TANDEM_CHECK(!state.steps.empty() || state.next_start < state.options.end_position,
               "[loader] next() after the last step");
  const auto start = Clock::now();
  state.done.wait(lock, [&] { return !state.steps.empty() && state.steps.front()->ready(); });
  const std::shared_ptr<State::Step> step = state.steps.front();
  if (step->failure) std::rethrow_exception(step->failure);
  state.steps.pop_front();
  state.held -= step->bytes;
  state.work.notify_all();
  lock.unlock();

  StepBatches out;
  out.step = step->step;
  for (std::vector<Batch>& run : step->made) {
    std::move(run.begin(), run.end(), std::back_inserter(out.micro_batches));
  }
  out.filling = step->filling;
  out.bad = std::move(step->bad);
  std::stable_sort(out.bad.begin(), out.bad.end(),
                   [](const BadSample& a, const BadSample& b) { return a.position < b.position; });
  out.wait.total = seconds_since(start);
  const Waits& spent = step->spent;
  const double sum = spent.read + spent.prepare + spent.collate;
  if (sum > 0) {
    out.wait.read = out.wait.total * spent.read / sum;
    out.wait.prepare = out.wait.total * spent.prepare / sum;
    out.wait.collate = out.wait.total * spent.collate / sum;
  }
  return out;
}

std::int64_t Loader::bytes_held() const {
  const std::lock_guard lock(state_->mutex);
  return state_->held;
}

std::int64_t Loader::bytes_peak() const {
  const std::lock_guard lock(state_->mutex);
  return state_->peak;
}

}  // namespace tandem::data
