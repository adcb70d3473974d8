#pragma once
// What a run holds while it goes: everything that a stage needs and everything that a checkpoint
// saves.

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tandem/checkpoint/async_saver.h"
#include "tandem/checkpoint/checkpoint.h"
#include "tandem/report/progress.h"
#include "tandem/report/recorder.h"
#include "tandem/train/ema.h"
#include "tandem/train/experiment.h"
#include "tandem/train/optimizer.h"
#include "tandem/train/run.h"
#include "train/stopping.h"

namespace tandem::train {

// Where a run stands; state.json of a checkpoint.
struct Cursor {
  std::int64_t step = 0;           // over the whole run
  std::int64_t stage = 0;          // index
  std::int64_t stage_step = 0;     // steps of the stage that are done
  std::int64_t bad = 0;            // bad samples so far
  std::int64_t broken_in_row = 0;  // steps in a row whose loss or gradient was not finite
  bool ended = false;              // the stage ended early
  Patience patience{};             // of the stage's early stopping
  Best best{};                     // by checkpoint.keep.best
  // The stages that have ended, and the steps of the run at which they did.
  std::vector<std::pair<std::string, std::int64_t>> ends{};
  // The row of the last step, where a signal came during the evaluation that belongs to it: the
  // evaluation is made again. Empty: there is none.
  std::string unfinished_row{};
};
std::string json_of(const Cursor& cursor, const std::string& environment);
Cursor cursor_of(const std::string& json);
// The threads, ranks, processor and build that the bits depend on, as JSON.
std::string environment_of(const RunOptions& options, int threads);
// What changed between two environments, for a warning; empty: nothing.
std::string environment_difference(const std::string& json, const std::string& environment);

struct Session {
  const config::RunConfig& config;
  const RunOptions& options;
  SourceMap sources{};
  std::shared_ptr<const text::Tokenizer> tokenizer{};
  Parts parts{};  // of the cursor's stage
  Cursor cursor{};
  NamedTensors optimizer_state{}, ema_state{};  // of a checkpoint within a stage; else empty
  std::vector<models::Adapter> adapters{};      // that are attached to the model
  std::unique_ptr<Ema> ema{};                   // of the stage that was begun last
  std::string environment{};
  // Only on rank 0.
  std::unique_ptr<checkpoint::Checkpointer> checkpointer{};
  std::unique_ptr<checkpoint::AsyncSaver>
      saver{};  // where checkpoints are written in the background
  std::unique_ptr<report::Recorder> metrics{};
  std::vector<std::pair<std::string, std::string>> model_files{};  // config.json, tokenizer.json

  std::int64_t saved_step = -1;  // of the last commit

  bool leads() const { return options.mesh->rank() == 0; }
};

// Commits where the session stands, unless it is the last commit already. With checkpoint.async it
// returns when the copy is private; wait_for_saves() says when it is durable. All ranks call it.
void save(Session& session, const Optimizer& optimizer);
void wait_for_saves(Session& session);

// Steps of the stage of the cursor.
std::int64_t stage_steps(const Session& session);

// Where weights of a stage stand, of this run or of another (`init`). Throws Error(config).
std::filesystem::path end_of_stage(const std::filesystem::path& run, const std::string& stage);

// Makes the model of the cursor's stage, without weights.
void make_stage_model(Session& session);
// The weights that a stage begins with where it does not go on with the model as it stands: those
// of the stage before, of `init`, or of model.pretrained.
void begin_stage(Session& session);

// From session.cursor.stage_step to the end of the stage, which is committed. 0, or the exit code
// of what stopped it (RunOptions).
int run_stage(Session& session);

// The same of a stage of `kind: job`, which changes no weights: its folder says where it stands.
int run_job_stage(Session& session);
// Results of job stages that are done, among the session's sources under the names of their stages.
void open_results(Session& session);
// The codes that the cursor's stage names, if it does, into its model. Throws Error(data).
void take_stage_codes(Session& session);

// Has any rank seen a signal? The same answer on all of them, which all call it. 0: none.
int signal_of_all(const dist::Mesh& mesh);

// A signal that came during an evaluation; thrown on all ranks at the same point.
struct StopAsked {
  int signal = 0;
};

// The evaluations that the config names, as "eval.SOURCE.TASK.METRIC" (the source is left out when
// it is the first), of the weights and, as "ema.eval...", of their averages; also written to
// eval/step-N.json by rank 0. request: of the stage, for the validation loss. Throws StopAsked.
Metrics evaluate(Session& session, const models::LossRequest& request);

}  // namespace tandem::train
