#include "tandem/data/check.h"

#include <cstdio>

#include "cli/common.h"
#include "cli/verbs.h"
#include "tandem/base/error.h"
#include "tandem/train/experiment.h"
#include "tandem/train/lengths.h"
#include "tandem/train/run.h"

namespace tandem::cli {
namespace {

constexpr std::int64_t most_named = 100;  // findings of a source, without --all

// Every row and picture header of every source; 65 when training would stop for them.
int check_data(const train::PlanInput& input, bool all) {
  int code = 0;
  const auto uses = train::sample_checks(input);
  for (const auto& [name, source] : input.sources) {
    std::int64_t named = 0;
    const auto found = [&](const data::Finding& one) {
      if (++named > most_named && !all) return;
      std::printf("  %s: %s\n", one.where.c_str(), one.what.c_str());
    };
    const auto use = uses.find(name);
    const data::CheckReport report =
        data::check_source(*source, found, use == uses.end() ? train::SampleCheck() : use->second);
    if (named > most_named && !all) {
      std::printf("  ... and %lld more: --all names them\n",
                  static_cast<long long>(named - most_named));
    }
    std::fputs(data::check_line(name, *source, report).c_str(), stdout);
    if (report.too_many()) code = exit_code(ErrorKind::data);
  }
  return code;
}

}  // namespace

void add_check(CLI::App& app, const Choose& choose) {
  CLI::App* verb = app.add_subcommand("check",
                                      "print the plan, and read every row and picture header: what "
                                      "is broken, inconsistent or too long is named; "
                                      "nothing is trained, no weights are made");
  const auto config = add_config_arguments(*verb);
  const auto ranks = std::make_shared<int>(1);
  verb->add_option("--ranks", *ranks, "ranks that the plan is for")->check(CLI::Range(1, 65536));
  const auto plan_only = std::make_shared<bool>(false);
  verb->add_flag("--plan-only", *plan_only, "leave the rows and pictures of the sources unread");
  const auto all = std::make_shared<bool>(false);
  verb->add_flag("--all", *all, "name all that is wrong with a source, not the first 100 alone");
  verb->callback([=] {
    choose([=] {
      const config::Loaded loaded = load(*config, /*may_lack=*/true);
      train::PlanInput input = train::open_for_plan(loaded);
      std::fputs(train::plan(input, *ranks).c_str(), stdout);
      if (*plan_only) return 0;
      const int code = check_data(input, *all);
      for (const std::string& one : input.absent) {
        std::fprintf(stderr, "tandem: not here: %s\n", one.c_str());
      }
      return input.absent.empty() ? code : exit_code(ErrorKind::data);
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
