// The loop of a stage, on a page: read, agree, forward and backward, update, report, evaluate,
// save.

#include <ATen/core/Tensor.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <chrono>

#include "tandem/base/error.h"
#include "tandem/base/log.h"
#include "tandem/data/loader.h"
#include "tandem/models/keeps_files.h"
#include "tandem/train/rules.h"
#include "tandem/train/schedule.h"
#include "train/adapters.h"
#include "train/filling.h"
#include "train/kept_features.h"
#include "train/late.h"
#include "train/records.h"
#include "train/session.h"
#include "train/signals.h"
#include "train/step.h"
#include "train/telling.h"

namespace tandem::train {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Of a clock that does not jump.
double clock_seconds() { return seconds_since(Clock::time_point()); }

data::LoaderOptions loader_options(const Session& session, const config::StageConfig& stage,
                                   std::int64_t total) {
  data::LoaderOptions options;
  options.global_batch = stage.data.batch;
  options.world_size = session.options.mesh->size();
  options.rank = session.options.mesh->rank();
  options.micro_batch = config::micro_batch_of(stage.data, options.world_size);
  options.max_tokens = stage.data.max_tokens;
  options.threads = static_cast<int>(session.config.loader.threads);
  options.memory = session.config.loader.memory;
  options.start_position = session.cursor.stage_step * stage.data.batch;
  options.end_position = total * stage.data.batch;
  options.pad_id = session.parts.processor.pad_id;
  options.others = session.parts.processor.others;
  options.pin = session.options.device.is_cuda();
  return options;
}

// One all-reduce a step: has any rank seen a signal, and what are the sums over the ranks.
struct Agreement {
  int signal = 0;
  std::int64_t bad = 0;  // samples
  StepFilling filling{};
};
Agreement agree(const dist::Mesh& mesh, const data::StepBatches& batches) {
  at::Tensor flags = at::zeros({6}, at::kLong);
  auto* values = flags.mutable_data_ptr<std::int64_t>();
  const int seen = signal_seen();
  values[0] = seen == 0 ? 0 : 1;
  values[1] = seen;
  values[2] = static_cast<std::int64_t>(batches.bad.size());
  values[3] = batches.filling.tokens;
  values[4] = batches.filling.padding;
  values[5] = static_cast<std::int64_t>(batches.micro_batches.size());
  dist::all_reduce_sum(mesh, flags);
  values = flags.mutable_data_ptr<std::int64_t>();
  // Ranks may have seen different ones: the mean of SIGINT and SIGTERM is neither.
  const int signal = values[0] == 0 ? 0
                     : seen != 0    ? seen
                                    : static_cast<int>(values[1] / values[0]);
  if (signal != 0) pretend_signal(signal);
  return {signal, values[2], {values[3], values[4], values[5]}};
}

class StageLoop {
 public:
  StageLoop(Session& session, const config::StageConfig& stage)
      : session_(session),
        stage_(stage),
        data_(stage_data(session.config, static_cast<std::size_t>(session.cursor.stage),
                         session.sources)),
        total_(total_steps(stage, data_.order.epoch_size())),
        key_(Key(static_cast<std::uint64_t>(session.config.seed))
                 .fold("train")
                 .fold(static_cast<std::uint64_t>(session.cursor.stage))),
        progress_(!session.leads()),
        chance_(chance_levels(*session.parts.model, stage, session.options.mesh->size())),
        watch_(chance_, stage.optimizer.warmup, report::chance_window(total_)),
        lane_(session.options.device) {
    const bool begins = session.cursor.stage_step == 0;
    if (begins) begin_adapters(session);
    NamedTensors parameters = session.parts.model->parameters();
    const auto resolved = resolve_rules(stage, parameters);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      parameters[i].second.set_requires_grad(resolved[i].trained);
    }
    if (begins) {
      log_info("stage " + stage.name + ": " + std::to_string(total_) + " steps of " +
               std::to_string(stage.data.batch) + " samples\n" + rules_table(stage, resolved));
      tell_learned(session, data_);
    }
    tell_stage(session, stage, data_, total_, chance_);
    kept_ = keep_features(session, stage);
    optimizer_.emplace(stage.optimizer, resolved, parameters);
    if (!session.optimizer_state.empty()) optimizer_->load(session.optimizer_state);
    session.optimizer_state.clear();
    session.ema.reset();
    const config::EmaConfig& ema = config::ema_of(session.config, stage);
    if (ema.decay > 0) session.ema = std::make_unique<Ema>(ema, resolved, parameters);
    if (session.ema && !session.ema_state.empty()) session.ema->load(session.ema_state);
    session.ema_state.clear();
    sync_.emplace(*session.options.mesh, optimizer_->parameters());
    settings_.request = loss_request(stage);
    settings_.mesh = session.options.mesh;
    settings_.lane = &lane_;
    settings_.device = session.options.device;
    settings_.bf16 = session.config.precision == "bf16";
    settings_.recompute = session.config.recompute;
    if (!begins && session.cursor.broken_in_row > 0) {
      settings_.broken = at::ones({}, at::TensorOptions().device(settings_.device));
    }
  }

