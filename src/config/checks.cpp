// Checks that need more than one field, or more than a range.

#include <algorithm>
#include <regex>

#include "config/describe.h"
#include "config/node.h"
#include "config/number.h"

namespace tandem::config {
namespace {

constexpr std::size_t kLongestName = 100, kLongestPattern = 1000;

bool made_of(const std::string& name, std::string_view more) {
  return !name.empty() && name.size() <= kLongestName &&
         std::all_of(name.begin(), name.end(), [&](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  more.find(c) != std::string_view::npos;
         });
}

}  // namespace

bool plain_name(const std::string& name) { return made_of(name, "_-"); }

bool folder_name(const std::string& name) {
  return made_of(name, "_-.") && name.front() != '.' && name.front() != '-';
}

void check_rule(FieldVisitor& v, const TrainRule& rule) {
  const std::string& match = rule.match;
  if (match.size() > kLongestPattern) {
    v.problem("match",
              "expected a pattern of at most " + std::to_string(kLongestPattern) + " characters");
    return;
  }
  if (!match.empty() && match.front() == '/') {
    if (match.size() < 3 || match.back() != '/') {
      v.problem("match", "expected /a regular expression/; got " + quote(match));
      return;
    }
    try {
      std::regex(match.substr(1, match.size() - 2));
    } catch (const std::regex_error& error) {
      v.problem("match", "not a regular expression: " + quote(match));
    }
  }
  const TrainRule frozen{.match = rule.match, .freeze = true};
  if (rule.freeze && rule != frozen) {
    v.problem("freeze", "a frozen parameter has no lr, lr_scale, lr_decay, weight_decay or lora");
  }
}

void check_optimizer(FieldVisitor& v, const OptimizerConfig& o) {
  if (o.min_lr > o.lr) {
    v.problem("min_lr", "expected at most lr (" + shortest(o.lr) + "); got " + shortest(o.min_lr));
  }
  if (o.betas.size() != 2 || *std::max_element(o.betas.begin(), o.betas.end()) >= 1) {
    v.problem("betas", "expected two numbers, at least 0 and below 1");
  }
  const bool steps = !o.milestones.empty() || o.step_size > 0;
  if (o.schedule == "step" && o.milestones.empty() == (o.step_size == 0)) {
    v.problem("schedule", "`step` needs either milestones or step_size");
  } else if (o.schedule != "step" && steps) {
    v.problem(o.step_size > 0 ? "step_size" : "milestones", "only with `schedule: step`");
  }
  if (!std::is_sorted(o.milestones.begin(), o.milestones.end())) {
    v.problem("milestones", "expected them in rising order");
  }
}

void check_data(FieldVisitor& v, const StageData& data, const StageSurroundings& around) {
  if (data.micro_batch > data.batch) {
    v.problem("micro_batch", "expected at most batch (" + std::to_string(data.batch) + "); got " +
                                 std::to_string(data.micro_batch));
  }
  if (data.group > 0 && data.batch % data.group != 0) {
    v.problem("group", "expected a divisor of batch (" + std::to_string(data.batch) + "); got " +
                           std::to_string(data.group));
  }
  if (data.group > 0 && data.micro_batch > 0 && data.micro_batch != data.group) {
    v.problem("micro_batch", "expected the group (" + std::to_string(data.group) +
                                 "), or none: a rank takes one group at a time");
  }
  if (data.max_tokens > 0 && (data.micro_batch > 0 || data.group > 0)) {
    v.problem("max_tokens", std::string("expected it without ") +
                                (data.group > 0 ? "group" : "micro_batch") +
                                ": the tokens say how many samples a micro-batch has");
  }
  if (data.mix.empty() && !data.proportional && data.temperature == 0 &&
      around.sources.size() > 1) {
    v.problem("mix", "expected shares of the sources or `proportional`: there are " +
                         std::to_string(around.sources.size()) + " sources");
  }
}

void check_until(FieldVisitor& v, const Until& until) {
  const int given = (until.steps > 0) + (until.epochs > 0) + (until.samples > 0);
  if (given != 1) {
    v.problem("", "expected exactly one of steps, epochs and samples; got " +
                      (given == 0 ? std::string("none") : std::to_string(given)));
  }
}

void check_epochs(FieldVisitor& v, const StageConfig& stage, const StageSurroundings& around) {
  const bool one = stage.data.mix.size() == 1 || around.sources.size() <= 1;
  const bool epochs = stage.until.epochs > 0 && stage.until.steps + stage.until.samples == 0;
  if (epochs && !one && !stage.data.proportional) {
    v.problem("until", "epochs need one source or `mix: proportional`; use steps or samples");
  }
}

const std::shared_ptr<Settings>& model_of(const RunConfig& config, const StageConfig& stage) {
  return stage.own_model && stage.settings ? stage.settings : config.model.settings;
}

bool begins_anew(const RunConfig& config, std::size_t stage) {
  const StageConfig& own = config.stages.at(stage);
  if (!own.init.empty()) return true;
  return stage > 0 && (own.own_model || config.stages[stage - 1].own_model);
}

std::int64_t micro_batch_of(const StageData& data, int ranks) {
  const std::int64_t share = std::max<std::int64_t>(1, data.batch / ranks);
  const std::int64_t wanted = data.group > 0 ? data.group : data.micro_batch;
  return wanted > 0 ? std::min(wanted, share) : share;
}

const EmaConfig& ema_of(const RunConfig& config, const StageConfig& stage) {
  return stage.own_ema ? stage.ema : config.ema;
}

std::string metric_prefix(const RunConfig& config, const EvalTask& task) {
  const bool first =
      task.source.empty() || (!config.sources.empty() && task.source == config.sources[0].name);
  return "eval." + (first ? "" : task.source + ".") + task.task + ".";
}

bool less_is_better(const std::string& metric, const std::string& mode) {
  return mode == "min" || (mode == "auto" && metric.find("loss") != std::string::npos);
}

void check_metrics(FieldVisitor& v, const RunConfig& config) {
  std::vector<std::string> stages;
  for (const StageConfig& stage : config.stages) stages.push_back(stage.name);
  for (const EvalTask& task : config.eval.tasks) {
    for (const std::string& name : task.stages) {
      if (std::find(stages.begin(), stages.end(), name) != stages.end()) continue;
      const std::string near = nearest(name, stages);
      v.problem("", "eval.tasks: no stage " + quote(name) +
                        (near.empty() ? "" : "; did you mean " + near + "?"));
    }
  }
  const auto check = [&](const std::string& key, const std::string& metric, bool ema) {
    if (metric.empty()) return;
    if (config.eval.tasks.empty() || config.eval.every == 0) {
      v.problem("", key + ": needs eval.tasks and eval.every, that measure it on the way");
      return;
    }
    std::string known;
    for (const EvalTask& task : config.eval.tasks) {
      const std::string prefix = metric_prefix(config, task);
      if (metric.rfind(prefix, 0) == 0 || (ema && metric.rfind("ema." + prefix, 0) == 0)) return;
      known += (known.empty() ? "" : ", ") + prefix + "*";
    }
    v.problem("", key + ": expected a metric of eval.tasks: " + known + (ema ? ", or ema.*" : "") +
                      "; got " + quote(metric));
  };
  bool any_ema = false;
  for (const StageConfig& stage : config.stages) {
    const bool ema = ema_of(config, stage).decay > 0;
    any_ema = any_ema || ema;
    check("stages." + stage.name + ".stop.metric", stage.stop.metric, ema);
  }
  check("checkpoint.keep.best", config.checkpoint.best, any_ema);
}

void check_source_name(FieldVisitor& v, std::string_view field, const std::string& name,
                       const std::vector<std::string>& known) {
  // Without any source, that is the mistake to tell.
  if (known.empty() || std::find(known.begin(), known.end(), name) != known.end()) return;
  const std::string near = nearest(name, known);
  v.problem(field, "no source " + quote(name) + " in data.sources" +
                       (near.empty() ? "" : "; did you mean " + near + "?"));
}

}  // namespace tandem::config
