// The files of a run's folder, as far as they are there.

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "report/row_json.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/base/json.h"
#include "tandem/report/page.h"

namespace tandem::report {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::int64_t largest_text = std::int64_t{64} << 20, largest_picture = 4 << 20;

std::string text_of(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) ? read_file(path, largest_text) : std::string();
}

// Not open where there is none; a pipe would be waited for.
std::ifstream regular(const fs::path& path) {
  std::ifstream in;
  std::error_code error;
  if (fs::is_regular_file(path, error)) in.open(path, std::ios::binary);
  return in;
}

std::int64_t lines_of(const fs::path& path) {
  std::ifstream in = regular(path);
  return std::count(std::istreambuf_iterator<char>(in), {}, '\n');
}

// Numbers that are not finite are words in metrics.jsonl, and null where nlohmann wrote them.
double number_of(const Json& value) {
  if (value.is_number()) return value.get<double>();
  const double inf = std::numeric_limits<double>::infinity();
  if (value == "inf") return inf;
  return value == "-inf" ? -inf : std::numeric_limits<double>::quiet_NaN();
}

std::vector<Row> rows_of(const fs::path& path) {
  std::ifstream in = regular(path);
  if (!in.is_open()) {
    throw Error(ErrorKind::config, "[report] expected the folder of a run, with a metrics.jsonl",
                path.parent_path().string());
  }
  std::vector<Row> rows;
  std::int64_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    const Json json = row_json(line);
    if (json.is_null() && in.eof()) break;  // cut: it is being written
    if (json.is_null()) {
      throw Error(ErrorKind::data, "[report] expected a row with its step",
                  path.string() + ":" + std::to_string(number));
    }
    Row row{.step = json["step"]};
    for (const auto& [name, value] : json.items()) {
      if (name == "stage" && value.is_string()) row.stage = value.get<std::string>();
      if (name != "stage" && name != "step") row.values.emplace_back(name, number_of(value));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

StageInfo stage_of(const Json& json) {
  StageInfo stage{.name = json.value("stage", std::string()),
                  .first_step = json.value("first_step", std::int64_t{1}),
                  .steps = json.value("steps", std::int64_t{0}),
                  .batch = json.value("batch", std::int64_t{0})};
  const Json losses = json.value("losses", Json::object());
  for (const auto& [name, weight] : losses.items()) {
    stage.losses.emplace_back(name, number_of(weight));
  }
  const Json chance = json.value("chance", Json::object());
  for (const auto& [name, level] : chance.items()) {
    stage.chance[name] = {number_of(level.at("value")), level.value("meaning", std::string())};
  }
  const Json sources = json.value("sources", Json::array());
  for (const Json& source : sources) {
    stage.sources.emplace_back(source.at("name").get<std::string>(),
                               source.value("samples", std::int64_t{0}));
  }
  return stage;
}

// A plain name beside the list of samples: a page must not hold what lies elsewhere.
std::string picture_of(const fs::path& folder, const Json& json) {
  const std::string name = json.value("picture", std::string());
  const bool plain = !name.empty() && name.find_first_of("/\\") == std::string::npos;
  const fs::path path = folder / name;
  std::error_code error;
  if (!plain || name == ".." || !fs::is_regular_file(path, error)) return {};
  return read_file(path, largest_picture);
}

SampleSet samples_of(const fs::path& file, const Json& json) {
  SampleSet set{.name = file.stem().string(), .step = json.value("step", std::int64_t{0})};
  const fs::path folder = file.parent_path() / file.stem();
  for (const Json& one : json.at("queries")) {
    SampleQuery query{.text = one.value("text", std::string()), .picture = picture_of(folder, one)};
    for (const Json& answer : one.at("answers")) {
      query.answers.push_back({.text = answer.value("text", std::string()),
                               .picture = picture_of(folder, answer),
                               .score = answer.contains("score") ? number_of(answer["score"]) : 0,
                               .right = answer.value("right", false)});
    }
    set.queries.push_back(std::move(query));
  }
  return set;
}

}  // namespace

RunData read_run(const fs::path& directory) {
  RunData run;
  fs::path named = directory.lexically_normal();
  if (!named.has_filename()) named = named.parent_path();  // of `runs/a/`
  run.name = named.filename().string();
  run.rows = rows_of(directory / "metrics.jsonl");
  run.command = text_of(directory / "command.txt");
  run.environment = text_of(directory / "env.json");
  run.bad_samples = lines_of(directory / "bad_samples.jsonl");
  run.broken_steps = lines_of(directory / "broken_steps.jsonl");
  fs::path file;
  try {
    file = directory / "stages.json";
    if (const std::string text = text_of(file); !text.empty()) {
      for (const Json& one : parse_ordered_json(text, file.string())) {
        if (one.contains("stage")) run.stages.push_back(stage_of(one));
      }
    }
    std::error_code error;
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(directory / "samples", error)) {
      if (entry.path().extension() == ".json") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    for (const fs::path& one : files) {
      file = one;
      run.samples.push_back(samples_of(one, parse_ordered_json(text_of(one), one.string())));
    }
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorKind::data, std::string("[report] ") + error.what(), file.string());
  }
  return run;
}

}  // namespace tandem::report
