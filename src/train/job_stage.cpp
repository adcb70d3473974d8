// Stages that work on data (`kind: job`): captions written or judged by the stage's model, which
// are a source under the stage's name for the stages behind it; codes of patches, which such a
// stage begins with.

#include <algorithm>

#include "tandem/base/error.h"
#include "tandem/base/log.h"
#include "tandem/data/judged.h"
#include "tandem/models/visual_codes.h"
#include "train/session.h"

namespace tandem::train {
namespace {

constexpr const char* codes_file = "codes.safetensors";  // jobs/train_codes.h

std::filesystem::path folder_of(const Session& session, const std::string& stage) {
  return session.options.directory / "jobs" / stage;
}

}  // namespace

void take_stage_codes(Session& session) {
  const auto index = static_cast<std::size_t>(session.cursor.stage);
  const config::StageConfig& stage = session.config.stages.at(index);
  if (stage.codes.empty()) return;
  const bool of_stage =
      std::any_of(session.config.stages.begin(), session.config.stages.end(),
                  [&](const config::StageConfig& other) { return other.name == stage.codes; });
  const std::filesystem::path path =
      of_stage ? folder_of(session, stage.codes) / codes_file : std::filesystem::path(stage.codes);
  models::LearnedCodes& codes = *models::learned_codes(*session.parts.model);
  codes.take(models::read_codes(path, &codes));
  log_info("stage " + stage.name + " takes the codes of " + path.string());
}

void open_results(Session& session) {
  for (const config::StageConfig& stage : session.config.stages) {
    const std::filesystem::path folder = folder_of(session, stage.name);
    std::error_code error;
    if (stage.kind != "job" || stage.job.task == "codes" || session.sources.contains(stage.name) ||
        !std::filesystem::exists(folder / "summary.json", error)) {
      continue;
    }
    std::vector<data::NamedSource> bases;
    for (const config::SourceConfig& source : session.config.sources) {
      const auto open = session.sources.find(source.name);
      if (open != session.sources.end()) bases.emplace_back(open->first, open->second);
    }
    session.sources[stage.name] = data::open_judged(folder, bases);
  }
}

int run_job_stage(Session& session) {
  const auto index = static_cast<std::size_t>(session.cursor.stage);
  const config::StageConfig& stage = session.config.stages.at(index);
  if (!session.options.job) {
    throw Error(ErrorKind::internal, "[run] expected someone who does jobs; got nobody",
                stage.name);
  }
  log_info("stage " + stage.name + ": job " + stage.job.task);
  StageJob job{.stage = stage,
               .model = *session.parts.model,
               .processor = session.parts.processor,
               .folder = folder_of(session, stage.name),
               .mesh = *session.options.mesh,
               .device = session.options.device,
               .key = Key(static_cast<std::uint64_t>(session.config.seed))
                          .fold("job")
                          .fold(static_cast<std::uint64_t>(index))};
  for (const std::string& name : stage.job.inputs) {
    job.inputs.emplace_back(name, session.sources.at(name));
  }
  job.threads = static_cast<int>(session.config.loader.threads);
  job.between = [&] {
    if (const int signal = signal_of_all(*session.options.mesh)) throw StopAsked{signal};
  };
  try {
    session.options.job(job);
  } catch (const StopAsked& asked) {
    return 128 + asked.signal;
  }
  session.parts.model->train(true);
  return 0;
}

}  // namespace tandem::train
