// Training steps of a model from a Hugging Face directory on one recorded batch, timed:
//   bench_train_step MODEL_DIR BATCH.safetensors WARMUP STEPS
// The step is the trainer's own (forward_backward, Optimizer::step, after_step), without the
// loader. BATCH holds pixels (uint8 [B, 3, H, W]) and ids (int64 [B, T]). Prints one line of JSON:
// the loss of every step, milliseconds of each after the warm-up, the largest resident size.

#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/checkpoint/checkpoint.h"
#include "tandem/models/weights.h"
#include "tandem/tensor/safetensors.h"
#include "tandem/train/optimizer.h"
#include "train/step.h"

namespace {

using namespace tandem;

std::unique_ptr<models::Model> load_model(const std::filesystem::path& directory) {
  const models::Family& family = models::family("clip");
  const auto settings =
      family.from_config_json(read_file(directory / "config.json", std::int64_t{1} << 20));
  auto model = family.make(*settings, Key(1));
  models::assign_weights(*model,
                         family.import_weights(checkpoint::load_weights(directory), *settings));
  return model;
}

Batch load_batch(const std::filesystem::path& path) {
  const auto tensors = load_safetensors(path).tensors;
  Batch batch;
  batch.images = Images{tensors.at("pixels")};
  Tokens tokens;
  tokens.ids = tensors.at("ids");
  batch.text = tokens;
  for (std::int64_t i = 0; i < tokens.ids.size(0); ++i) batch.positions.push_back(i);
  return batch;
}

void run(const std::filesystem::path& directory, const std::filesystem::path& batch_path,
         int warmup, int steps) {
  const auto model = load_model(directory);
  const std::vector<Batch> batch{load_batch(batch_path)};
  config::StageConfig stage;
  stage.losses = {{"itc", 1.0}};
  stage.optimizer.lr = 1e-4;
  stage.optimizer.betas = {0.9, 0.98};
  stage.optimizer.weight_decay = 0.2;
  const NamedTensors parameters = model->parameters();
  train::Optimizer optimizer(stage.optimizer, train::resolve_rules(stage, parameters), parameters);
  const dist::Mesh mesh;
  dist::GradSync sync(mesh, optimizer.parameters());
  train::StepSettings settings;
  settings.request.weights = {{"itc", 1.0}};
  settings.mesh = &mesh;
  model->train(true);

  std::string losses, times;
  for (int step = 0; step < warmup + steps; ++step) {
    const auto before = std::chrono::steady_clock::now();
    optimizer.zero_grad();
    const auto terms =
        train::forward_backward(*model, batch, settings, sync, Key(1).fold("step"), step);
    optimizer.step(stage.optimizer.lr, terms.front().second);
    model->after_step({});
    const std::chrono::duration<double, std::milli> took =
        std::chrono::steady_clock::now() - before;
    char text[64];
    std::snprintf(text, sizeof text, "%s%.9g", step == 0 ? "" : ", ",
                  terms.front().second.item<double>());
    losses += text;
    std::snprintf(text, sizeof text, "%s%.3f", step == warmup ? "" : ", ", took.count());
    if (step >= warmup) times += text;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("{\"losses\": [%s], \"ms\": [%s], \"peak_mib\": %.1f}\n", losses.c_str(),
              times.c_str(), static_cast<double>(usage.ru_maxrss) / 1024);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 64;
  try {
    run(argv[1], argv[2], std::atoi(argv[3]), std::atoi(argv[4]));
  } catch (const tandem::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return tandem::exit_code(error.kind());
  }
  return 0;
}
