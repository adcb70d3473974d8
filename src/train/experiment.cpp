#include "tandem/train/experiment.h"

#include <algorithm>
#include <limits>
#include <set>

#include "tandem/base/error.h"
#include "tandem/base/log.h"
#include "tandem/checkpoint/checkpoint.h"
#include "tandem/models/weights.h"
#include "tandem/text/kinds.h"
#include "tandem/train/rules.h"

namespace tandem::train {
namespace {

constexpr std::int64_t max_captions = 50'000;

std::vector<std::pair<std::string, double>> mix_of(const config::RunConfig& config,
                                                   const config::StageConfig& stage) {
  if (!stage.data.mix.empty()) return stage.data.mix;
  if (stage.data.proportional || stage.data.temperature > 0) {
    std::vector<std::pair<std::string, double>> all;
    for (const config::SourceConfig& source : config.sources) all.emplace_back(source.name, 1.0);
    return all;
  }
  if (config.sources.empty()) {
    throw Error(ErrorKind::config, "[data] expected a source under data.sources; got none");
  }
  return {{config.sources.front().name, 1.0}};
}

std::set<std::string> names_in_use(const config::RunConfig& config) {
  std::set<std::string> names;
  for (const config::StageConfig& stage : config.stages) {
    for (const auto& [name, weight] : mix_of(config, stage)) names.insert(name);
  }
  for (const config::EvalTask& task : config.eval.tasks) {
    if (task.source.empty() && !config.sources.empty()) names.insert(config.sources.front().name);
    if (!task.source.empty()) names.insert(task.source);
  }
  return names;
}

}  // namespace

SourceMap open_sources(const config::RunConfig& config) {
  const std::set<std::string> used = names_in_use(config);
  SourceMap sources;
  for (const config::SourceConfig& source : config.sources) {
    if (!used.contains(source.name)) continue;
    sources[source.name] = data::open_source(source.format, *source.settings);
  }
  return sources;
}

text::Tokenizer make_tokenizer(const config::RunConfig& config, const SourceMap& sources,
                               const std::filesystem::path& kept) {
  if (!config.model.tokenizer.empty()) return text::load_tokenizer(config.model.tokenizer);
  if (config.model.vocabulary > 0) {
    if (!kept.empty() && std::filesystem::exists(kept / "tokenizer.json")) {
      return text::load_tokenizer(kept);
    }
    std::vector<std::string> captions;
    std::set<std::string> done;
    for (const config::StageConfig& stage : config.stages) {
      for (const auto& [name, weight] : mix_of(config, stage)) {
        if (!done.insert(name).second) continue;
        const std::vector<std::string> some = data::captions_of(*sources.at(name), max_captions);
        captions.insert(captions.end(), some.begin(), some.end());
      }
    }
    text::Tokenizer made =
        text::train_tokenizer(models::family(config.model.family).vocabulary, captions,
                              static_cast<int>(config.model.vocabulary));
    log_info("tokenizer: " + std::to_string(made.vocab_size()) + " tokens, trained on " +
             std::to_string(captions.size()) + " captions");
    return made;
  }
  if (!config.model.pretrained.empty()) return text::load_tokenizer(config.model.pretrained);
  throw Error(ErrorKind::config, "[model] expected a tokenizer; got none", "model.tokenizer",
              "name a tokenizer.json, or set model.vocabulary to train one on the captions");
}

std::int64_t tokens_of(const text::Tokenizer& tokenizer, const std::string& text) {
  return static_cast<std::int64_t>(
      tokenizer.encode_with_marks(text, std::numeric_limits<int>::max()).size());
}

Parts make_parts(const config::RunConfig& config, text::Tokenizer tokenizer) {
  Parts parts;
  parts.family = &models::family(config.model.family);
  parts.settings = config.model.settings;
  parts.tokenizer = std::make_shared<const text::Tokenizer>(std::move(tokenizer));
  if (parts.family->fit_vocabulary) {
    parts.family->fit_vocabulary(*parts.settings, *parts.tokenizer);
  }
  parts.model = parts.family->make(*parts.settings,
                                   Key(static_cast<std::uint64_t>(config.seed)).fold("init"));
  if (!config.model.pretrained.empty()) {
    models::assign_weights(*parts.model,
                           parts.family->import_weights(
                               checkpoint::load_weights(config.model.pretrained), *parts.settings));
  }
  parts.processor = parts.family->processor(*parts.settings, parts.tokenizer);
  return parts;
}

models::LossRequest loss_request(const config::StageConfig& stage) {
  models::LossRequest request;
  for (const auto& [name, weight] : stage.losses) request.weights[name] = weight;
  request.itc_chunk = stage.itc.chunk;
  request.itc_released = stage.itc.gather == "released";
  return request;
}

void check_stages(const config::RunConfig& config, const models::Model& model, int ranks) {
  std::string problems;
  const auto complain = [&](const config::StageConfig& stage, const std::string& text) {
    problems += "\n  stages." + stage.name + text;
  };
  const std::vector<std::string> known = model.losses_known();
  for (const config::StageConfig& stage : config.stages) {
    try {
      resolve_rules(stage, model.parameters());
      adapters_of(stage, models::linear_layers(model));
    } catch (const Error& error) {
      complain(stage, ".train: " + error.message());
    }
    for (const auto& [name, weight] : stage.losses) {
      if (std::find(known.begin(), known.end(), name) != known.end()) continue;
      std::string all;
      for (const std::string& one : known) all += (all.empty() ? "" : ", ") + one;
      complain(stage, ".losses: expected a loss of the model (" + all + "); got '" + name + "'");
    }
    if (stage.data.batch % ranks != 0) {
      complain(stage, ".data.batch: expected a batch that " + std::to_string(ranks) +
                          " ranks divide; got " + std::to_string(stage.data.batch));
    }
  }
  if (problems.empty()) return;
  throw Error(ErrorKind::config, "[stages] the config does not fit the model:" + problems + "\n",
              "", "`tandem check CONFIG` prints the parameters that each rule catches");
}

StageData stage_data(const config::RunConfig& config, std::size_t index, const SourceMap& sources) {
  const config::StageConfig& stage = config.stages.at(index);
  std::vector<std::string> names;
  std::vector<std::shared_ptr<const data::Source>> used;
  std::vector<data::MixPart> mix;
  for (const auto& [name, weight] : mix_of(config, stage)) {
    names.push_back(name);
    used.push_back(sources.at(name));
    const std::int64_t size = used.back()->size();
    mix.push_back({.size = size, .weight = weight * data::tempered(size, stage.data.temperature)});
  }
  const auto kind =
      stage.data.proportional ? data::Order::Mix::proportional : data::Order::Mix::weights;
  return {std::move(names), std::move(used),
          data::Order(data::data_key(static_cast<std::uint64_t>(config.seed), index),
                      std::move(mix), kind, /*shuffle=*/true, stage.data.block)};
}

}  // namespace tandem::train
