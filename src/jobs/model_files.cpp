#include "tandem/jobs/model_files.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/base/json.h"
#include "tandem/checkpoint/adapter.h"
#include "tandem/checkpoint/checkpoint.h"
#include "tandem/models/processor_text.h"
#include "tandem/models/weights.h"
#include "tandem/text/tokenizer.h"

namespace tandem::jobs {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::int64_t longest_text = std::int64_t{64} << 20;
constexpr std::int64_t longest_adapter = std::int64_t{1} << 34;

std::string read_text(const fs::path& path) { return read_file(path, longest_text); }

// The family of the class that config.json names, or of `made_by` where that is a class of the same
// family or config.json names none; `root` then names it.
const models::Family& family_of(json& root, const std::string& made_by, const std::string& where) {
  std::vector<std::string> names;
  const auto listed = root.find("architectures");
  if (listed != root.end() && listed->is_array()) {
    for (const json& name : *listed) {
      if (name.is_string()) names.push_back(name.get<std::string>());
    }
  }
  const auto* maker = made_by.empty() ? nullptr : models::family_of_architecture(made_by);
  if (names.empty() && !made_by.empty()) names.push_back(made_by);
  std::string tried;
  for (const std::string& name : names) {
    if (const auto* family = models::family_of_architecture(name)) {
      root["architectures"] = {family == maker ? made_by : name};
      return *family;
    }
    tried += (tried.empty() ? "" : ", ") + name;
  }
  std::string known;
  for (const auto& family : models::families()) {
    for (const auto& name : family.architectures) known += (known.empty() ? "" : ", ") + name;
  }
  throw Error(ErrorKind::config,
              "[model] expected a class of " + known + "; got " +
                  (tried.empty() ? "no architectures" : tried),
              where);
}

json config_of(const fs::path& path) {
  json root;
  try {
    root = parse_json(read_text(path), path.string());
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::io) throw;
    throw Error(ErrorKind::config, error.message(), error.where());
  }
  if (!root.is_object()) {
    throw Error(ErrorKind::config, "[model] expected a JSON map", path.string());
  }
  return root;
}

void make_empty_directory(const fs::path& out) {
  std::error_code error;
  if (fs::exists(out, error) && (!fs::is_directory(out, error) || !fs::is_empty(out, error))) {
    throw Error(ErrorKind::config, "[export] expected a new or empty directory", out.string());
  }
  make_directories(out);
}

}  // namespace

fs::path model_directory(const fs::path& path) {
  std::error_code error;
  if (fs::exists(path / "config.json", error)) return path;
  std::vector<fs::path> steps;
  for (const auto& entry : fs::directory_iterator(path / "checkpoints", error)) {
    const std::string name = entry.path().filename().string();
    // step-NNNNNN: no step-N.tmp.X and no step-N.broken-K
    if (name.rfind("step-", 0) == 0 && name.find('.') == std::string::npos &&
        fs::exists(entry.path() / "config.json", error)) {
      steps.push_back(entry.path());
    }
  }
  if (steps.empty()) {
    throw Error(ErrorKind::config,
                "[model] expected a run, a checkpoint or a Hugging Face directory", path.string(),
                "a folder with config.json and *.safetensors");
  }
  return *std::max_element(steps.begin(), steps.end(), [](const fs::path& a, const fs::path& b) {
    const std::string x = a.filename().string(), y = b.filename().string();
    return x.size() != y.size() ? x.size() < y.size() : x < y;  // more digits, larger step
  });
}

fs::path best_directory(const fs::path& run) {
  const fs::path newest = model_directory(run);
  const fs::path state = newest / "state.json";
  std::error_code error;
  json best;
  if (fs::is_regular_file(state, error)) {
    const json root = parse_json(read_text(state), state.string());
    if (root.is_object() && root.contains("best")) best = root["best"];
  }
  if (!best.is_object() || !best.contains("step") || !best["step"].is_number_integer()) {
    throw Error(ErrorKind::config, "[model] expected a run that keeps its best checkpoint",
                run.string(), "checkpoint: {keep: {last: 3, best: METRIC}}");
  }
  std::string digits = std::to_string(best["step"].get<std::int64_t>());
  if (digits.size() < 6) digits.insert(0, 6 - digits.size(), '0');
  return newest.parent_path() / ("step-" + digits);
}

fs::path chosen_directory(const fs::path& path, const WeightChoice& choice) {
  return choice.best ? best_directory(path) : model_directory(path);
}

ModelFiles read_model(const fs::path& directory, const std::string& made_by, bool average) {
  const fs::path config = directory / "config.json";
  std::error_code error;
  if (!fs::is_regular_file(config, error)) {
    throw Error(ErrorKind::config, "[model] expected a config.json", directory.string());
  }
  checkpoint::check_texts(directory);
  json root = config_of(config);
  ModelFiles files;
  files.family = &family_of(root, made_by, config.string());
  files.settings = files.family->from_config_json(root.dump());
  models::read_processor_text(*files.family, *files.settings, directory);
  files.weights = checkpoint::load_weights(directory, average);
  if (files.family->fit_weights) files.family->fit_weights(*files.settings, files.weights);
  return files;
}

std::unique_ptr<models::Model> make_model(const ModelFiles& files) {
  auto weights = files.family->import_weights(files.weights, *files.settings);
  auto model = files.family->make(*files.settings, Key(0));
  models::assign_weights(*model, weights);
  return model;
}

void export_model(const fs::path& model, const fs::path& out, const WeightChoice& choice) {
  const fs::path directory = chosen_directory(model, choice);
  const ModelFiles files = read_model(directory, "", choice.average);
  const auto weights = files.family->import_weights(files.weights, *files.settings);
  models::assign_weights(*files.family->make(*files.settings, Key(0)), weights);  // complete?
  make_empty_directory(out);
  replace_file(out / "config.json", read_text(directory / "config.json"));
  const std::string processor = models::processor_text(directory);
  for (const auto& [name, text] : files.family->processor_files(*files.settings)) {
    std::error_code error;
    if (name == "preprocessor_config.json") {
      replace_file(out / name, processor.empty() ? text : processor);
    } else {
      const bool there = fs::is_regular_file(directory / name, error);
      replace_file(out / name, there ? read_text(directory / name) : text);
    }
  }
  for (const char* name : text::tokenizer_file_names()) {
    std::error_code error;
    if (fs::is_regular_file(directory / name, error)) {
      replace_file(out / name, read_text(directory / name));
    }
  }
  save_safetensors(out / "model.safetensors", NamedTensors(weights.begin(), weights.end()),
                   {{"format", "pt"}});
  if (checkpoint::has_adapter(directory) && !choice.average) {
    make_directories(out / "adapter");
    for (const char* name : {checkpoint::adapter_config_file, checkpoint::adapter_tensors_file}) {
      replace_file(out / "adapter" / name, read_file(directory / name, longest_adapter));
    }
  }
}

void import_model(const fs::path& directory, const fs::path& out) {
  export_model(directory, out, {});
}

}  // namespace tandem::jobs
