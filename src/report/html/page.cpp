// The page: what stands on it, in the order in which a person asks.

#include "tandem/report/page.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "report/html/chart.h"
#include "report/html/parts.h"
#include "tandem/base/encode.h"
#include "tandem/base/error.h"

namespace tandem::report {
namespace {

using html::shown;

using Points = std::vector<std::pair<double, double>>;

double value_of(const Row& row, const std::string& name) {
  for (const auto& [key, value] : row.values) {
    if (key == name) return value;
  }
  return std::nan("");
}

Points points_of(const RunData& run, const std::string& name) {
  Points points;
  for (const Row& row : run.rows) {
    for (const auto& [key, value] : row.values) {
      if (key == name) points.emplace_back(static_cast<double>(row.step), value);
    }
  }
  return points;
}

// A number of each row that is made of others; clocks jump, so that it is smoothed.
template <class F>
Points derived(const RunData& run, const F& value) {
  Points points;
  for (const Row& row : run.rows) points.emplace_back(static_cast<double>(row.step), value(row));
  return html::thinned(points, 60);
}

std::int64_t batch_of(const RunData& run, const std::string& stage) {
  for (const StageInfo& one : run.stages) {
    if (one.name == stage) return one.batch;
  }
  return 0;
}

class Charts {
 public:
  explicit Charts(const std::vector<RunData>& runs) : runs_(runs) {
    for (const RunData& run : runs) {
      for (const StageInfo& stage : run.stages) {
        if (stage.first_step > 1) borders_.insert(static_cast<double>(stage.first_step));
      }
    }
  }

  template <class F>
  std::string draw(const std::string& title, const F& points, bool from_zero = false,
                   const std::string& level_of = {}) const {
    html::Chart chart{.title = title, .from_zero = from_zero};
    chart.borders.assign(borders_.begin(), borders_.end());
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      chart.lines.push_back({runs_[i].name, i, points(runs_[i])});
      for (const StageInfo& stage : runs_[i].stages) add_level(chart, stage, level_of);
    }
    return html::figure(chart);
  }

  std::string of(const std::string& name, const std::string& title,
                 const std::string& level_of = {}) const {
    return draw(
        title, [&](const RunData& run) { return points_of(run, name); }, false, level_of);
  }

 private:
  static void add_level(html::Chart& chart, const StageInfo& stage, const std::string& loss) {
    const auto found = stage.chance.find(loss);
    if (found == stage.chance.end()) return;
    const auto& [value, meaning] = found->second;
    for (const auto& [there, name] : chart.levels) {
      if (there == value) return;
    }
    chart.levels.emplace_back(value, "chance, " + meaning);
  }

  const std::vector<RunData>& runs_;
  std::set<double> borders_{};
};

// r5 before r10: the shorter name first, where they differ in a number at the end.
struct ByNumber {
  bool operator()(const std::string& a, const std::string& b) const {
    const auto stem = [](const std::string& name) {
      return name.substr(0, name.find_last_not_of("0123456789") + 1);
    };
    if (stem(a) == stem(b) && a.size() != b.size()) return a.size() < b.size();
    return a < b;
  }
};
using Names = std::set<std::string, ByNumber>;

// The names of all rows that begin so, sorted.
Names names_with(const std::vector<RunData>& runs, const std::string& prefix) {
  Names names;
  for (const RunData& run : runs) {
    for (const Row& row : run.rows) {
      for (const auto& [name, value] : row.values) {
        if (name.starts_with(prefix)) names.insert(name);
      }
    }
  }
  return names;
}

std::string losses(const std::vector<RunData>& runs, const Charts& charts) {
  const Names parts = names_with(runs, "loss.");
  std::string text;
  if (parts.size() == 1) {
    text += charts.of("loss", "loss", parts.begin()->substr(5));
  } else {
    text += charts.of("loss", "loss: the weighted sum");
    for (const std::string& name : parts) text += charts.of(name, name, name.substr(5));
  }
  return text + charts.of("lr", "learning rate") + charts.of("grad_norm", "norm of the gradient");
}

std::string speed(const Charts& charts) {
  return charts.draw(
             "samples per second",
             [](const RunData& run) {
               return derived(run, [&](const Row& row) {
                 return static_cast<double>(batch_of(run, row.stage)) / value_of(row, "time.step");
               });
             },
             true) +
         charts.draw(
             "share of a step that it waited for the loader",
             [](const RunData& run) {
               return derived(run, [](const Row& row) {
                 return value_of(row, "time.wait") / value_of(row, "time.step");
               });
             },
             true);
}

std::string measured(const std::vector<RunData>& runs, const Charts& charts) {
  std::string text;
  for (const char* prefix : {"eval.", "ema.eval."}) {
    for (const std::string& name : names_with(runs, prefix)) text += charts.of(name, name);
  }
  return text;
}

std::string section(const std::string& title, const std::string& body,
                    const std::string& note = {}) {
  if (body.empty()) return {};
  return "<section><h2>" + title + "</h2>\n" +
         (note.empty() ? "" : "<p class=note>" + note + "</p>\n") + body + "</section>\n";
}

std::string grid(const std::string& figures) {
  return figures.empty() ? figures : "<div class=charts>\n" + figures + "</div>\n";
}

}  // namespace

std::string html_page(const std::vector<RunData>& runs) {
  TANDEM_CHECK(!runs.empty(), "[report] a page without a run");
  const Charts charts(runs);
  std::string title = "Tandem: ";
  for (const RunData& run : runs) title += (&run == &runs.front() ? "" : ", ") + run.name;
  std::string body = "<header><h1>" + escape_html(title) + "</h1>\n" + html::overview(runs) +
                     "</header>\n<main>\n";
  body += section("Stages", html::stage_tracks(runs),
                  "A bar is as long as the stage's steps; the dark part is done.");
  body += section("Losses", grid(losses(runs, charts)),
                  "A dashed line is the loss of one who guesses; a thin one the start of a stage.");
  body += section("Measured", grid(measured(runs, charts)));
  body += section("Speed", grid(speed(charts)));
  body += section("Data seen", html::data_seen(runs));
  body += section("Predictions", html::predictions(runs),
                  "Of the newest evaluation. What is right has a mark and a green edge.");
  body += section(runs.size() > 1 ? "Differences of the configs" : "Config", html::configs(runs));
  return html::document(title, body + "</main>\n");
}

}  // namespace tandem::report
