// A run from its config: open everything, find where it stands, go through the stages.

#include "tandem/train/run.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <sstream>
#include <thread>

#include "tandem/base/error.h"
#include "tandem/base/log.h"
#include "tandem/checkpoint/adapter.h"
#include "tandem/models/weights.h"
#include "train/adapters.h"
#include "train/ended_stages.h"
#include "train/run_directory.h"
#include "train/session.h"
#include "train/signals.h"

namespace tandem::train {
namespace {

int thread_count(const config::RunConfig& config, const RunOptions& options) {
  if (config.threads > 0) return static_cast<int>(config.threads);
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  return std::max(1, cores / std::max(1, options.local_ranks));
}

// The checkpoint that the run goes on from, on rank 0; nothing on the others.
std::optional<checkpoint::State> find_state(Session& session) {
  if (!session.leads()) return {};
  if (session.options.resume == "auto" || session.options.resume == "never") {
    return session.checkpointer->newest_good();
  }
  checkpoint::State state = checkpoint::Checkpointer::load(session.options.resume);
  session.checkpointer->leave_after(state.step);
  return state;
}

// Rank 0's tensors on every rank; `like` says names and shapes.
void share(const dist::Mesh& mesh, const NamedTensors& tensors) {
  const c10::NoGradGuard no_grad;
  for (const auto& [name, tensor] : tensors) {
    at::Tensor whole = tensor.detach();
    dist::broadcast(mesh, whole, 0);
  }
}

// Names and shapes of fp32 tensors as text, and empty tensors from it.
std::string outline_of(const NamedTensors& tensors) {
  std::string outline;
  for (const auto& [name, tensor] : tensors) {
    outline += name;
    for (const std::int64_t size : tensor.sizes()) outline += " " + std::to_string(size);
    outline += "\n";
  }
  return outline;
}

NamedTensors tensors_of(const std::string& outline) {
  NamedTensors tensors;
  std::istringstream lines(outline);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    std::vector<std::int64_t> sizes;
    for (std::int64_t size = 0; words >> size;) sizes.push_back(size);
    tensors.emplace_back(name, at::empty(sizes, at::kFloat));
  }
  return tensors;
}

// Rank 0's tensors as fp32 tensors of every rank, which know nothing of them.
NamedTensors on_all(const dist::Mesh& mesh, const NamedTensors& tensors) {
  const std::string outline = dist::all_gather_text(mesh, outline_of(tensors)).at(0);
  NamedTensors all = mesh.rank() == 0 ? tensors : tensors_of(outline);
  share(mesh, all);
  return all;
}

NamedTensors tensors_in(const checkpoint::State& state, const std::string& name) {
  for (const auto& [file, tensors] : state.more) {
    if (file == name + ".safetensors") return tensors;
  }
  return {};
}

// The base and the adapters, by the model's names.
std::map<std::string, at::Tensor> weights_of(const checkpoint::State& state) {
  std::map<std::string, at::Tensor> weights(state.model.begin(), state.model.end());
  for (const auto& [name, tensor] : tensors_in(state, "adapter_model")) {
    weights[checkpoint::from_peft_name(name)] = tensor;
  }
  return weights;
}

// Puts the session where the newest good checkpoint stands, or at the start of the first stage.
void resume(Session& session) {
  const std::optional<checkpoint::State> state = find_state(session);
  const std::string text =
      dist::all_gather_text(*session.options.mesh, state ? state->json : std::string()).at(0);
  if (!text.empty()) session.cursor = cursor_of(text);
  const bool within = session.cursor.stage_step > 0;
  if (text.empty()) {
    begin_stage(session);
  } else {
    make_stage_model(session);
    session.parts.model->to(session.options.device);
  }
  if (within) attach_stage_adapters(session);
  if (state) models::assign_weights(*session.parts.model, weights_of(*state));
  share(*session.options.mesh, session.parts.model->parameters());
  share(*session.options.mesh, session.parts.model->buffers());
  if (text.empty()) return;
  session.saved_step = session.cursor.step;
  if (within) {
    const NamedTensors none;
    session.optimizer_state = on_all(*session.options.mesh, state ? state->optimizer : none);
    session.ema_state = on_all(*session.options.mesh, state ? tensors_in(*state, "ema") : none);
  }
  log_info("resuming after step " + std::to_string(session.cursor.step));
  const std::string changed = environment_difference(text, session.environment);
  if (!changed.empty()) {
    log_warning("the bits may differ from those of an uninterrupted run: " + changed);
  }
}

// before: what the run's config was until now; empty: there was none.
void tell_what_is_too_late(const Session& session, const std::string& before,
                           const std::string& now) {
  std::vector<std::string> ended;
  for (std::size_t i = 0; i < static_cast<std::size_t>(session.cursor.stage); ++i) {
    ended.push_back(session.config.stages.at(i).name);
  }
  for (const std::string& line : changes_of_ended(before, now, ended)) {
    log_warning(line +
                ": too late, that stage has ended and is not trained again; to go on from "
                "its end, train another run whose stage has `init: RUN@STAGE`");
  }
}

std::size_t stages_wanted(const config::RunConfig& config, const std::string& last) {
  if (last.empty()) return config.stages.size();
  for (std::size_t i = 0; i < config.stages.size(); ++i) {
    if (config.stages[i].name == last) return i + 1;
  }
  std::string known;
  for (const config::StageConfig& stage : config.stages) known += " " + stage.name;
  throw Error(ErrorKind::config, "[run] expected a stage of" + known + "; got '" + last + "'",
              "--stage");
}

// The cursor stands at the end of its stage, and nothing of it is left to do.
bool stage_is_done(const Session& session) {
  const Cursor& cursor = session.cursor;
  if (cursor.stage_step == 0 || !cursor.unfinished_row.empty()) return false;
  return cursor.ended || cursor.stage_step >= stage_steps(session);
}

void next_stage(Cursor& cursor) {
  ++cursor.stage;
  cursor.stage_step = 0;
  cursor.ended = false;
  cursor.patience = {};
}

int run_stages(Session& session, std::size_t wanted) {
  const auto stages = static_cast<std::int64_t>(wanted);
  Cursor& cursor = session.cursor;
  const bool last = cursor.stage + 1 >= stages;
  if (cursor.stage >= stages || (last && stage_is_done(session))) {
    log_info("the run is complete: " + std::to_string(cursor.step) + " steps in " +
             session.options.directory.string());
    return 0;
  }
  if (stage_is_done(session)) {
    session.optimizer_state.clear();
    session.ema_state.clear();
    next_stage(cursor);
    begin_stage(session);
  }
  for (;;) {
    const int code = run_stage(session);
    const bool ends = cursor.stage + 1 == stages;
    if (code != 0 || ends) wait_for_saves(session);
    if (code != 0) {
      log_info("stopped after step " + std::to_string(session.cursor.step) +
               "; the same command goes on");
      return code;
    }
    if (ends) break;
    next_stage(cursor);
    begin_stage(session);
  }
  log_info("done: " + std::to_string(session.cursor.step) + " steps in " +
           session.options.directory.string());
  return 0;
}

}  // namespace

