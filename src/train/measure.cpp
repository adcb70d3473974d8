#include "tandem/train/measure.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/base/log.h"
#include "tandem/data/vqa.h"
#include "tandem/eval/thumbnail.h"

namespace tandem::train {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::int64_t largest_list = std::int64_t{64} << 20;
constexpr int thumbnail_side = 96;

// A list of the config, then the lines of its file.
std::vector<std::string> lines_of(std::vector<std::string> list, const std::string& file) {
  if (file.empty()) return list;
  std::istringstream lines(read_file(file, largest_list));
  for (std::string line; std::getline(lines, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) list.push_back(line);
  }
  return list;
}

// Small pictures of one list of samples, each once, by the numbers that their names are.
class Thumbnails {
 public:
  Thumbnails(fs::path folder, const data::Source& source)
      : folder_(std::move(folder)), source_(source) {
    remove_tree(folder_);
    make_directories(folder_);
  }

  // "12.png"; empty for none and for one that cannot be read.
  std::string name_of(std::int64_t index) {
    if (index < 0) return {};
    const auto [place, fresh] = names_.try_emplace(index, std::to_string(index) + ".png");
    if (!fresh) return place->second;
    try {
      replace_file(folder_ / place->second, eval::thumbnail_png(source_, index, thumbnail_side));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      place->second.clear();
    }
    return place->second;
  }

 private:
  fs::path folder_;
  const data::Source& source_;
  std::map<std::int64_t, std::string> names_{};
};

void write_samples(const Record& record, const std::string& name, const Measurement& one) {
  const fs::path folder = record.directory / "samples";
  Thumbnails thumbnails(folder / name, *one.source);
  Json json{{"step", record.step}, {"queries", Json::array()}};
  for (const eval::Query& query : one.predictions.queries) {
    Json shown{{"text", query.text},
               {"picture", thumbnails.name_of(query.picture)},
               {"answers", Json::array()}};
    for (std::size_t i = 0; i < query.answers.size() && i < 5; ++i) {
      const eval::Answer& answer = query.answers[i];
      shown["answers"].push_back({{"text", answer.text},
                                  {"picture", thumbnails.name_of(answer.picture)},
                                  {"score", answer.score},
                                  {"right", answer.right}});
    }
    json["queries"].push_back(std::move(shown));
  }
  replace_file(folder / (name + ".json"),
               json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

// How a model writes; captions and answers as BLIP's released code has them.
void set_writing(eval::Input& input, const config::EvalTask& task) {
  const bool tells = task.task == "caption";
  models::GenerateOptions& o = input.generate;
  o.beams = task.sample ? 1 : task.beams;
  o.sample = task.sample;
  o.top_p = task.sample ? task.top_p : 1;
  o.max_length = task.max_length > 0 ? task.max_length : tells ? 20 : 10;
  o.min_length = task.min_length >= 0 ? task.min_length : tells ? 5 : 1;
  o.key = Key(0).fold("eval").fold(task.task);
  input.prompt = task.prompt;
  input.answers = task.answers;
  input.first = task.candidates;
  if (!task.answer_list.empty()) input.candidates = data::read_answer_list(task.answer_list);
}

}  // namespace

bool measured_in(const config::EvalTask& task, const config::StageConfig& stage,
                 models::Model& model) {
  if (!task.stages.empty()) {
    return std::find(task.stages.begin(), task.stages.end(), stage.name) != task.stages.end();
  }
  const eval::Task& wanted = eval::task(task.task);
  if (wanted.is_loss && model.abilities().classify) {
    const std::vector<std::string> losses = model.losses_known();
    return std::find(losses.begin(), losses.end(), wanted.name) != losses.end();
  }
  const auto& can = wanted.can;
  return !can || can(model.abilities());
}

std::vector<Measurement> measure(const MeasureInput& from,
                                 const std::function<void(eval::Input&)>& adjust) {
  std::vector<Measurement> all;
  for (const config::EvalTask& one : from.config.eval.tasks) {
    if (from.stage != nullptr && !measured_in(one, *from.stage, from.model)) continue;
    const std::string& first = from.config.sources.front().name;
    const std::string& source = one.source.empty() ? first : one.source;
    Measurement measured;
    measured.name = (source == first ? "" : source + ".") + one.task;
    measured.source = from.sources.at(source);
    measured.predictions.samples = from.config.report.samples;
    eval::Input input{.model = &from.model,
                      .processor = &from.processor,
                      .source = measured.source,
                      .size = one.size,
                      .batch = from.config.eval.batch,
                      .threads = static_cast<int>(from.config.loader.threads),
                      .mesh = &from.mesh,
                      .device = from.device};
    input.captions = one.captions;
    input.rerank = one.rerank;
    input.add_cosine = one.rerank_score == "match+cosine";
    input.classes = lines_of(one.classes, one.classes_file);
    input.templates = lines_of(one.templates, one.templates_file);
    if (input.templates.empty()) input.templates = {"a photo of a {}."};
    set_writing(input, one);
    input.predictions = &measured.predictions;
    if (adjust) adjust(input);
    measured.metrics = eval::task(one.task).run(input);
    all.push_back(std::move(measured));
  }
  return all;
}

eval::Metrics metrics_of(const std::vector<Measurement>& measured, const std::string& prefix) {
  eval::Metrics metrics;
  for (const Measurement& one : measured) {
    for (const auto& [name, value] : one.metrics) {
      metrics.emplace_back(prefix + "eval." + one.name + "." + name, value);
    }
  }
  return metrics;
}

void write_predictions(const Record& record, const std::vector<Measurement>& measured) {
  make_directories(record.directory / "eval");
  for (const Measurement& one : measured) {
    const std::string name = record.prefix + one.name;
    if (!one.predictions.lines.empty()) {
      std::string text;
      for (const std::string& line : one.predictions.lines) text += line + "\n";
      replace_file(record.directory / "eval" / (name + ".jsonl"), text);
    }
    if (!one.predictions.queries.empty()) write_samples(record, name, one);
  }
}

}  // namespace tandem::train
