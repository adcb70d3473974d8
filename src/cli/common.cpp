#include "cli/common.h"

#include <filesystem>

#include "cli/verbs.h"
#include "tandem/base/files.h"
#include "tandem/data/source.h"
#include "tandem/eval/task.h"
#include "tandem/jobs/model_files.h"
#include "tandem/models/model.h"
#include "tandem/models/processor_text.h"

namespace tandem::cli {

config::Tables tables(bool may_lack) {
  config::Tables tables;
  tables.may_lack = may_lack;
  for (const models::Family& family : models::families()) {
    tables.families.names.push_back(family.name);
  }
  tables.families.make = [](std::string_view name) -> std::unique_ptr<Settings> {
    for (const models::Family& family : models::families()) {
      if (family.name == name) return family.settings();
    }
    return nullptr;
  };
  tables.pretrained = [may_lack](std::string_view name,
                                 const std::string& directory) -> std::unique_ptr<Settings> {
    for (const models::Family& family : models::families()) {
      if (family.name != name) continue;
      std::error_code error;
      if (may_lack && !std::filesystem::exists(directory, error)) return family.settings();
      const std::string folder = jobs::model_directory(directory).string();
      constexpr std::int64_t longest = std::int64_t{16} << 20;
      auto settings = family.from_config_json(read_file(folder + "/config.json", longest));
      models::read_processor_text(family, *settings, folder);
      return settings;
    }
    return nullptr;
  };
  tables.formats = data::source_formats();
  tables.tasks = eval::task_names();
  return tables;
}

std::shared_ptr<ConfigArguments> add_config_arguments(CLI::App& verb, bool required) {
  auto arguments = std::make_shared<ConfigArguments>();
  verb.add_option("config", arguments->path, "the YAML file of the experiment")->required(required);
  verb.add_option("overrides", arguments->overrides, "key=value, typed as YAML");
  return arguments;
}

config::Loaded load(const ConfigArguments& arguments, bool may_lack) {
  return config::load(arguments.path, arguments.overrides, tables(may_lack));
}

}  // namespace tandem::cli
