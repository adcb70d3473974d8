#include <cstdio>

#include "cli/verbs.h"
#include "tandem/jobs/model_files.h"
#include "tandem/jobs/verify.h"

namespace tandem::cli {
namespace {

struct Paths {
  std::string from{}, to{};
};

using Copy = void (*)(const std::filesystem::path&, const std::filesystem::path&);

void add_copy(CLI::App& app, const Choose& choose, const std::string& name, const std::string& from,
              const std::string& what, Copy copy) {
  CLI::App* verb = app.add_subcommand(name, what);
  const auto paths = std::make_shared<Paths>();
  verb->add_option(from, paths->from, "where the model is")->required();
  verb->add_option("OUT", paths->to, "a new or empty directory")->required();
  verb->callback([=] {
    choose([=] {
      copy(paths->from, paths->to);
      return 0;
    });
  });
}

}  // namespace

void add_weights(CLI::App& app, const Choose& choose) {
  add_copy(app, choose, "import", "HF_DIR",
           "a Hugging Face directory, or weights under the original's names, to one of ours",
           jobs::import_model);
  add_copy(app, choose, "export", "MODEL",
           "a run, a checkpoint or a directory to a Hugging Face directory", jobs::export_model);
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
