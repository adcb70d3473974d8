#pragma once
// One experiment, as its YAML file says it (DESIGN 4). Typed structs, described once by `fields`;
// the reader, the writer of the resolved file and the page of the schema visit the same fields.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tandem/base/fields.h"

namespace tandem::config {

// Low-rank adapters on the Linear layers that a rule catches (Hu et al., arXiv:2106.09685):
// W + scale B A with scale = alpha / rank, or alpha / sqrt(rank) where rank_stabilized
// (Kalajdzievski, arXiv:2312.03732). The layers themselves are frozen.
struct LoraConfig {
  std::int64_t rank = 0;  // 0: none
  double alpha = 0;       // 0: the rank, so that scale is 1
  double dropout = 0;     // of the adapter's input
  bool rank_stabilized = false;
  bool operator==(const LoraConfig&) const = default;
};

// Of the stage's ordered rules on parameter names; the first that matches decides.
struct TrainRule {
  std::string match = "*";  // a glob over the full dotted name (`*` crosses dots), or /regex/
  bool freeze = false;
  double lr = 0;             // 0: the optimizer's
  double lr_scale = 1;       // of the optimizer's or of `lr`
  double weight_decay = -1;  // below 0: the optimizer's
  double lr_decay = 1;       // of the learning rate, a block deeper (train/depth.h)
  LoraConfig lora{};
  bool operator==(const TrainRule&) const = default;
};

struct OptimizerConfig {
  double lr = 5e-4;
  std::vector<double> betas{0.9, 0.98};
  double eps = 1e-6;
  double weight_decay = 0.2;        // not of tensors with fewer than 2 dimensions
  std::int64_t warmup = 0;          // steps
  std::string schedule = "cosine";  // cosine, linear, constant, step, polynomial
  double min_lr = 0;
  std::vector<std::int64_t> milestones{};  // step: at these steps of the stage ...
  std::int64_t step_size = 0;              // ... or every so many, lr is multiplied by
  double gamma = 0.1;                      // this
  double power = 1;                        // polynomial
  double clip = 0;                         // of the gradient's norm; 0: off
};

struct StageData {
  std::vector<std::pair<std::string, double>> mix{};  // source -> share; empty: the only source
  bool proportional = false;                          // `mix: proportional`
  double temperature = 0;                             // shares times size^(1/T); 0: none
  std::int64_t batch = 64;                            // over all ranks
  std::int64_t micro_batch = 0;                       // of one rank; 0: batch / ranks
  // Instead of micro_batch: samples of a rank are laid end to end in packs of at most so many
  // tokens, and each pack is a micro-batch (data/loader.h). 0: they are not.
  std::int64_t max_tokens = 0;
  // Samples in a row of the global order that count as "the batch on a GPU": a rank takes one such
  // group at a time, so that results do not depend on the number of ranks. 0: the micro-batch.
  std::int64_t group = 0;
  std::int64_t block = 1;  // samples that stay together when shuffled (groups, slow disks)
};

struct Until {  // exactly one is above 0
  std::int64_t steps = 0, epochs = 0, samples = 0;
};

// An exponential moving average of the trained weights, anew with each stage.
struct EmaConfig {
  double decay = 0;               // 0: none
  bool warmup = false;            // min(decay, (1 + n) / (10 + n)) at update n
  std::string evaluate = "both";  // both, ema, weights
};

// Early stopping: the stage ends after `patience` evaluations in a row without an improvement of
// more than min_delta.
struct StopConfig {
  std::string metric{};  // as in metrics.jsonl: eval.retrieval.mean; empty: never
  std::int64_t patience = 5;
  std::string mode = "auto";  // max, min; auto: min for losses
  double min_delta = 0;
};

struct ItcConfig {
  std::string gather = "exact";  // exact, released
  std::int64_t chunk = 0;        // rows of the similarity matrix held at once; 0: all
};

// What a frozen tower gives is kept on disk and read again in the epochs, stages and runs that
// follow (models/kept_tower.h).
struct CacheConfig {
  bool features = false;      // false: nothing is kept
  std::string folder{};       // empty: `features` in the run's folder
  std::int64_t pictures = 0;  // that there is room for; 0: as many as the sources have samples
  std::string type = "fp32";  // fp32: as the tower gave them; bf16: half the room, rounded
};

// What a stage of `kind: job` does (jobs/capfilt.h, jobs/train_codes.h).
struct JobConfig {
  std::string task{};                 // caption, filter, codes; empty: the stage trains
  std::vector<std::string> inputs{};  // sources, and job stages before this one
  std::int64_t batch = 64, part = 1024;
  // caption
  double top_p = 0.9, repetition_penalty = 1.1;
  std::int64_t beams = 1;  // above 1 nothing is drawn
  std::int64_t max_length = 30, min_length = 10;
  std::string prompt{};
  double threshold = 0.5;  // filter
  bool shards = false;     // caption, filter: what is kept as tar files, too
  // codes: pictures that are looked at, patches of each (at most; 0: all), rounds of k-means.
  std::int64_t samples = 8192, patches = 16, rounds = 30;
};

struct StageConfig {
  std::string name{};
  std::string kind = "train";
  JobConfig job{};
  // Where the weights come from: "scratch", an earlier stage, RUN@STAGE, a run, a checkpoint or a
  // Hugging Face directory; empty: the stage before, or model.pretrained.
  std::string init{};
  // Visual codes that it begins with: a stage before of `job: {task: codes}`, or its file; empty:
  // those that stand in the weights.
  std::string codes{};
  // The run's model with this stage's own keys laid on it; null: the run's as it is.
  std::shared_ptr<Settings> settings{};
  bool own_model = false;
  std::vector<TrainRule> train{{}};  // `all` is one rule "*", `none` is empty
  std::vector<std::pair<std::string, double>> losses{};
  StageData data{};
  OptimizerConfig optimizer{};
  Until until{};
  ItcConfig itc{};
  CacheConfig cache{};
  EmaConfig ema{};  // instead of the run's
  bool own_ema = false;
  StopConfig stop{};
};

struct SourceConfig {
  std::string name{}, format{};
  std::shared_ptr<Settings> settings{};
};

struct ModelConfig {
  std::string family{};
  std::string pretrained{};  // a Hugging Face directory; empty: from scratch
  std::string tokenizer{};   // a tokenizer.json or its directory; empty: trained from `vocabulary`
  std::int64_t vocabulary = 0;  // size of a vocabulary trained on the captions of all sources
  std::shared_ptr<Settings> settings{};
};

struct LoaderConfig {
  std::int64_t threads = 2;
  std::int64_t memory = std::int64_t{512} << 20;
};

// One line of `eval.tasks`: a name alone, or {task, source, size}.
struct EvalTask {
  std::string task{};                  // of eval's table: retrieval, hard
  std::string source{};                // of data.sources; empty: the first
  std::int64_t size = 500;             // samples of it, from the start
  std::int64_t captions = 5;           // retrieval: of a picture; 0: all
  std::int64_t rerank = 0;             // retrieval, hard: so many by matching; 0: none
  std::string rerank_score = "match";  // match, match+cosine
  // caption, vqa: how the model writes.
  std::int64_t beams = 3;
  bool sample = false;
  double top_p = 0.9;            // of a draw
  std::int64_t max_length = 0;   // tokens; 0: 20 of a caption, 10 of an answer
  std::int64_t min_length = -1;  // -1: 5 of a caption, 1 of an answer
  std::string prompt{};
  std::string answers{};      // vqa: closed, ranked, generated; empty: what the model can
  std::string answer_list{};  // vqa, ranked: a file
  std::int64_t candidates = 128;
  std::vector<std::string> classes{}, templates{};  // zero_shot; and their files, a line each
  std::string classes_file{}, templates_file{};
  std::vector<std::string> stages{};  // after which it is measured; empty: where the model can
};

struct EvalConfig {
  std::int64_t every = 0;  // steps; 0: only at the end of the stages
  std::vector<EvalTask> tasks{};
  std::int64_t batch = 64;
};
struct CheckpointConfig {
  std::int64_t every = 0;     // steps; 0: only at the end and when stopped
  std::int64_t keep = 3;      // the newest ones
  std::string best{};         // and the best by this metric of the evaluations; empty: none
  std::string mode = "auto";  // of `best`: max, min; auto: min for losses
  bool stages = false;        // and the end of every stage
  bool async = false;         // written in the background
};

struct ReportConfig {
  bool csv = true, tensorboard = true;  // metrics.csv, events.out.tfevents.*
  std::int64_t samples = 8;             // predictions with pictures for `tandem report`
};

struct RunConfig {
  std::string name{};
  std::int64_t seed = 0;
  ModelConfig model{};
  std::vector<SourceConfig> sources{};
  LoaderConfig loader{};
  std::vector<StageConfig> stages{};
  std::string precision = "fp32";  // fp32, bf16
  std::string device = "auto";     // auto, cpu, cuda
  std::int64_t threads = 0;        // of a rank's kernels; 0: cores / local ranks
  bool recompute = false;
  bool deterministic = false;
  EmaConfig ema{};  // of every stage that states none
  CheckpointConfig checkpoint{};
  EvalConfig eval{};
  ReportConfig report{};
};

// The settings of a stage's model.
const std::shared_ptr<Settings>& model_of(const RunConfig& config, const StageConfig& stage);
// Does a stage begin with another model, or other weights, than the stage before left?
bool begins_anew(const RunConfig& config, std::size_t stage);
// Samples of a rank at once: the stage's group, its micro-batch, or the rank's whole share.
std::int64_t micro_batch_of(const StageData& data, int ranks);
// Of a stage; decay 0: none.
const EmaConfig& ema_of(const RunConfig& config, const StageConfig& stage);
// What the metrics of a task begin with: "eval.retrieval.", "eval.SOURCE.retrieval." where the
// source is not the first.
std::string metric_prefix(const RunConfig& config, const EvalTask& task);
// Is less of it better? mode: max, min, or auto, which knows losses by their name.
bool less_is_better(const std::string& metric, const std::string& mode);

// The kinds that other rooms own: model families and source formats.
struct Tables {
  SettingsTable families{}, formats{};
  // The settings of a family as the config.json of a Hugging Face directory gives them; nullptr
  // when there is no such family. Throws Error.
  std::function<std::unique_ptr<Settings>(std::string_view family, const std::string& directory)>
      pretrained{};
  std::vector<std::string> tasks{};  // of eval.tasks; empty: any
  bool may_lack = false;  // a plan: paths that have to exist may be absent; Loaded::absent has them
};

struct Loaded {
  RunConfig config{};
  std::string resolved{};  // YAML; reading it again gives the same config
  std::string
      origins{};  // the same with `# file:line` or `# default` or `# override` behind values
  std::vector<std::string> absent{};  // "data.sources.pairs.path: PATH"; of a plan only
};

// Reads the file, its includes and the overrides (`dotted.key=value`). Throws Error(config) with
// ALL mistakes, one a line, each as `file:line:column: what; did you mean ...?` or
// `override: key=value: what`. Relative paths resolve from the file that states them, those of an
// override from the current folder. Any bytes are safe to read: size, nesting and aliases are
// capped. The file's name, without its ending, is the run's when it states none.
Loaded load(const std::filesystem::path& path, const std::vector<std::string>& overrides,
            const Tables& tables);

// The same over a text that says what neither states (`tandem eval`: the config of the run, or the
// least that a config has). path may be empty: then the base and the overrides are all there is.
struct Base {
  std::string text{}, name{};         // YAML; what it is called in a report
  std::filesystem::path directory{};  // that its relative paths start from
};
Loaded load_over(const Base& base, const std::filesystem::path& path,
                 const std::vector<std::string>& overrides, const Tables& tables);

// docs/config.md: every key with type, default, range and meaning.
std::string schema_page(const Tables& tables);

// Differences for which a run must not be resumed, each `dotted.key: old -> new`: all but name,
// threads, loader, recompute, eval, checkpoint, report, and of a stage until, stop,
// data.micro_batch and, but for its type, cache. A key that is absent and one that is null are the
// same. Throws Error(config) for text that is no YAML.
std::vector<std::string> resume_differences(const std::string& old_resolved,
                                            const std::string& new_resolved);

// A resolved config as dotted keys (stages by their names) with the text of each value, for people.
// Throws Error(config) for text that is no YAML.
std::map<std::string, std::string> flat_values(const std::string& resolved);

// How far apart two names are (Damerau-Levenshtein), and the nearest one; empty when none is near.
std::string nearest(const std::string& name, const std::vector<std::string>& known);

}  // namespace tandem::config
