// The evaluations of a run while it goes.

#include <ATen/ops/zeros.h>

#include <cstdio>
#include <fstream>

#include "tandem/base/error.h"
#include "tandem/base/log.h"
#include "tandem/eval/task.h"
#include "train/session.h"
#include "train/signals.h"

namespace tandem::train {
namespace {

// The metrics of one set of weights, each with `prefix`; what a person reads goes to `lines`.
Metrics measure(Session& session, const models::LossRequest& request, const std::string& prefix,
                std::string& lines) {
  Metrics all;
  for (const config::EvalTask& one : session.config.eval.tasks) {
    const std::string& first = session.config.sources.front().name;
    eval::Input input{.model = session.parts.model.get(),
                      .processor = &session.parts.processor,
                      .source = session.sources.at(one.source.empty() ? first : one.source),
                      .size = one.size,
                      .batch = session.config.eval.batch,
                      .threads = static_cast<int>(session.config.loader.threads),
                      .mesh = session.options.mesh,
                      .device = session.options.device};
    input.request = request;
    input.between = [&] {
      if (const int signal = signal_of_all(*session.options.mesh)) throw StopAsked{signal};
    };
    const std::string begin = prefix + config::metric_prefix(session.config, one);
    for (const auto& [name, value] : eval::task(one.task).run(input)) {
      all.emplace_back(begin + name, value);
      char text[64];
      std::snprintf(text, sizeof text, " %.4f", value);
      lines += "\n  " + begin + name + text;
    }
  }
  return all;
}

void write_metrics(const Session& session, const Metrics& metrics) {
  const std::filesystem::path folder = session.options.directory / "eval";
  std::filesystem::create_directories(folder);
  std::ofstream out(folder / ("step-" + std::to_string(session.cursor.step) + ".json"));
  out << report::json_of({session.cursor.step, "", metrics}) << '\n';
  if (!out) throw Error(ErrorKind::io, "[eval] cannot be written", folder.string());
}

}  // namespace

Metrics evaluate(Session& session, const models::LossRequest& request) {
  Metrics all;
  std::string lines;
  const auto stage = static_cast<std::size_t>(session.cursor.stage);
  const std::string what = config::ema_of(session.config, session.config.stages[stage]).evaluate;
  session.parts.model->train(false);
  if (session.ema == nullptr || what != "ema") all = measure(session, request, "", lines);
  if (session.ema != nullptr && what != "weights") {
    const Averaged averaged(session.ema.get());
    for (auto& metric : measure(session, request, "ema.", lines)) all.push_back(metric);
  }
  session.parts.model->train(true);
  log_info("step " + std::to_string(session.cursor.step) + ":" + lines);
  if (session.leads()) write_metrics(session, all);
  return all;
}

}  // namespace tandem::train