  int run() {
    data::Loader loader(data_.sources, data_.order, session_.parts.processor.prepare,
                        loader_options(session_, stage_, total_));
    session_.parts.model->train(true);
    models::keep_in(*session_.parts.model, session_.options.directory / "kept");
    pace_.start(clock_seconds());
    first_step_ = session_.cursor.stage_step;
    const std::int64_t limit = session_.options.stop_after;
    if (!session_.cursor.unfinished_row.empty()) {
      report::Row row = row_of(session_.cursor.unfinished_row);
      session_.saved_step = -1;  // that checkpoint still says that a row is missing
      if (const int code = evaluate_now(std::move(row))) return leave(code);
      finish_step();
    }
    while (session_.cursor.stage_step < total_ && !session_.cursor.ended) {
      if (limit > 0 && session_.cursor.step >= limit) {
        return leave(exit_code(ErrorKind::interrupted));
      }
      if (session_.saver) session_.saver->check();
      const auto step_start = Clock::now();
      const data::StepBatches batches = loader.next();
      const Agreement agreement = agree(*session_.options.mesh, batches);
      if (agreement.signal != 0) return leave(128 + agreement.signal);
      record_bad(session_, batches, agreement.bad,
                 (session_.cursor.stage_step + 1) * stage_.data.batch);
      one_step(batches, agreement.filling, step_start);
      if (evaluates()) {
        if (const int code = evaluate_now(take_row())) return leave(code);
      }
      finish_step();
    }
    settle();
    progress_.finish();
    const std::string filling = filling_line(stage_, filled_);
    if (session_.leads() && !filling.empty()) log_info(filling);
    if (session_.leads() && kept_ != nullptr) log_info(kept_line(*kept_));
    session_.cursor.ends.emplace_back(stage_.name, session_.cursor.step);
    save(session_, *optimizer_);
    return 0;
  }

 private:
  int leave(int code) {
    settle();
    progress_.finish();
    save(session_, *optimizer_);
    return code;
  }

  // A step whose numbers are still on their way from the device.
  struct Pending {
    report::Row row{};
    std::vector<std::string> names{};
    LateNumbers numbers;
    std::vector<std::int64_t> positions{};
    data::Waits wait{};
  };

