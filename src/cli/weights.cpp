#include <cstdio>

#include "cli/verbs.h"
#include "tandem/jobs/model_files.h"
#include "tandem/jobs/verify.h"

namespace tandem::cli {
namespace {

struct Paths {
  std::string from{}, to{};
};

CLI::App* add_copy(CLI::App& app, const Choose& choose, const std::string& name,
                   const std::string& from, const std::string& what,
                   const std::function<void(const Paths&)>& copy) {
  CLI::App* verb = app.add_subcommand(name, what);
  const auto paths = std::make_shared<Paths>();
  verb->add_option(from, paths->from, "where the model is")->required();
  verb->add_option("OUT", paths->to, "a new or empty directory")->required();
  verb->callback([=] {
    choose([=] {
      copy(*paths);
      return 0;
    });
  });
  return verb;
}

}  // namespace

void add_weight_choice(CLI::App& verb, jobs::WeightChoice& choice) {
  verb.add_flag("--ema", choice.average, "the averages of the weights");
  verb.add_flag("--best", choice.best, "of a run: its best checkpoint, not its newest");
}

void add_weights(CLI::App& app, const Choose& choose) {
  add_copy(app, choose, "import", "HF_DIR",
           "a Hugging Face directory, or weights under the original's names, to one of ours",
           [](const Paths& paths) { jobs::import_model(paths.from, paths.to); });
  const auto options = std::make_shared<jobs::WeightChoice>();
  CLI::App* copy =
      add_copy(app, choose, "export", "MODEL",
               "a run, a checkpoint or a directory to a Hugging Face directory",
               [=](const Paths& paths) { jobs::export_model(paths.from, paths.to, *options); });
  add_weight_choice(*copy, *options);
  CLI::App* verb =
      app.add_subcommand("verify", "compare a model with recorded outputs and gradients");
  const auto paths = std::make_shared<Paths>();
  verb->add_option("MODEL_DIR", paths->from, "a directory with config.json and weights")
      ->required();
  verb->add_option("REFERENCE", paths->to, "a .safetensors file of inputs and outputs")->required();
  verb->callback([=] {
    choose([=] {
      const jobs::VerifyReport report = jobs::verify(paths->from, paths->to);
      std::fputs(report.text().c_str(), stdout);
      return report.equal() ? 0 : 1;
    });
  });
}

}  // namespace tandem::cli
