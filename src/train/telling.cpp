#include "train/telling.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/base/log.h"
#include "tandem/models/contrast_columns.h"

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

constexpr std::int64_t ignored = -100, told_samples = 3;

struct Run {
  std::vector<std::int32_t> ids{};
  bool learned = false, repeated = false;
};

// Tokens that are learned or not, and three or more of one kind in a row.
std::vector<Run> runs_of(const Tokens& tokens) {
  const at::Tensor row = tokens.ids[0].contiguous(), labels = tokens.labels[0].contiguous();
  const auto* ids = row.const_data_ptr<std::int64_t>();
  const auto* label = labels.const_data_ptr<std::int64_t>();
  const std::int64_t count = row.numel();
  std::vector<Run> runs;
  for (std::int64_t i = 0; i < count;) {
    std::int64_t end = i + 1;
    while (end < count && ids[end] == ids[i]) ++end;
    const bool repeated = end - i >= 3;
    if (!repeated) end = i + 1;
    const bool learned = label[i] != ignored;
    if (repeated || runs.empty() || runs.back().repeated || runs.back().learned != learned) {
      runs.push_back({{}, learned, repeated});
    }
    for (; i < end; ++i) runs.back().ids.push_back(static_cast<std::int32_t>(ids[i]));
  }
  return runs;
}

// Of a loss that compares `micro` of a rank's `share` samples at a time, `ranks` of those together.
// The last of them may be fewer.
ChanceLevel level_within(const models::Model& model, const std::string& name, std::int64_t share,
                         std::int64_t micro, std::int64_t ranks) {
  const auto level = [&](std::int64_t size) {
    return model.chance_levels(size * ranks).at(name);  // as of a step of so many
  };
  ChanceLevel mean = level(micro);
  const std::int64_t rest = share % micro;
  if (rest == 0) return mean;
  const ChanceLevel last = level(rest);
  const double of_last = static_cast<double>(rest) / static_cast<double>(share);
  mean.value = (1 - of_last) * mean.value + of_last * last.value;
  mean.meaning += " and " + last.meaning;
  return mean;
}

}  // namespace

report::ChanceLevels chance_levels(const models::Model& model, const config::StageConfig& stage,
                                   int ranks) {
  const auto known = model.chance_levels(stage.data.batch);
  const auto* narrow = dynamic_cast<const models::ContrastsMicroBatches*>(&model);
  std::vector<std::string> within;
  if (narrow != nullptr) within = narrow->losses_of_micro_batch();
  const std::int64_t share = std::max<std::int64_t>(1, stage.data.batch / ranks);
  const std::int64_t micro = config::micro_batch_of(stage.data, ranks);
  const std::int64_t together = narrow != nullptr && narrow->sees_all_ranks() ? ranks : 1;
  report::ChanceLevels levels;
  for (const auto& [name, weight] : stage.losses) {
    const auto found = known.find(name);
    if (found == known.end()) continue;
    const bool is_narrow = std::find(within.begin(), within.end(), name) != within.end();
    const ChanceLevel level =
        is_narrow ? level_within(model, name, share, micro, together) : found->second;
    levels[name] = {level.value, level.meaning};
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

std::string marked_text(const Tokens& tokens, const text::Tokenizer& tokenizer, std::size_t most) {
  std::string told;
  for (const Run& run : runs_of(tokens)) {
    const std::size_t shown = run.repeated ? 1 : run.ids.size();
    std::string words = tokenizer.decode(std::span(run.ids).first(shown), /*keep_special=*/true);
    if (run.repeated) {
      words =
          "<" + (words.empty() ? "picture" : words) + " x " + std::to_string(run.ids.size()) + ">";
    }
    told += run.learned ? "[[" + words + "]]" : words;
  }
  if (told.size() <= most) return told;
  return told.substr(0, most / 2) + " ... " + told.substr(told.size() - most / 2);
}

void tell_learned(const Session& session, const StageData& data) {
  if (!session.leads()) return;
  std::string all;
  for (std::int64_t position = 0; position < told_samples; ++position) {
    const data::Place place = data.order.at(position);
    try {
      const data::Sample sample =
          data.sources[static_cast<std::size_t>(place.source)]->read(place.index);
      const Key key = data::sample_key(data.order.key(), position);
      const Batch batch = session.parts.processor.prepare(sample, key, /*train=*/true);
      if (!batch.text || !batch.text->labels.defined()) continue;
      all += "\n  " + sample.id + ": " + marked_text(*batch.text, *session.tokenizer);
      if (batch.rejected && batch.rejected->labels.defined()) {
        all += "\n    rejected: " + marked_text(*batch.rejected, *session.tokenizer);
      }
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;  // told where it is trained on
    }
  }
  if (!all.empty()) log_info("what is learned of the first samples stands in [[ ]]:" + all);
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
