// The evaluations of a run while it goes.

#include <cstdio>

#include "tandem/base/files.h"
#include "tandem/base/log.h"
#include "tandem/train/measure.h"
#include "train/session.h"
#include "train/signals.h"

namespace tandem::train {
namespace {

// The metrics of one set of weights, each with `prefix`; what a person reads goes to `lines`.
Metrics measure_weights(Session& session, const models::LossRequest& request,
                        const std::string& prefix, std::string& lines) {
  const std::vector<Measurement> measured =
      measure({session.config, session.sources, *session.parts.model, session.parts.processor,
               *session.options.mesh, session.options.device,
               &session.config.stages.at(static_cast<std::size_t>(session.cursor.stage))},
              [&](eval::Input& input) {
                input.request = request;
                input.between = [&] {
                  if (const int signal = signal_of_all(*session.options.mesh))
                    throw StopAsked{signal};
                };
              });
  if (session.leads()) {
    write_predictions({session.options.directory, session.cursor.step, prefix}, measured);
  }
  Metrics all = metrics_of(measured, prefix);
  for (const auto& [name, value] : all) {
    char text[64];
    std::snprintf(text, sizeof text, " %.4f", value);
    lines += "\n  " + name + text;
  }
  return all;
}

void write_metrics(const Session& session, const Metrics& metrics) {
  const std::filesystem::path folder = session.options.directory / "eval";  // write_predictions'
  replace_file(folder / ("step-" + std::to_string(session.cursor.step) + ".json"),
               report::json_of({session.cursor.step, "", metrics}) + "\n");
}

}  // namespace

Metrics evaluate(Session& session, const models::LossRequest& request) {
  Metrics all;
  std::string lines;
  const auto stage = static_cast<std::size_t>(session.cursor.stage);
  const std::string what = config::ema_of(session.config, session.config.stages[stage]).evaluate;
  session.parts.model->train(false);
  if (session.ema == nullptr || what != "ema") all = measure_weights(session, request, "", lines);
  if (session.ema != nullptr && what != "weights") {
    const Averaged averaged(session.ema.get());
    for (auto& metric : measure_weights(session, request, "ema.", lines)) all.push_back(metric);
  }
  session.parts.model->train(true);
  log_info("step " + std::to_string(session.cursor.step) + ":" + lines);
  if (session.leads()) write_metrics(session, all);
  return all;
}

}  // namespace tandem::train
