// A model of any family, from a Hugging Face directory, on recorded batches, timed. A line of JSON
// each:
//   bench_model train MODEL_DIR BATCHES.safetensors LOSSES WARMUP STEPS [OPTION...]
//     The trainer's own step (forward_backward, Optimizer::step, after_step), without the loader.
//     LOSSES: names with commas, weight 1 each. The batches come in turn. Options, in their order:
//     train=GLOB, freeze=GLOB (what none catches is trained), cache=FOLDER (the frozen tower's
//     rows are kept there, of 64 pictures at most).
//     Prints the loss of every step, each loss of the first, milliseconds of each step after the
//     warm-up, the largest resident size.
//   bench_model generate MODEL_DIR BATCHES.safetensors TOKENS REPEATS
//     Greedy replies to the first batch, TOKENS long. Prints the ids and milliseconds of each.
// A batch is the parts of tensor/batch.h by their names: "0.text.ids", "0.images.pixels",
// "1.masked.labels" ...

#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "recorded.h"
#include "tandem/base/error.h"
#include "tandem/jobs/model_files.h"
#include "tandem/models/kept_tower.h"
#include "tandem/tensor/device.h"
#include "tandem/train/optimizer.h"
#include "train/step.h"

namespace {

using namespace tandem;
using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

std::string listed(const std::vector<double>& values, const char* format) {
  std::string all;
  for (const double value : values) {
    char text[64];
    std::snprintf(text, sizeof text, format, value);
    all += (all.empty() ? "" : ", ") + std::string(text);
  }
  return "[" + all + "]";
}

std::vector<std::string> split(const std::string& text, char by) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, by);) parts.push_back(part);
  return parts;
}

struct Options {
  config::StageConfig stage;
  std::string cache;
};

Options read_options(const std::vector<std::string>& given, const std::string& losses) {
  Options options;
  config::StageConfig& stage = options.stage;
  for (const std::string& name : split(losses, ',')) stage.losses.emplace_back(name, 1.0);
  stage.optimizer.lr = 1e-4;
  stage.optimizer.betas = {0.9, 0.98};
  stage.optimizer.weight_decay = 0.2;
  stage.train.clear();
  for (const std::string& one : given) {
    const std::size_t at = one.find('=');
    const std::string key = one.substr(0, at), value = one.substr(std::min(at, one.size() - 1) + 1);
    if (key == "cache") {
      options.cache = value;
    } else if (key == "train" || key == "freeze") {
      config::TrainRule rule;
      rule.match = value;
      rule.freeze = key == "freeze";
      stage.train.push_back(rule);
    } else {
      throw Error(ErrorKind::config, "[bench] expected train=, freeze= or cache=; got " + one);
    }
  }
  stage.train.emplace_back();
  return options;
}

void train(const std::string& directory, const std::string& file, const Options& options,
           int warmup, int steps) {
  jobs::ModelFiles files = jobs::read_model(directory);
  const auto model = jobs::make_model(files);
  files.weights.clear();
  const std::vector<Batch> batches = bench::recorded_batches(file);
  const config::StageConfig& stage = options.stage;
  NamedTensors parameters = model->parameters();
  const auto resolved = train::resolve_rules(stage, parameters);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    parameters[i].second.set_requires_grad(resolved[i].trained);
  }
  auto* const keeper = dynamic_cast<models::KeepsTower*>(model.get());
  if (keeper != nullptr && !options.cache.empty()) {
    keeper->keep_tower(std::make_shared<models::KeptTower>(
        models::KeptSettings{.folder = options.cache, .pictures = 64}, keeper->tower_part()));
  }
  train::Optimizer optimizer(stage.optimizer, resolved, parameters);
  const dist::Mesh mesh;
  dist::GradSync sync(mesh, optimizer.parameters());
  CopyLane lane(at::kCPU);
  train::StepSettings settings;
  for (const auto& [name, weight] : stage.losses) settings.request.weights[name] = weight;
  settings.mesh = &mesh;
  settings.lane = &lane;
  model->train(true);

  std::vector<double> losses, times;
  std::string first;
  for (int step = 0; step < warmup + steps; ++step) {
    const std::vector<Batch> batch{batches[static_cast<std::size_t>(step) % batches.size()]};
    const auto before = Clock::now();
    optimizer.zero_grad();
    const auto terms =
        train::forward_backward(*model, batch, settings, sync, Key(1).fold("step"), step);
    optimizer.step(stage.optimizer.lr, terms.front().second);
    model->after_step({});
    if (step >= warmup) times.push_back(since(before));
    losses.push_back(terms.front().second.item<double>());
    for (std::size_t i = 1; step == 0 && i < terms.size(); ++i) {
      first += (i == 1 ? "\"" : ", \"") + terms[i].first +
               "\": " + std::to_string(terms[i].second.item<double>());
    }
  }
  std::printf("{\"losses\": %s, \"first\": {%s}, \"ms\": %s, \"peak_mib\": %.1f}\n",
              listed(losses, "%.9g").c_str(), first.c_str(), listed(times, "%.3f").c_str(),
              peak_mib());
}

void generate(const std::string& directory, const std::string& file, int tokens, int repeats) {
  jobs::ModelFiles files = jobs::read_model(directory);
  const auto model = jobs::make_model(files);
  files.weights.clear();
  model->train(false);
  const Batch prompt = bench::recorded_batches(file).at(0);
  const models::Abilities can = model->abilities();
  models::GenerateOptions options;
  options.max_length = options.min_length = tokens;
  std::vector<double> times;
  std::vector<std::vector<std::int64_t>> replies;
  for (int i = 0; i < repeats; ++i) {
    const auto before = Clock::now();
    replies = can.generate(prompt, options);
    times.push_back(since(before));
  }
  std::vector<double> ids(replies.at(0).begin(), replies.at(0).end());
  std::printf("{\"ids\": %s, \"ms\": %s, \"peak_mib\": %.1f}\n", listed(ids, "%.0f").c_str(),
              listed(times, "%.3f").c_str(), peak_mib());
}

int run(const std::vector<std::string>& given) {
  if (given.size() >= 6 && given[0] == "train") {
    train(given[1], given[2], read_options({given.begin() + 6, given.end()}, given[3]),
          std::atoi(given[4].c_str()), std::atoi(given[5].c_str()));
    return 0;
  }
  if (given.size() == 5 && given[0] == "generate") {
    generate(given[1], given[2], std::atoi(given[3].c_str()), std::atoi(given[4].c_str()));
    return 0;
  }
  return 64;
}

}  // namespace

int main(int argc, char** argv) {
  bench::keep_freed_memory();
  try {
    return run({argv + 1, argv + argc});
  } catch (const tandem::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return tandem::exit_code(error.kind());
  }
}
