#include "train/kept_features.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include "tandem/base/error.h"
#include "tandem/base/log.h"

namespace tandem::train {
namespace {

namespace fs = std::filesystem;

const models::KeepsTower* keeper_of(const models::Model& model) {
  return dynamic_cast<const models::KeepsTower*>(&model);
}

models::KeptSettings kept_settings(const config::CacheConfig& cache, const models::TowerPart& part,
                                   std::int64_t samples) {
  models::KeptSettings settings{.folder = cache.folder, .half = cache.type == "bf16"};
  settings.pictures = std::max<std::int64_t>(
      cache.pictures > 0 ? cache.pictures : samples * std::max<std::int64_t>(part.views, 1), 1);
  return settings;
}

// Samples of all sources whose features the run keeps: its stages may share a file. all: is every
// one of them there?
struct Samples {
  std::int64_t count = 0;
  bool all = true;
};
Samples samples_kept(const config::RunConfig& config, const SourceMap& sources) {
  std::set<std::string> names;
  for (const config::StageConfig& stage : config.stages) {
    if (!stage.cache.features) continue;
    for (const std::string& name : sources_of(config, stage)) names.insert(name);
  }
  Samples samples;
  for (const std::string& name : names) {
    const auto found = sources.find(name);
    if (found == sources.end()) {
      samples.all = false;
    } else {
      samples.count += found->second->size();
    }
  }
  return samples;
}

std::string mebibytes(std::int64_t bytes) {
  return std::to_string((bytes + (std::int64_t{1} << 20) - 1) >> 20) + " MiB";
}

std::string file_text(const models::KeptSettings& settings, const models::TowerPart& part) {
  const data::KeptShape shape = models::kept_shape(settings, part);
  return std::to_string(settings.pictures) + " pictures x " + std::to_string(part.rows) +
         " rows x " + std::to_string(part.width) + " numbers in " +
         (settings.half ? "bf16" : "fp32") + ", " + mebibytes(shape.bytes_of_file());
}

// Of the disk that the folder is on, or would be; -1: not known.
std::int64_t free_bytes(fs::path folder) {
  std::error_code error;
  folder = fs::absolute(folder, error);
  while (!fs::exists(folder, error) && folder.has_relative_path()) folder = folder.parent_path();
  const fs::space_info space = fs::space(folder, error);
  return error ? -1 : static_cast<std::int64_t>(space.available);
}

}  // namespace

std::shared_ptr<const models::KeptTower> keep_features(Session& session,
                                                       const config::StageConfig& stage) {
  auto* const keeper = dynamic_cast<models::KeepsTower*>(session.parts.model.get());
  if (keeper == nullptr) return nullptr;  // `cache` of such a model was refused before
  keeper->keep_tower(nullptr);
  if (!stage.cache.features) return nullptr;
  const models::TowerPart part = keeper->tower_part();
  for (const auto& [name, weight] : part.weights) {
    TANDEM_CHECK(!weight.requires_grad(),
                 "[features] expected a frozen tower; " + name + " learns");
  }
  models::KeptSettings settings =
      kept_settings(stage.cache, part, samples_kept(session.config, session.sources).count);
  if (settings.folder.empty()) settings.folder = (session.options.directory / "features").string();
  settings.made_by = session.options.device.is_cuda() ? "cuda" : "cpu";
  settings.made_by += " " + session.config.precision;
  if (session.leads()) {
    log_info("features: " + file_text(settings, part) + " in " + settings.folder);
  }
  auto kept = std::make_shared<models::KeptTower>(settings, part);
  keeper->keep_tower(kept);
  return kept;
}

std::string kept_line(const models::KeptTower& kept) {
  return "features: the tower was run for " + std::to_string(kept.runs()) + " of " +
         std::to_string(kept.asked()) + " pictures";
}

std::string wrong_cache(const models::Model& model, const std::vector<ResolvedParameter>& resolved,
                        const std::vector<std::string>& adapted) {
  const models::KeepsTower* keeper = keeper_of(model);
  if (keeper == nullptr) {
    return "expected a family with a tower whose output can be kept; this one has none";
  }
  const models::TowerPart part = keeper->tower_part();
  std::set<std::string> tower;
  for (const auto& [name, weight] : part.weights) tower.insert(name);
  std::vector<std::string> learned;
  for (const ResolvedParameter& one : resolved) {
    if (one.trained && tower.contains(one.name)) learned.push_back(one.name);
  }
  for (const std::string& layer : adapted) {
    if (tower.contains(layer + ".weight")) learned.push_back(layer + " (an adapter)");
  }
  if (!learned.empty()) {
    return "expected a frozen tower, whose output stays the same; the stage trains " +
           std::to_string(learned.size()) + " of its tensors, " + learned.front() +
           " first: freeze them under `train`, or leave `cache` out";
  }
  if (!part.drawn_anew.empty()) {
    return "expected pictures that are the same in every epoch; they are drawn anew each time: " +
           part.drawn_anew + ", or leave `cache` out";
  }
  return "";
}

std::string cache_line(const config::RunConfig& config, const config::StageConfig& stage,
                       const models::Model& model, const SourceMap& sources) {
  const models::KeepsTower* keeper = keeper_of(model);
  if (!stage.cache.features || keeper == nullptr) return "";
  const models::TowerPart part = keeper->tower_part();
  const Samples samples = samples_kept(config, sources);
  const bool known = samples.all || stage.cache.pictures > 0;
  const models::KeptSettings settings = kept_settings(stage.cache, part, samples.count);
  const data::KeptShape shape = models::kept_shape(settings, part);
  std::string text = "  kept features: ";
  if (known) {
    text += file_text(settings, part) + " of disk in ";
  } else {
    text += std::to_string((shape.bytes_of_place() + 1023) >> 10) +
            " KiB of disk a picture; how many there are is not known; in ";
  }
  text += settings.folder.empty() ? "the run's folder" : settings.folder;
  const std::int64_t there = settings.folder.empty() ? -1 : free_bytes(settings.folder);
  if (there < 0) return text + "\n";
  text += " (" + mebibytes(there) + " are free there";
  if (known && there < shape.bytes_of_file()) text += ": too few, unless the file is there already";
  return text + ")\n";
}

}  // namespace tandem::train
