#include "train/session.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "tandem/base/error.h"
#include "tandem/base/log.h"
#include "tandem/eval/task.h"

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

NamedTensors on_cpu(const NamedTensors& tensors) {
  NamedTensors copies;
  for (const auto& [name, tensor] : tensors) copies.emplace_back(name, tensor.detach().cpu());
  return copies;
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
    return {.step = json.at("step"),
            .stage = json.at("stage"),
            .stage_step = json.at("stage_step"),
            .bad = json.at("bad_samples"),
            .broken_in_row = json.at("broken_in_row")};
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

void save(Session& session, const Optimizer& optimizer) {
  if (session.leads() && session.saved_step != session.cursor.step) {
    checkpoint::State state;
    state.step = session.cursor.step;
    state.model = on_cpu(session.parts.model->parameters());
    for (auto& buffer : on_cpu(session.parts.model->buffers())) state.model.push_back(buffer);
    state.optimizer = optimizer.state();
    state.json = json_of(session.cursor, session.environment);
    state.files = session.model_files;
    session.checkpointer->commit(state);
    log_info("checkpoint of step " + std::to_string(session.cursor.step));
  }
  session.saved_step = session.cursor.step;
  session.options.mesh->barrier();
}

std::vector<std::pair<std::string, double>> evaluate(Session& session) {
  std::vector<std::pair<std::string, double>> all;
  std::string line;
  for (const config::EvalTask& one : session.config.eval.tasks) {
    const std::string& first = session.config.sources.front().name;
    const std::string& source = one.source.empty() ? first : one.source;
    eval::Input input{.model = session.parts.model.get(),
                      .processor = &session.parts.processor,
                      .source = session.sources.at(source),
                      .size = one.size,
                      .batch = session.config.eval.batch,
                      .threads = static_cast<int>(session.config.loader.threads),
                      .mesh = session.options.mesh,
                      .device = session.options.device};
    const std::string prefix = "eval." + (source == first ? "" : source + ".") + one.task + ".";
    for (const auto& [name, value] : eval::task(one.task).run(input)) {
      all.emplace_back(prefix + name, value);
      char text[64];
      std::snprintf(text, sizeof text, " %.4f", value);
      line += "\n  " + prefix + name + text;
    }
  }
  log_info("step " + std::to_string(session.cursor.step) + ":" + line);
  if (session.leads()) {
    const std::filesystem::path folder = session.options.directory / "eval";
    std::filesystem::create_directories(folder);
    std::ofstream out(folder / ("step-" + std::to_string(session.cursor.step) + ".json"));
    out << report::json_of({session.cursor.step, "", all}) << '\n';
    if (!out) throw Error(ErrorKind::io, "[eval] cannot be written", folder.string());
  }
  return all;
}

}  // namespace tandem::train
