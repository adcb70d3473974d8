#include <ATen/Parallel.h>

#include <cstdio>

#include "cli/common.h"
#include "cli/ranks.h"
#include "cli/verbs.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/base/log.h"
#include "tandem/checkpoint/checkpoint.h"
#include "tandem/jobs/model_files.h"
#include "tandem/jobs/open_model.h"
#include "tandem/report/metrics.h"
#include "tandem/train/measure.h"
#include "tandem/train/trained_model.h"

namespace tandem::cli {
namespace {

namespace fs = std::filesystem;

struct EvalArguments {
  std::string model{}, out{};
  jobs::WeightChoice weights{};
  std::vector<std::string> rest{};  // CONFIG, key=value ..., task=NAME ...
};

// The folder of the run that the model is, or is a checkpoint of; empty: neither.
fs::path run_of(const fs::path& model) {
  for (const fs::path& folder : {model, fs::absolute(model) / ".." / ".."}) {
    std::error_code error;
    if (fs::exists(folder / "resolved.yaml", error)) return folder.lexically_normal();
  }
  return {};
}

// The least that a config has: an evaluation reads nothing of it.
std::string least(const models::Family& family) {
  return "name: eval\nmodel: {family: " + family.name +
         "}\nstages: [{name: none, losses: {none: 1}, data: {mix: proportional}, until: {steps: "
         "1}}]\n";
}

config::Base base_of(const fs::path& run) {
  return {read_file(run / "resolved.yaml", longest_config), (run / "resolved.yaml").string(), run};
}

// What is measured, and how it reads samples.
struct Measured {
  fs::path directory{};  // of its weights
  const models::Family* family = nullptr;
  std::unique_ptr<models::Model> model{};
  models::Processor processor{};
};

// Of a run whose stage compares its model with a reference: both, as they were trained.
Measured measured_of(const EvalArguments& arguments) {
  const fs::path run = run_of(arguments.model);
  if (!run.empty()) {
    const fs::path directory = jobs::chosen_directory(arguments.model, arguments.weights);
    checkpoint::check_texts(directory);
    const auto tokenizer = std::make_shared<const text::Tokenizer>(text::load_tokenizer(directory));
    const config::RunConfig config = config::load_over(base_of(run), {}, {}, tables()).config;
    auto parts = train::trained_model(config, directory, tokenizer, arguments.weights.average);
    if (parts) {
      return {directory, parts->family, std::move(parts->model), std::move(parts->processor)};
    }
  }
  jobs::OpenModel open = jobs::open_model(arguments.model, arguments.weights);
  return {open.directory, open.family, std::move(open.model), std::move(open.processor)};
}

// request: the losses of the run's last stage, which the task `loss` measures.
config::RunConfig config_of(const EvalArguments& arguments, const models::Family& family,
                            models::LossRequest& request) {
  std::string file, tasks;
  std::vector<std::string> overrides;
  for (const std::string& word : arguments.rest) {
    if (word.starts_with("task=")) {
      tasks += (tasks.empty() ? "" : ", ") + word.substr(5);
    } else if (word.find('=') == std::string::npos && file.empty()) {
      file = word;
    } else {
      overrides.push_back(word);
    }
  }
  if (!tasks.empty()) overrides.push_back("eval.tasks=[" + tasks + "]");
  const fs::path run = file.empty() ? run_of(arguments.model) : fs::path();
  config::Base base{least(family), "the least config", fs::current_path()};
  if (!run.empty()) base = base_of(run);
  config::RunConfig config = config::load_over(base, file, overrides, tables()).config;
  if (!run.empty()) request = train::loss_request(config.stages.back());
  config.stages.clear();  // only the sources of the evaluations are opened
  if (config.eval.tasks.empty()) {
    throw Error(ErrorKind::config, "[eval] expected tasks; got none", "tandem eval",
                "name them in a config under eval.tasks, or as task=retrieval");
  }
  return config;
}

// Of "checkpoints/step-000020"; 0 for a folder that is none.
std::int64_t step_of(const fs::path& directory) {
  const std::string name = directory.filename().string();
  return name.starts_with("step-") ? std::atoll(name.c_str() + 5) : 0;
}

int evaluate(const EvalArguments& arguments, const Place& place) {
  const Measured model = measured_of(arguments);
  models::LossRequest request;
  const config::RunConfig config = config_of(arguments, *model.family, request);
  if (config.threads > 0) at::set_num_threads(static_cast<int>(config.threads));
  model.model->to(place.device);
  const train::SourceMap sources = train::open_sources(config);
  const auto measured =
      train::measure({config, sources, *model.model, model.processor, place.mesh, place.device},
                     [&](eval::Input& input) { input.request = request; });
  if (place.mesh.rank() != 0) return 0;
  const eval::Metrics metrics = train::metrics_of(measured);
  for (const auto& [name, value] : metrics) std::printf("%-44s %.4f\n", name.c_str(), value);
  if (arguments.out.empty()) return 0;
  const std::int64_t step = step_of(model.directory);
  train::write_predictions({arguments.out, step}, measured);
  replace_file(fs::path(arguments.out) / "eval" / "metrics.json",
               report::json_of({step, "", metrics}) + "\n");
  log_info("predictions are in " + arguments.out + "/eval");
  return 0;
}

}  // namespace

void add_eval(CLI::App& app, const Choose& choose, const std::vector<std::string>& command) {
  CLI::App* verb = app.add_subcommand("eval", "measure a model");
  const auto arguments = std::make_shared<EvalArguments>();
  verb->add_option("MODEL", arguments->model, "a run, a checkpoint or a Hugging Face directory")
      ->required();
  verb->add_option("rest", arguments->rest,
                   "CONFIG (its data and eval; without it, that of the run), task=NAME, key=value");
  verb->add_option("--out", arguments->out, "a folder for the metrics and predictions");
  add_weight_choice(*verb, arguments->weights);
  const auto ranks = add_rank_arguments(*verb);
  verb->callback([=] {
    choose([=] {
      return on_ranks(*ranks, command,
                      [=](const Place& place) { return evaluate(*arguments, place); });
    });
  });
}

}  // namespace tandem::cli
