#pragma once
// The fields of every part of a RunConfig, once, for the reader, the writer and the schema's page.

#include "tandem/base/fields.h"
#include "tandem/config/run_config.h"

namespace tandem::config {

void describe(FieldVisitor& visitor, RunConfig& config, const Tables& tables);

const Rule& ema_rule();
void describe(FieldVisitor& visitor, EmaConfig& ema);

// Among the sources of `mix`: no source may be called so.
inline constexpr const char* temperature_word = "temperature";

// What a stage needs of the rest of the file.
struct StageSurroundings {
  std::vector<std::string> sources{};
  std::vector<std::string> earlier{};  // stages before this one
  std::vector<std::string> codes{};    // those of them that train visual codes
  // The run's model as it is before any key of the YAML; null for an unknown family.
  std::function<std::unique_ptr<Settings>()> make_model{};
};
void describe(FieldVisitor& visitor, StageConfig& stage, const StageSurroundings& around);
void describe_job(FieldVisitor& visitor, JobConfig& job, const StageSurroundings& around);

// Cross-field checks, recorded at the visitor's current node.
void check_rule(FieldVisitor& visitor, const TrainRule& rule);
void check_optimizer(FieldVisitor& visitor, const OptimizerConfig& optimizer);
void check_data(FieldVisitor& visitor, const StageData& data, const StageSurroundings& around);
void check_until(FieldVisitor& visitor, const Until& until);
void check_epochs(FieldVisitor& visitor, const StageConfig& stage, const StageSurroundings& around);
// Metrics by which something is decided are those of an evaluation that the file names.
void check_metrics(FieldVisitor& visitor, const RunConfig& config);
void check_source_name(FieldVisitor& visitor, std::string_view field, const std::string& name,
                       const std::vector<std::string>& known);

// Letters, digits, `_` and `-`: such a name can stand in an override.
bool plain_name(const std::string& name);
// Also `.`, but not at the start: a folder's name.
bool folder_name(const std::string& name);

}  // namespace tandem::config
