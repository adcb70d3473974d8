#include "cli/inputs.h"

#include <algorithm>

#include "tandem/base/error.h"
#include "tandem/data/inspect.h"
#include "tandem/train/experiment.h"

namespace tandem::cli {

std::shared_ptr<InputArguments> add_input_arguments(CLI::App& verb) {
  auto arguments = std::make_shared<InputArguments>();
  verb.add_option("what", arguments->config.path,
                  "a config (.yaml), or a folder, .tar, .csv, .tsv, .jsonl, .json, .token")
      ->required();
  verb.add_option("overrides", arguments->config.overrides,
                  "of a config: key=value, typed as YAML");
  verb.add_option("--source", arguments->sources,
                  "of a config: only these (default: those that a stage or an evaluation uses)");
  verb.add_option("--pictures", arguments->pictures, "the folder of a file's pictures");
  return arguments;
}

std::vector<std::pair<std::string, std::shared_ptr<const data::Source>>> open_inputs(
    const InputArguments& arguments) {
  std::vector<std::pair<std::string, std::shared_ptr<const data::Source>>> inputs;
  const std::string& path = arguments.config.path;
  if (!path.ends_with(".yaml") && !path.ends_with(".yml")) {
    inputs.emplace_back("data", data::open_path(path, arguments.pictures));
    return inputs;
  }
  const config::RunConfig config = load(arguments.config).config;
  if (arguments.sources.empty()) {
    for (auto& [name, source] : train::open_sources(config)) inputs.emplace_back(name, source);
    return inputs;
  }
  for (const std::string& name : arguments.sources) {
    const auto source =
        std::find_if(config.sources.begin(), config.sources.end(),
                     [&](const config::SourceConfig& one) { return one.name == name; });
    if (source == config.sources.end()) {
      throw Error(ErrorKind::config, "[data] expected the name of a source; got '" + name + "'",
                  path, "--source NAME");
    }
    inputs.emplace_back(name, data::open_source(source->format, *source->settings));
  }
  return inputs;
}

}  // namespace tandem::cli
