#include <cstdio>

#include "cli/common.h"
#include "cli/verbs.h"
#include "tandem/base/files.h"
#include "tandem/base/log.h"
#include "tandem/report/page.h"

namespace tandem::cli {
namespace {

int report(const std::vector<std::string>& folders, std::string out) {
  std::vector<report::RunData> runs;
  for (const std::string& folder : folders) {
    runs.push_back(report::read_run(folder));
    const std::filesystem::path resolved = std::filesystem::path(folder) / "resolved.yaml";
    if (std::filesystem::exists(resolved)) {
      runs.back().config = config::flat_values(read_file(resolved, longest_config));
    }
  }
  if (out.empty()) {
    out = folders.size() == 1 ? (std::filesystem::path(folders[0]) / "report.html").string()
                              : "report.html";
  }
  replace_file(out, report::html_page(runs));
  std::printf("%s\n", out.c_str());
  return 0;
}

}  // namespace

void add_report(CLI::App& app, const Choose& choose) {
  CLI::App* verb = app.add_subcommand("report", "one offline HTML page about runs");
  const auto folders = std::make_shared<std::vector<std::string>>();
  const auto out = std::make_shared<std::string>();
  verb->add_option("RUN", *folders, "folders of runs")->required();
  verb->add_option("--out", *out, "the page (default: RUN/report.html; of several ./report.html)");
  verb->callback([=] { choose([=] { return report(*folders, *out); }); });
}

}  // namespace tandem::cli
