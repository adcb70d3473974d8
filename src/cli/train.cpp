#include <filesystem>

#include "cli/common.h"
#include "cli/ranks.h"
#include "cli/verbs.h"
#include "tandem/base/files.h"
#include "tandem/jobs/capfilt.h"
#include "tandem/jobs/train_codes.h"
#include "tandem/train/run.h"

namespace tandem::cli {
namespace {

struct TrainArguments {
  std::string resume = "auto", out{}, stage{};
  RankCounts ranks{};
  std::int64_t stop_after = 0;
  std::string rank_device{};  // said by the launcher to its ranks; not a part of the config
};

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// What every kind of job is told.
template <class Job>
void fill(Job& job, const train::StageJob& from) {
  job.name = from.stage.name;
  job.model = &from.model;
  job.processor = &from.processor;
  job.folder = from.folder;
  job.batch = from.stage.job.batch;
  job.part = from.stage.job.part;
  job.threads = from.threads;
  job.mesh = &from.mesh;
  job.device = from.device;
  job.between = from.between;
}

// Visual codes (jobs/train_codes.h).
void do_codes(const train::StageJob& from) {
  const config::JobConfig& asked = from.stage.job;
  jobs::CodesJob job;
  fill(job, from);
  job.inputs = from.inputs;
  job.samples = asked.samples;
  job.patches = asked.patches;
  job.rounds = asked.rounds;
  job.key = from.key;
  jobs::train_codes(job);
}

// CapFilt's jobs (jobs/capfilt.h).
void do_captions(const train::StageJob& from) {
  const config::JobConfig& asked = from.stage.job;
  jobs::CapfiltJob job;
  fill(job, from);
  for (const auto& [name, source] : from.inputs) job.inputs.push_back({name, source});
  job.threshold = asked.threshold;
  job.shards = asked.shards;
  job.prompt = asked.prompt;
  job.generate.max_length = asked.max_length;
  job.generate.min_length = asked.min_length;
  job.generate.beams = asked.beams;
  job.generate.sample = asked.beams == 1;
  job.generate.top_p = asked.beams == 1 ? asked.top_p : 1;
  job.generate.repetition_penalty = asked.repetition_penalty;
  job.generate.key = from.key;
  if (asked.task == "caption") {
    jobs::write_captions(job);
  } else {
    jobs::filter_captions(job);
  }
}

void do_job(const train::StageJob& from) {
  if (from.stage.job.task == "codes") {
    do_codes(from);
  } else {
    do_captions(from);
  }
}

// The config as the user wrote it; what it includes and what is written over it stands in
// resolved.yaml.
std::string written_config(const ConfigArguments& config) {
  constexpr std::int64_t longest = std::int64_t{64} << 20;
  return read_file(config.path, longest);
}

int train_here(const config::Loaded& loaded, const std::string& text,
               const TrainArguments& arguments, const std::vector<std::string>& command,
               const Place& place) {
  train::RunOptions options{.resume = arguments.resume,
                            .stage = arguments.stage,
                            .stop_after = arguments.stop_after,
                            .command = joined(command),
                            .config = text,
                            .device = place.device,
                            .mesh = &place.mesh};
  options.local_ranks = place.local_ranks;
  options.job = do_job;
  options.directory = arguments.out.empty() ? std::filesystem::path("runs") / loaded.config.name
                                            : std::filesystem::path(arguments.out);
  return train::run(loaded, options);
}

int train(const ConfigArguments& config, const TrainArguments& arguments,
          const std::vector<std::string>& command) {
  const config::Loaded loaded = load(config);  // mistakes are told once, before any rank starts
  const std::string text = written_config(config);
  if (starts_ranks(arguments.ranks)) {
    return start_ranks(arguments.ranks, command,
                       {"--rank-device", arguments.ranks.gpus > 0 ? "cuda" : "cpu"});
  }
  const std::string& said = arguments.rank_device;
  return work_as_rank(said.empty() ? loaded.config.device : said, [&](const Place& place) {
    return train_here(loaded, text, arguments, command, place);
  });
}

}  // namespace

void add_train(CLI::App& app, const Choose& choose, const std::vector<std::string>& command) {
  CLI::App* verb = app.add_subcommand("train", "train, or go on with, the run of a config");
  const auto config = add_config_arguments(*verb);
  const auto arguments = std::make_shared<TrainArguments>();
  verb->add_option("--resume", arguments->resume, "auto, never, or a checkpoint's folder");
  verb->add_option("--out", arguments->out, "the run's folder (default: runs/NAME)");
  verb->add_option("--stage", arguments->stage, "stop after this stage");
  verb->add_option("--stop-after", arguments->stop_after,
                   "stop after this step of the run, with a checkpoint, and leave with 75")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000'000'000}));
  add_rank_counts(*verb, arguments->ranks);
  verb->add_option("--rank-device", arguments->rank_device)->group("");
  verb->callback([=] { choose([=] { return train(*config, *arguments, command); }); });
}

}  // namespace tandem::cli
