// What a stage begins with: its model, and weights of the stage before, of another stage, of
// another run, or of a file.

#include <map>
#include <nlohmann/json.hpp>

#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/base/log.h"
#include "tandem/models/adapters.h"
#include "tandem/models/weights.h"
#include "tandem/models/word_rows.h"
#include "train/session.h"

namespace tandem::train {
namespace {

namespace fs = std::filesystem;
using Weights = std::map<std::string, at::Tensor>;

constexpr std::int64_t largest_state = std::int64_t{64} << 20;

// What transformers needs beside the weights, so that a checkpoint's folder loads as it is.
std::vector<std::pair<std::string, std::string>> model_files(const Parts& parts) {
  std::vector<std::pair<std::string, std::string>> files{
      {"config.json", parts.family->to_config_json(*parts.settings)}};
  for (const auto& file : parts.tokenizer->files()) files.push_back(file);
  if (parts.family->processor_files) {
    for (const auto& file : parts.family->processor_files(*parts.settings)) files.push_back(file);
  }
  return files;
}

// The newest checkpoint of a run; the folder itself where it is none.
fs::path newest_of(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path / "checkpoints", error)) return path;
  const auto newest = checkpoint::newest_directory(path / "checkpoints");
  if (newest) return *newest;
  throw Error(ErrorKind::config, "[init] expected a run with a checkpoint; got none",
              path.string());
}

// Whose words the weights in a folder are: empty where no tokenizer stands beside them, or one
// that cannot be read.
text::Tokenizer words_beside(const fs::path& start) {
  std::error_code error;
  bool any = false;
  for (const char* name : text::tokenizer_file_names()) {
    any = any || fs::is_regular_file(start / name, error);
  }
  if (!any) return {};
  try {
    return text::load_tokenizer(start);
  } catch (const Error& wrong) {
    log_warning("the tokenizer of " + start.string() + " cannot be read (" + wrong.message() +
                "): rows of words are taken in their order");
    return {};
  }
}

// RUN@STAGE, RUN, a checkpoint or a Hugging Face directory.
fs::path named_by(const std::string& init) {
  std::error_code error;
  const std::size_t at = init.rfind('@');
  if (fs::exists(init, error) || at == std::string::npos) return newest_of(init);
  return end_of_stage(init.substr(0, at), init.substr(at + 1));
}

// Of the model as it stands, its adapters merged.
Weights weights_of(models::Model& model) {
  models::merge_adapters(model);
  Weights weights;
  for (const auto& [name, tensor] : model.parameters()) weights[name] = tensor.detach().cpu();
  for (const auto& [name, tensor] : model.buffers()) weights[name] = tensor.detach().cpu();
  return weights;
}

// What a stage begins with. words: of its tables; empty: the run's own, or not known.
struct Start {
  Weights weights{};
  text::Tokenizer words{};
};

Start start_in(const fs::path& folder) {
  checkpoint::check_texts(folder);
  return {checkpoint::load_weights(folder), words_beside(folder)};
}

// before: the model of the stage before; null in the first.
Start start_of(const Session& session, models::Model* before) {
  const auto index = static_cast<std::size_t>(session.cursor.stage);
  const std::string& init = session.config.stages[index].init;
  if (init == "scratch") return {};
  if (init.empty()) {
    if (before != nullptr) return {weights_of(*before), {}};
    const std::string& pretrained = session.config.model.pretrained;
    return pretrained.empty() ? Start() : start_in(newest_of(pretrained));
  }
  for (const config::StageConfig& other : session.config.stages) {
    if (other.name == init) {
      return {checkpoint::load_weights(end_of_stage(session.options.directory, init)), {}};
    }
  }
  return start_in(named_by(init));
}

// Tables of other words and of longer texts get the rows of this stage's model.
void refit(const Session& session, const Start& start, Weights& weights) {
  const models::RefitRows rows = models::refit_rows(
      weights, *session.parts.model, session.parts.family->rows, start.words, *session.tokenizer);
  const auto index = static_cast<std::size_t>(session.cursor.stage);
  if (const std::string told = rows.text(); !told.empty()) {
    log_info("stage " + session.config.stages[index].name + ": " + told);
  }
}

}  // namespace

fs::path end_of_stage(const fs::path& run, const std::string& stage) {
  const fs::path newest = newest_of(run);
  const auto json = nlohmann::json::parse(read_file(newest / "state.json", largest_state), nullptr,
                                          /*allow_exceptions=*/false);
  std::string known;
  if (json.is_object() && json.contains("ends")) {
    for (const auto& end : json["ends"]) {
      const auto name = end.at(0).get<std::string>();
      known += (known.empty() ? "" : ", ") + name;
      if (name != stage) continue;
      const fs::path found = checkpoint::directory_of(run / "checkpoints", end.at(1));
      std::error_code error;
      if (fs::is_directory(found, error)) return found;
      throw Error(ErrorKind::config,
                  "[init] expected the checkpoint at the end of stage " + stage +
                      "; it is not kept any more",
                  found.string(), "checkpoint: {stages: true} keeps it");
    }
  }
  throw Error(ErrorKind::config,
              "[init] expected a stage that has ended (" + (known.empty() ? "none has" : known) +
                  "); got '" + stage + "'",
              run.string());
}

void make_stage_model(Session& session) {
  open_results(session);
  session.parts = make_parts(session.config, static_cast<std::size_t>(session.cursor.stage),
                             session.tokenizer, session.sources);
  session.adapters.clear();
  if (session.leads()) session.model_files = model_files(session.parts);
}

void begin_stage(Session& session) {
  const auto index = static_cast<std::size_t>(session.cursor.stage);
  const bool first = session.parts.model == nullptr;
  open_results(session);
  if (!first && !config::begins_anew(session.config, index)) {
    take_stage_codes(session);
    return;
  }
  wait_for_saves(session);  // the end of another stage may be what it begins with
  const std::unique_ptr<models::Model> before = std::move(session.parts.model);
  Start start = start_of(session, before.get());
  make_stage_model(session);
  const config::StageConfig& stage = session.config.stages[index];
  if (!start.weights.empty()) {
    Weights weights =
        session.parts.family->import_weights(std::move(start.weights), *session.parts.settings);
    refit(session, start, weights);
    const models::Taken taken = models::take_weights(*session.parts.model, weights);
    std::vector<std::string> theirs, ours;
    for (const auto& [name, tensor] : weights) theirs.push_back(name);
    for (const auto& [name, tensor] : session.parts.model->parameters()) ours.push_back(name);
    if (!taken.fresh.empty()) {
      log_info("stage " + stage.name + " begins with new " +
               models::parts_named(taken.fresh, theirs));
    }
    if (!taken.left_out.empty()) {
      log_info("stage " + stage.name + " leaves out " + models::parts_named(taken.left_out, ours));
    }
  }
  take_stage_codes(session);
  session.parts.model->to(session.options.device);
}

}  // namespace tandem::train