  void one_step(const data::StepBatches& batches, const StepFilling& filling,
                Clock::time_point step_start) {
    Cursor& cursor = session_.cursor;
    const double lr = learning_rate(stage_.optimizer, cursor.stage_step, total_);
    const Key key = key_.fold(static_cast<std::uint64_t>(cursor.stage_step));
    const StepLosses losses = forward_backward(*session_.parts.model, batches.micro_batches,
                                               settings_, *sync_, key, cursor.stage_step);
    const Optimizer::Norm norm = optimizer_->step(lr, losses.front().second);
    optimizer_->zero_grad();
    models::StepContext ctx;
    ctx.step = cursor.stage_step;
    ctx.key = key;
    ctx.mesh = session_.options.mesh;
    ctx.broken = norm.broken;
    session_.parts.model->after_step(ctx);
    settings_.broken = norm.broken;
    if (session_.ema) session_.ema->update(cursor.stage_step, norm.broken);
    ++cursor.step;
    ++cursor.stage_step;

    std::vector<at::Tensor> numbers;
    std::vector<std::string> names;
    for (const auto& [name, value] : losses) {
      names.push_back(name);
      numbers.push_back(value);
    }
    numbers.insert(numbers.end(), {norm.norm, norm.broken});
    Pending pending{.numbers = LateNumbers(numbers), .wait = batches.wait};
    pending.names = std::move(names);
    pending.row = {.step = cursor.step, .stage = stage_.name};
    pending.row.values = {{"lr", lr},
                          {"samples", static_cast<double>(cursor.stage_step * stage_.data.batch)},
                          {"time.step", seconds_since(step_start)},
                          {"time.wait", batches.wait.total},
                          {"time.wait.read", batches.wait.read},
                          {"time.wait.prepare", batches.wait.prepare},
                          {"time.wait.collate", batches.wait.collate}};
    filled_ += filling;
    for (auto& one : numbers_of(filling)) pending.row.values.push_back(std::move(one));
    const std::int64_t done = cursor.stage_step * stage_.data.batch;
    for (auto& seen : seen_of(data_, done - stage_.data.batch, done)) {
      pending.row.values.push_back(std::move(seen));
    }
    for (const Batch& batch : batches.micro_batches) {
      pending.positions.insert(pending.positions.end(), batch.positions.begin(),
                               batch.positions.end());
    }
    settle();
    pending_.emplace(std::move(pending));
  }

  // Writes the row of the step that is pending. On a GPU that is the step before the one that was
  // just launched, so that the host never waits for the device.
  void settle() {
    if (pending_) write(take_row());
  }

  report::Row take_row() {
    Pending pending = std::move(*pending_);
    pending_.reset();
    const std::vector<double> numbers = pending.numbers.read();
    report::Row row{.step = pending.row.step, .stage = pending.row.stage};
    for (std::size_t i = 0; i < pending.names.size(); ++i) {
      row.values.emplace_back(pending.names[i], numbers[i]);
    }
    row.values.emplace_back("grad_norm", numbers[pending.names.size()]);
    row.values.insert(row.values.end(), pending.row.values.begin(), pending.row.values.end());
    const bool broken = numbers.back() != 0;
    session_.cursor.broken_in_row = broken ? session_.cursor.broken_in_row + 1 : 0;
    if (broken) record_broken(session_, data_, row.step, pending.positions);
    show(pending, numbers);
    return row;
  }

  void write(const report::Row& row) {
    if (session_.metrics) session_.metrics->add(row);
    stop_when_broken(session_);
  }

  // numbers: those of pending.names, the loss first, its parts behind it as "loss.NAME".
  void show(const Pending& pending, const std::vector<double>& numbers) {
    waits_.total += pending.wait.total;
    waits_.read += pending.wait.read;
    waits_.prepare += pending.wait.prepare;
    waits_.collate += pending.wait.collate;
    report::Progress shown{.stage = stage_.name,
                           .step = session_.cursor.stage_step,
                           .total = total_,
                           .loss = numbers.front(),
                           .lr = pending.row.values.front().second};
    pace_.tell(shown, shown.step - first_step_, stage_.data.batch, waits_.total, clock_seconds());
    shown.waited_for = waits_.read >= std::max(waits_.prepare, waits_.collate) ? "reading"
                       : waits_.prepare >= waits_.collate                      ? "decoding"
                                                                               : "collating";
    for (std::size_t i = 1; i < pending.names.size(); ++i) {
      const std::string name = pending.names[i].substr(std::string("loss.").size());
      const auto level = chance_.find(name);
      shown.losses.push_back({name, numbers[i], level == chance_.end() ? 0 : level->second.value});
      const std::string warning = watch_.add(name, shown.step, numbers[i]);
      if (!warning.empty() && session_.leads()) log_warning(warning);
    }
    progress_.show(shown);
  }

  bool due(std::int64_t every) const {
    return every > 0 && session_.cursor.stage_step % every == 0;
  }

