#include "tandem/config/recipes.h"

#include <algorithm>
#include <cstdio>

#include "cli/verbs.h"
#include "tandem/base/error.h"

namespace tandem::cli {
namespace {

namespace fs = std::filesystem;

// Beside the binary of a bundle (bin/tandem, configs) or above that of a build tree.
fs::path configs_folder() {
  fs::path folder = fs::read_symlink("/proc/self/exe").parent_path();
  for (int up = 0; up < 4; ++up, folder = folder.parent_path()) {
    if (fs::is_directory(folder / "configs")) return folder / "configs";
  }
  throw Error(ErrorKind::io, "[recipes] found no folder 'configs' beside the program", "",
              "name it with --configs");
}

int list(const fs::path& folder) {
  const std::vector<config::Recipe> all = config::recipes(folder);
  std::size_t width = 0;
  for (const config::Recipe& recipe : all) width = std::max(width, recipe.name.size());
  for (const config::Recipe& recipe : all) {
    std::string stages;
    for (const std::string& stage : recipe.stages) stages += (stages.empty() ? "" : ", ") + stage;
    std::printf("%-*s  %s\n%*s  stages: %s\n", static_cast<int>(width), recipe.name.c_str(),
                recipe.about.c_str(), static_cast<int>(width), "", stages.c_str());
  }
  return 0;
}

int copy(const fs::path& folder, const std::string& name, const std::string& out) {
  std::printf("%s\n", config::copy_recipe(folder, name, out).c_str());
  return 0;
}

}  // namespace

void add_recipes(CLI::App& app, const Choose& choose) {
  CLI::App* verb = app.add_subcommand("recipes", "the experiments that ship with the program");
  const auto folder = std::make_shared<std::string>();
  const auto from = [=] { return folder->empty() ? configs_folder() : fs::path(*folder); };
  verb->add_option("--configs", *folder, "where they are (default: beside the program)");
  verb->require_subcommand(0, 1);
  CLI::App* copying = verb->add_subcommand("copy", "a recipe and what it includes into a folder");
  const auto name = std::make_shared<std::string>();
  const auto out = std::make_shared<std::string>("configs");
  copying->add_option("NAME", *name, "as `tandem recipes` lists it")->required();
  copying->add_option("OUT", *out, "the folder (default: configs)");
  verb->callback([=] {
    if (copying->parsed()) {
      choose([=] { return copy(from(), *name, *out); });
    } else {
      choose([=] { return list(from()); });
    }
  });
}

}  // namespace tandem::cli
