#include "tandem/data/inspect.h"

#include <algorithm>
#include <cstdio>

#include "cli/common.h"
#include "cli/verbs.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/base/log.h"
#include "tandem/models/view.h"
#include "tandem/train/experiment.h"

namespace tandem::cli {
namespace {

struct InspectArguments {
  std::vector<std::string> sources{};
  std::string pictures{}, tokenizer{}, out = "inspect.html";
  data::InspectOptions options{};
};

bool is_config(const std::string& path) {
  return path.ends_with(".yaml") || path.ends_with(".yml");
}

void show(const std::string& name, const data::Source& source, const data::InspectOptions& options,
          std::vector<data::Inspection>& found) {
  found.push_back(data::inspect(name, source, options));
  std::fputs(data::inspection_text(found.back()).c_str(), stdout);
  std::fflush(stdout);
}

// Through the family's own processor: what is shown is what training sees.
void inspect_config(const ConfigArguments& arguments, const InspectArguments& more,
                    std::vector<data::Inspection>& found) {
  const config::RunConfig config = load(arguments).config;
  const train::SourceMap sources = train::open_sources(config);
  const auto tokenizer =
      std::make_shared<const text::Tokenizer>(train::make_tokenizer(config, sources, {}));
  const models::Family& family = models::family(config.model.family);
  if (family.fit_vocabulary) family.fit_vocabulary(*config.model.settings, *tokenizer);
  const models::Processor processor = family.processor(*config.model.settings, tokenizer);
  data::InspectOptions options = more.options;
  options.view = [&](const data::Sample& sample, Key key) {
    return models::view_of(processor.prepare(sample, key, /*train=*/true));
  };
  options.tokens = [&](const std::string& text) { return train::tokens_of(*tokenizer, text); };
  for (const auto& [name, source] : sources) {
    const bool wanted = more.sources.empty() || std::find(more.sources.begin(), more.sources.end(),
                                                          name) != more.sources.end();
    if (wanted) show(name, *source, options, found);
  }
  if (!found.empty()) return;
  throw Error(ErrorKind::config,
              "[data] expected the name of a source that a stage or an "
              "evaluation uses",
              arguments.path, "--source NAME");
}

int run_inspect(const ConfigArguments& arguments, const InspectArguments& more) {
  std::vector<data::Inspection> found;
  if (is_config(arguments.path)) {
    inspect_config(arguments, more, found);
  } else {
    data::InspectOptions options = more.options;
    options.view = data::plain_view();
    if (!more.tokenizer.empty()) {
      const auto tokenizer =
          std::make_shared<const text::Tokenizer>(text::load_tokenizer(more.tokenizer));
      options.tokens = [tokenizer](const std::string& text) {
        return train::tokens_of(*tokenizer, text);
      };
    }
    show(arguments.path, *data::open_path(arguments.path, more.pictures), options, found);
  }
  replace_file(more.out, data::inspection_page(found));
  log_info("the samples: " + more.out);
  return 0;
}

}  // namespace

void add_inspect(CLI::App& data, const Choose& choose) {
  CLI::App* verb =
      data.add_subcommand("inspect", "show samples as a page, and what a source holds in numbers");
  const auto config = std::make_shared<ConfigArguments>();
  const auto more = std::make_shared<InspectArguments>();
  verb->add_option("what", config->path,
                   "a config (.yaml), or a folder, .tar, .csv, .tsv, .jsonl, .json, .token, .txt")
      ->required();
  verb->add_option("overrides", config->overrides, "of a config: key=value, typed as YAML");
  verb->add_option("--source", more->sources, "of a config: only these");
  verb->add_option("--pictures", more->pictures, "the folder of a file's pictures");
  verb->add_option("--tokenizer", more->tokenizer, "counts tokens where no config names one");
  verb->add_option("--samples", more->options.shown, "on the page, of each source (default: 48)")
      ->check(CLI::Range(0, 10'000));
  verb->add_option("--count", more->options.counted,
                   "samples that the numbers are made from; 0: all (default: 20000)")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 40));
  verb->add_option("--seed", more->options.seed, "which samples, and which draws of their views");
  verb->add_option("--out", more->out, "the page (default: inspect.html)");
  verb->callback([=] { choose([=] { return run_inspect(*config, *more); }); });
}

}  // namespace tandem::cli