  bool evaluates() const {
    const config::EvalConfig& eval = session_.config.eval;
    return !eval.tasks.empty() && (session_.cursor.stage_step == total_ || due(eval.every));
  }

  // The row of the step carries what was measured after it. 0, or the exit code of a signal: the
  // row then waits in the checkpoint for the evaluation to be made again.
  int evaluate_now(report::Row row) {
    Cursor& cursor = session_.cursor;
    try {
      pace_.stop(clock_seconds());
      const Metrics metrics = evaluate(session_, settings_.request);
      pace_.start(clock_seconds());
      cursor.unfinished_row.clear();
      row.values.insert(row.values.end(), metrics.begin(), metrics.end());
      write(row);
      decide(metrics);
      return 0;
    } catch (const StopAsked& asked) {
      cursor.unfinished_row = report::json_of(row);
      return 128 + asked.signal;
    }
  }

  // Does this stage measure the task that the metric is of?
  bool measures(const std::string& metric, const Metrics& metrics) const {
    const std::string plain = metric.starts_with("ema.") ? metric.substr(4) : metric;
    for (const config::EvalTask& task : session_.config.eval.tasks) {
      const std::string prefix = config::metric_prefix(session_.config, task);
      if (!plain.starts_with(prefix)) continue;
      const auto is_of_it = [&](const auto& one) {
        return one.first.starts_with(prefix) || one.first.starts_with("ema." + prefix);
      };
      return std::any_of(metrics.begin(), metrics.end(), is_of_it);
    }
    return true;
  }

  void decide(const Metrics& metrics) {
    Cursor& cursor = session_.cursor;
    const config::CheckpointConfig& keep = session_.config.checkpoint;
    const bool without_average = keep.best.starts_with("ema.") && session_.ema == nullptr;
    if (!keep.best.empty() && !without_average && measures(keep.best, metrics)) {
      const double value = metric_of(metrics, keep.best, "checkpoint.keep.best");
      const bool less = config::less_is_better(keep.best, keep.mode);
      is_best_ = improve(cursor.best, value, cursor.step, less, 0);
    }
    const config::StopConfig& stop = stage_.stop;
    if (stop.metric.empty() || !out_of_patience(cursor.patience, stop, metrics, cursor.step))
      return;
    cursor.ended = true;
    log_info("stage " + stage_.name + " ends early: " + std::to_string(cursor.patience.without) +
             " evaluations without a better " + stop.metric);
  }

  void finish_step() {
    const Cursor& cursor = session_.cursor;
    const bool ends = cursor.ended || cursor.stage_step == total_;
    const bool saves = !ends && (is_best_ || due(session_.config.checkpoint.every));
    is_best_ = false;
    // On a GPU the row of a step is written while the next one runs.
    if (ends || saves || !settings_.device.is_cuda()) settle();
    if (!saves) return;
    pace_.stop(clock_seconds());
    save(session_, *optimizer_);
    pace_.start(clock_seconds());
  }

  Session& session_;
  const config::StageConfig& stage_;
  StageData data_;
  std::int64_t total_, first_step_ = 0;
  Key key_;
  report::ProgressBar progress_;
  report::ChanceLevels chance_;
  report::ChanceWatch watch_;
  CopyLane lane_;
  std::optional<Pending> pending_{};
  std::shared_ptr<const models::KeptTower> kept_{};  // of a stage with `cache`
  std::optional<Optimizer> optimizer_{};
  std::optional<dist::GradSync> sync_{};
  StepSettings settings_{};
  report::Pace pace_{};
  data::Waits waits_{};
  StepFilling filled_{};  // since the run was started or resumed
  bool is_best_ = false;  // by checkpoint.keep.best, in the evaluation just made
};

}  // namespace

int signal_of_all(const dist::Mesh& mesh) { return agree(mesh, {}).signal; }

int run_stage(Session& session) {
  const config::StageConfig& stage =
      session.config.stages.at(static_cast<std::size_t>(session.cursor.stage));
  if (stage.kind == "job") return run_job_stage(session);
  return StageLoop(session, stage).run();
}

}  // namespace tandem::train