int run(const config::Loaded& loaded, const RunOptions& options) {
  const config::RunConfig& config = loaded.config;
  const std::size_t wanted = stages_wanted(config, options.stage);
  std::optional<RunLock> lock;
  std::string before;
  const bool leads = options.mesh->rank() == 0;
  if (leads) {
    refuse_other_run(loaded, options);
    lock.emplace(options.directory);
    before = run_config_before(options.directory);
    log_to_file(options.directory / "log.txt");
  }
  const int threads = thread_count(config, options);
  at::set_num_threads(threads);
  if (config.deterministic) at::globalContext().setDeterministicAlgorithms(true, false);
  watch_signals();

  Session session{.config = config, .options = options};
  session.environment = environment_of(options, threads);
  session.sources = open_sources(config);
  session.tokenizer = std::make_shared<const text::Tokenizer>(
      make_tokenizer(config, session.sources, options.directory));
  check_stages(config, outlines(config, session.tokenizer, session.sources), session.sources,
               options.mesh->size());
  if (leads) {
    write_run_files(loaded, options, session.environment);
    text::save_tokenizer(*session.tokenizer, options.directory);
    session.checkpointer = std::make_unique<checkpoint::Checkpointer>(
        options.directory / "checkpoints", config.checkpoint.keep,
        [](const std::string& line) { log_info(line); });
    if (config.checkpoint.async) {
      session.saver = std::make_unique<checkpoint::AsyncSaver>(
          *session.checkpointer, [](const checkpoint::State& state) {
            log_info("checkpoint of step " + std::to_string(state.step));
          });
    }
  }
  resume(session);
  if (leads) {
    tell_what_is_too_late(session, before, loaded.resolved);
    // A row that a signal left unfinished is written once its evaluation has been made.
    const std::int64_t rows = session.cursor.step - (session.cursor.unfinished_row.empty() ? 0 : 1);
    session.metrics = std::make_unique<report::Recorder>(
        report::RecorderOptions{.directory = options.directory,
                                .last_step = rows,
                                .csv = config.report.csv,
                                .tensorboard = config.report.tensorboard});
    for (const char* name : {"bad_samples.jsonl", "broken_steps.jsonl"}) {
      report::keep_lines_until(options.directory / name, session.cursor.step);
    }
  }
  return run_stages(session, wanted);
}

}  // namespace tandem::train
