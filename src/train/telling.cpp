#include "train/telling.h"

#include <nlohmann/json.hpp>

#include "tandem/base/files.h"

namespace tandem::train {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t largest_file = std::int64_t{16} << 20;

Json read_stages(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return Json::array();
  const Json json = Json::parse(read_file(path, largest_file), nullptr, false);
  return json.is_array() ? json : Json::array();
}

}  // namespace

report::ChanceLevels chance_levels(const models::Model& model, const config::StageConfig& stage) {
  report::ChanceLevels levels;
  const auto known = model.chance_levels(stage.data.batch);
  for (const auto& [name, weight] : stage.losses) {
    const auto level = known.find(name);
    if (level != known.end()) levels[name] = {level->second.value, level->second.meaning};
  }
  return levels;
}

std::vector<std::pair<std::string, double>> seen_of(const StageData& data, std::int64_t first,
                                                    std::int64_t last) {
  std::vector<std::pair<std::string, double>> seen;
  if (data.names.size() < 2) return seen;
  for (const std::string& name : data.names) seen.emplace_back("seen." + name, 0.0);
  for (std::int64_t position = first; position < last; ++position) {
    seen[static_cast<std::size_t>(data.order.at(position).source)].second += 1;
  }
  return seen;
}

void tell_stage(const Session& session, const config::StageConfig& stage, const StageData& data,
                std::int64_t total_steps, const report::ChanceLevels& chance) {
  if (!session.leads()) return;
  const std::filesystem::path path = session.options.directory / "stages.json";
  Json all = read_stages(path);
  const auto index = static_cast<std::size_t>(session.cursor.stage);
  while (all.size() <= index) all.push_back(Json::object());
  Json one;
  one["stage"] = stage.name;
  one["first_step"] = session.cursor.step - session.cursor.stage_step + 1;
  one["steps"] = total_steps;
  one["batch"] = stage.data.batch;
  for (const auto& [name, weight] : stage.losses) one["losses"][name] = weight;
  for (const auto& [name, level] : chance) {
    one["chance"][name] = {{"value", level.value}, {"meaning", level.meaning}};
  }
  for (std::size_t i = 0; i < data.names.size(); ++i) {
    one["sources"].push_back({{"name", data.names[i]}, {"samples", data.sources[i]->size()}});
  }
  all[index] = std::move(one);
  replace_file(path, all.dump(1) + "\n");
}

}  // namespace tandem::train
