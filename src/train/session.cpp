#include "train/session.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tandem/base/error.h"
#include "tandem/base/log.h"
#include "tandem/checkpoint/adapter.h"
#include "tandem/train/schedule.h"
#include "train/adapters.h"

namespace tandem::train {
namespace {

using Json = nlohmann::ordered_json;

std::string processor_name() {
  std::ifstream in("/proc/cpuinfo");
  std::string line;
  while (std::getline(in, line)) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

// Numbers are finite here, or none are given.
Json json_of(const Best& best) {
  if (!best.any) return nullptr;
  return {{"value", best.value}, {"step", best.step}};
}

Best best_of(const Json& json) {
  if (json.is_null()) return {};
  return {.any = true, .value = json.at("value"), .step = json.at("step")};
}

}  // namespace

std::string json_of(const Cursor& cursor, const std::string& environment) {
  Json json;
  json["version"] = 1;
  json["step"] = cursor.step;
  json["stage"] = cursor.stage;
  json["stage_step"] = cursor.stage_step;
  json["bad_samples"] = cursor.bad;
  json["broken_in_row"] = cursor.broken_in_row;
  json["ended"] = cursor.ended;
  json["patience"] = {{"best", json_of(cursor.patience.best)},
                      {"without", cursor.patience.without}};
  json["best"] = json_of(cursor.best);
  json["ends"] = Json::array();
  for (const auto& [stage, step] : cursor.ends) json["ends"].push_back({stage, step});
  json["unfinished_row"] = cursor.unfinished_row;
  json["environment"] = Json::parse(environment);
  return json.dump(1) + "\n";
}

Cursor cursor_of(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    if (json.at("version") != 1) {
      throw Error(ErrorKind::data, "[resume] expected version 1 of state.json; got another",
                  "state.json", "resume with the build that wrote it");
    }
    Cursor cursor{.step = json.at("step"),
                  .stage = json.at("stage"),
                  .stage_step = json.at("stage_step"),
                  .bad = json.at("bad_samples"),
                  .broken_in_row = json.at("broken_in_row")};
    if (!json.contains("ended")) return cursor;  // an older checkpoint
    cursor.ended = json.at("ended");
    cursor.patience = {.best = best_of(json.at("patience").at("best")),
                       .without = json.at("patience").at("without")};
    cursor.best = best_of(json.at("best"));
    cursor.unfinished_row = json.at("unfinished_row");
    if (!json.contains("ends")) return cursor;
    for (const Json& end : json.at("ends")) cursor.ends.emplace_back(end.at(0), end.at(1));
    return cursor;
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorKind::data, std::string("[resume] ") + error.what(), "state.json");
  }
}

std::string environment_of(const RunOptions& options, int threads) {
  Json json;
  json["ranks"] = options.mesh->size();
  json["threads"] = threads;
  json["device"] = options.device.is_cuda() ? "cuda" : "cpu";
  json["processor"] = processor_name();
  json["build"] = __VERSION__;
  return json.dump();
}

std::string environment_difference(const std::string& state, const std::string& environment) {
  const Json then = Json::parse(state, nullptr, false).value("environment", Json::object());
  const Json now = Json::parse(environment);
  std::string text;
  for (const auto& [key, value] : now.items()) {
    if (!then.contains(key) || then[key] == value) continue;
    text += (text.empty() ? "" : ", ") + key + " was " + then[key].dump() + ", is " + value.dump();
  }
  return text;
}

namespace {

// The ends of stages that something begins with later.
std::vector<std::int64_t> kept_steps(const Session& session) {
  std::vector<std::int64_t> steps;
  for (const auto& [stage, step] : session.cursor.ends) {
    const auto begins_there = [&name = stage](const config::StageConfig& other) {
      return other.init == name;
    };
    const auto& stages = session.config.stages;
    if (session.config.checkpoint.stages || std::any_of(stages.begin(), stages.end(), begins_there))
      steps.push_back(step);
  }
  return steps;
}

// Everything that a checkpoint saves, in the tensors that are trained on.
checkpoint::State state_of(const Session& session, const Optimizer& optimizer) {
  checkpoint::State state;
  state.step = session.cursor.step;
  state.best_step = session.cursor.best.step;
  state.kept_steps = kept_steps(session);
  const NamedTensors parameters = session.parts.model->parameters();
  for (const auto& [name, tensor] : parameters) {
    if (!models::adapted_layer(name)) state.model.emplace_back(name, tensor.detach());
  }
  for (const auto& buffer : session.parts.model->buffers()) state.model.push_back(buffer);
  state.optimizer = optimizer.state();
  state.json = json_of(session.cursor, session.environment);
  state.files = session.model_files;
  if (session.ema != nullptr) state.more.emplace_back("ema.safetensors", session.ema->state());
  if (!session.adapters.empty()) {
    state.more.emplace_back(checkpoint::adapter_tensors_file, adapter_tensors(parameters));
    state.files.emplace_back(checkpoint::adapter_config_file, adapter_config(session));
  }
  return state;
}

}  // namespace

void save(Session& session, const Optimizer& optimizer) {
  if (session.leads() && session.saved_step != session.cursor.step) {
    const checkpoint::State state = state_of(session, optimizer);
    if (session.saver != nullptr) {
      session.saver->save(checkpoint::private_copy(state));
    } else {
      session.checkpointer->commit(state);
      log_info("checkpoint of step " + std::to_string(state.step));
    }
  }
  session.saved_step = session.cursor.step;
  session.options.mesh->barrier();
}

void wait_for_saves(Session& session) {
  if (session.saver != nullptr) session.saver->wait();
  session.options.mesh->barrier();
}

std::int64_t stage_steps(const Session& session) {
  const auto index = static_cast<std::size_t>(session.cursor.stage);
  const StageData data = stage_data(session.config, index, session.sources);
  return total_steps(session.config.stages.at(index), data.order.epoch_size());
}

}  // namespace tandem::train
