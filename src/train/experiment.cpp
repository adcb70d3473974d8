#include "tandem/train/experiment.h"

#include <algorithm>
#include <limits>
#include <set>

#include "tandem/base/error.h"
#include "tandem/base/log.h"
#include "tandem/models/outline.h"
#include "tandem/text/jinja.h"
#include "tandem/text/kinds.h"

namespace tandem::train {
namespace {

constexpr std::int64_t max_captions = 50'000;

std::vector<std::pair<std::string, double>> mix_of(const config::RunConfig& config,
                                                   const config::StageConfig& stage) {
  if (stage.kind == "job") {
    std::vector<std::pair<std::string, double>> inputs;
    for (const std::string& name : stage.job.inputs) inputs.emplace_back(name, 1.0);
    return inputs;
  }
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

SourceMap open_sources(
    const config::RunConfig& config,
    const std::function<void(const std::string& name, const Error& error)>& absent) {
  const std::set<std::string> used = names_in_use(config);
  SourceMap sources;
  for (const config::SourceConfig& source : config.sources) {
    if (!used.contains(source.name)) continue;
    try {
      sources[source.name] = data::open_source(source.format, *source.settings);
    } catch (const Error& error) {
      if (!absent) throw;
      absent(source.name, error);
    }
  }
  return sources;
}

std::vector<std::string> sources_of(const config::RunConfig& config,
                                    const config::StageConfig& stage) {
  std::vector<std::string> names;
  for (const auto& [name, weight] : mix_of(config, stage)) names.push_back(name);
  return names;
}

namespace {

// Of a file or directory. A template in Jinja beside it is kept and never run: one that writes
// otherwise than any of ours is told.
text::Tokenizer tokenizer_at(const std::string& path) {
  text::Tokenizer tokenizer = text::load_tokenizer(path);
  const auto found = text::jinja_beside(tokenizer);
  if (found && text::templates_like(found->jinja).empty()) {
    log_warning(path + ": " + found->file +
                " is a foreign chat template, which is not read; dialogues are written as the "
                "model's `chat` says");
  }
  return tokenizer;
}

}  // namespace

text::Tokenizer make_tokenizer(const config::RunConfig& config, const SourceMap& sources,
                               const std::filesystem::path& kept) {
  if (!config.model.tokenizer.empty()) return tokenizer_at(config.model.tokenizer);
  if (config.model.vocabulary > 0) {
    if (!kept.empty() && std::filesystem::exists(kept / "tokenizer.json")) {
      return text::load_tokenizer(kept);
    }
    std::vector<std::string> captions;
    std::set<std::string> done;
    for (const config::StageConfig& stage : config.stages) {
      for (const auto& [name, weight] : mix_of(config, stage)) {
        const auto source = sources.find(name);
        if (!done.insert(name).second || source == sources.end()) continue;
        const std::vector<std::string> some = data::captions_of(*source->second, max_captions);
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
  if (!config.model.pretrained.empty()) return tokenizer_at(config.model.pretrained);
  throw Error(ErrorKind::config, "[model] expected a tokenizer; got none", "model.tokenizer",
              "name a tokenizer.json, or set model.vocabulary to train one on the captions");
}

std::int64_t tokens_of(const text::Tokenizer& tokenizer, const std::string& text) {
  return static_cast<std::int64_t>(
      tokenizer.encode_with_marks(text, std::numeric_limits<int>::max()).size());
}

std::vector<std::string> answers_of(const config::RunConfig& config,
                                    const config::StageConfig& stage, const SourceMap& sources) {
  std::vector<std::string> answers;
  std::string from;
  for (const auto& [name, weight] : mix_of(config, stage)) {
    const auto source = sources.find(name);
    if (source == sources.end()) continue;  // of a plan, or of a job that is not done
    const std::vector<std::string> own = source->second->answers();
    if (own.empty() || own == answers) continue;
    if (!answers.empty()) {
      throw Error(ErrorKind::config,
                  "[data] expected one list of answers in a stage; got " +
                      std::to_string(answers.size()) + " of " + from + " and " +
                      std::to_string(own.size()) + " others of " + name,
                  "stages." + stage.name + ".data.mix", "give the sources one answer_list");
    }
    answers = own;
    from = name;
  }
  return answers;
}

Parts make_parts(const config::RunConfig& config, std::size_t stage,
                 std::shared_ptr<const text::Tokenizer> tokenizer, const SourceMap& sources,
                 bool outline) {
  Parts parts;
  const config::StageConfig& own = config.stages.at(stage);
  parts.family = &models::family(config.model.family);
  parts.settings = config::model_of(config, own);
  parts.tokenizer = std::move(tokenizer);
  if (parts.family->fit_vocabulary) {
    parts.family->fit_vocabulary(*parts.settings, *parts.tokenizer);
  }
  const std::vector<std::string> answers = answers_of(config, own, sources);
  if (parts.family->fit_answers && !answers.empty()) {
    parts.family->fit_answers(*parts.settings, answers);
  }
  Key init = Key(static_cast<std::uint64_t>(config.seed)).fold("init");
  if (stage > 0) init = init.fold(static_cast<std::uint64_t>(stage));
  parts.model = outline ? models::make_outline(*parts.family, *parts.settings)
                        : parts.family->make(*parts.settings, init);
  parts.processor = parts.family->processor(*parts.settings, parts.tokenizer);
  return parts;
}

std::vector<std::shared_ptr<Parts>> outlines(
    const config::RunConfig& config, const std::shared_ptr<const text::Tokenizer>& tokenizer,
    const SourceMap& sources) {
  std::vector<std::shared_ptr<Parts>> all;
  for (std::size_t i = 0; i < config.stages.size(); ++i) {
    const bool same = i > 0 && !config::begins_anew(config, i);
    all.push_back(same ? all.back()
                       : std::make_shared<Parts>(
                             make_parts(config, i, tokenizer, sources, /*outline=*/true)));
  }
  return all;
}

models::LossRequest loss_request(const config::StageConfig& stage) {
  models::LossRequest request;
  for (const auto& [name, weight] : stage.losses) request.weights[name] = weight;
  request.itc_chunk = stage.itc.chunk;
  request.itc_released = stage.itc.gather == "released";
  return request;
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
