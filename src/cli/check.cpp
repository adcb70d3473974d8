#include <cstdio>

#include "cli/common.h"
#include "cli/verbs.h"
#include "tandem/base/error.h"
#include "tandem/train/run.h"

namespace tandem::cli {

void add_check(CLI::App& app, const Choose& choose) {
  CLI::App* verb =
      app.add_subcommand("check", "check config and data and print the plan; nothing is trained");
  const auto config = add_config_arguments(*verb);
  const auto ranks = std::make_shared<int>(1);
  verb->add_option("--ranks", *ranks, "ranks that the plan is for")->check(CLI::Range(1, 65536));
  verb->callback([=] {
    choose([=] {
      std::fputs(train::plan(load(*config).config, *ranks).c_str(), stdout);
      return 0;
    });
  });
}

void add_config(CLI::App& app, const Choose& choose) {
  CLI::App* verb =
      app.add_subcommand("config", "print the resolved config with the origin of each value");
  const auto config = add_config_arguments(*verb, /*required=*/false);
  const auto schema = std::make_shared<bool>(false);
  verb->add_flag("--schema", *schema, "print every key that a config may have: docs/config.md");
  verb->callback([=] {
    choose([=] {
      if (*schema) {
        std::fputs(config::schema_page(tables()).c_str(), stdout);
        return 0;
      }
      if (config->path.empty()) {
        throw Error(ErrorKind::config, "expected a config or --schema; got neither",
                    "tandem config");
      }
      std::fputs(load(*config).origins.c_str(), stdout);
      return 0;
    });
  });
}

}  // namespace tandem::cli
