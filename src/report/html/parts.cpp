#include "report/html/parts.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "report/html/chart.h"
#include "tandem/base/encode.h"

namespace tandem::report::html {
namespace {

std::string swatch(std::size_t run) {
  return "<span class=\"swatch c" + std::to_string(run % 8) + "\"></span>";
}

std::string cell(const std::string& text, const char* tag = "td") {
  return std::string("<") + tag + ">" + text + "</" + tag + ">";
}

std::string row(const std::vector<std::string>& cells, const char* tag = "td") {
  std::string text = "<tr>";
  for (const std::string& one : cells) text += cell(one, tag);
  return text + "</tr>\n";
}

std::string table(const std::string& rows) {
  return "<div class=wide><table>\n" + rows + "</table></div>\n";
}

std::string percent(double share) {
  return std::isfinite(share) ? shown(std::round(1000 * share) / 10) + " %" : std::string("-");
}

double sum_of(const RunData& run, const std::string& name) {
  double sum = 0;
  for (const Row& row : run.rows) {
    for (const auto& [key, value] : row.values) {
      if (key == name && std::isfinite(value)) sum += value;
    }
  }
  return sum;
}

std::string last_of(const RunData& run, const std::string& name) {
  for (auto row = run.rows.rbegin(); row != run.rows.rend(); ++row) {
    for (const auto& [key, value] : row->values) {
      if (key == name) return std::isfinite(value) ? shown(value) : "not finite";
    }
  }
  return "-";
}

std::string duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  std::string text;
  if (whole >= 3600) text += std::to_string(whole / 3600) + " h ";
  if (whole >= 60) text += std::to_string(whole / 60 % 60) + " min ";
  return text + std::to_string(whole % 60) + " s";
}

double samples_of(const RunData& run) {
  double sum = 0;
  for (const Row& one : run.rows) {
    for (const StageInfo& stage : run.stages) {
      if (stage.name == one.stage) sum += static_cast<double>(stage.batch);
    }
  }
  return sum;
}

// "3.1 % (decoding)"
std::string waiting(const RunData& run) {
  const double total = sum_of(run, "time.wait"), steps = sum_of(run, "time.step");
  std::string worst;
  double most = 0;
  for (const auto& [name, word] :
       {std::pair("time.wait.read", "reading"), std::pair("time.wait.prepare", "decoding"),
        std::pair("time.wait.collate", "collating")}) {
    const double part = sum_of(run, name);
    if (part <= most) continue;
    most = part;
    worst = word;
  }
  return percent(total / steps) + (worst.empty() ? "" : ", most of it " + worst);
}

std::int64_t done_of(const RunData& run, const StageInfo& stage) {
  return std::count_if(run.rows.begin(), run.rows.end(),
                       [&](const Row& row) { return row.stage == stage.name; });
}

std::string picture(const std::string& bytes, const std::string& text) {
  if (bytes.empty()) return {};
  return "<img alt=\"" + escape_html(text) + "\" src=\"data:image/png;base64," + to_base64(bytes) +
         "\">";
}

std::string answer(const SampleAnswer& one) {
  return std::string("<li") + (one.right ? " class=right" : "") + ">" +
         picture(one.picture, one.text) + "<span>" + (one.right ? "✓ " : "") +
         escape_html(one.text) + "</span> <small>" + shown(one.score) + "</small></li>";
}

}  // namespace

std::string overview(const std::vector<RunData>& runs) {
  std::string rows = row({"run", "steps", "loss at the end", "time in steps", "samples/s",
                          "waited for the loader", "bad samples", "broken steps"},
                         "th");
  std::string notes;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const RunData& run = runs[i];
    const double seconds = sum_of(run, "time.step");
    std::int64_t planned = 0;
    for (const StageInfo& stage : run.stages) planned += stage.steps;
    const std::int64_t step = run.rows.empty() ? 0 : run.rows.back().step;
    rows += row({swatch(i) + escape_html(run.name),
                 std::to_string(step) + (planned > 0 ? " of " + std::to_string(planned) : ""),
                 last_of(run, "loss"), duration(seconds),
                 seconds > 0 ? shown(std::round(samples_of(run) / seconds)) : "-", waiting(run),
                 std::to_string(run.bad_samples), std::to_string(run.broken_steps)});
    notes += "<details><summary>" + swatch(i) + "how " + escape_html(run.name) +
             " was started</summary><pre>" + escape_html(run.command) +
             escape_html(run.environment) + "</pre></details>\n";
  }
  return table(rows) + notes;
}

std::string stage_tracks(const std::vector<RunData>& runs) {
  std::int64_t longest = 1;
  for (const RunData& run : runs) {
    std::int64_t steps = 0;
    for (const StageInfo& stage : run.stages) steps += stage.steps;
    longest = std::max(longest, steps);
  }
  std::string text;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    std::string bars;
    for (const StageInfo& stage : runs[i].stages) {
      const double width = 100 * static_cast<double>(stage.steps) / static_cast<double>(longest);
      const double done = stage.steps > 0 ? 100 * static_cast<double>(done_of(runs[i], stage)) /
                                                static_cast<double>(stage.steps)
                                          : 0;
      std::string losses;
      for (const auto& [name, weight] : stage.losses) {
        losses += (losses.empty() ? "" : " + ") + (weight == 1 ? "" : shown(weight) + " ") + name;
      }
      const std::string label = stage.name + ": " + std::to_string(stage.steps) + " steps of " +
                                std::to_string(stage.batch) + ", " + losses;
      bars += "<div class=stage style=\"width:" + shown(width) + "%\" title=\"" +
              escape_html(label) + "\"><div class=\"done c" + std::to_string(i % 8) +
              "\" style=\"width:" + shown(std::min(done, 100.0)) + "%\"></div><span>" +
              escape_html(label) + "</span></div>";
    }
    if (bars.empty()) continue;
    const std::string name =
        runs.size() > 1 ? "<p class=run>" + swatch(i) + escape_html(runs[i].name) + "</p>" : "";
    text += joined({name, "<div class=track>", bars, "</div>\n"});
  }
  return text;
}

std::string data_seen(const std::vector<RunData>& runs) {
  std::string rows;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (const StageInfo& stage : runs[i].stages) {
      RunData part{.name = runs[i].name};
      for (const Row& one : runs[i].rows) {
        if (one.stage == stage.name) part.rows.push_back(one);
      }
      const double all = static_cast<double>(part.rows.size()) * static_cast<double>(stage.batch);
      for (const auto& [name, size] : stage.sources) {
        const double seen = stage.sources.size() == 1 ? all : sum_of(part, "seen." + name);
        const double share = all > 0 ? seen / all : 0;
        rows +=
            row({(runs.size() > 1 ? swatch(i) : "") + escape_html(stage.name), escape_html(name),
                 "<div class=bar><div class=\"c" + std::to_string(i % 8) +
                     "\" style=\"width:" + shown(100 * share) + "%\"></div></div>",
                 percent(share), shown(seen), shown(static_cast<double>(size)),
                 size > 0 ? shown(seen / static_cast<double>(size)) : "-"});
      }
    }
  }
  if (rows.empty()) return {};
  return table(
      row({"stage", "source", "share", "", "samples seen", "samples there are", "epochs"}, "th") +
      rows);
}

std::string predictions(const std::vector<RunData>& runs) {
  std::string text;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (const SampleSet& set : runs[i].samples) {
      text += "<h3>" + (runs.size() > 1 ? swatch(i) + escape_html(runs[i].name) + ": " : "") +
              escape_html(set.name) + ", step " + std::to_string(set.step) +
              "</h3>\n<div class=samples>";
      for (const SampleQuery& query : set.queries) {
        text += "<article><div class=query>" + picture(query.picture, query.text) + "<p>" +
                escape_html(query.text) + "</p></div><ol>";
        for (const SampleAnswer& one : query.answers) text += answer(one);
        text += "</ol></article>\n";
      }
      text += "</div>\n";
    }
  }
  return text;
}

std::string configs(const std::vector<RunData>& runs) {
  std::set<std::string> keys;
  for (const RunData& run : runs) {
    for (const auto& [key, value] : run.config) keys.insert(key);
  }
  std::string rows;
  for (const std::string& key : keys) {
    std::vector<std::string> cells{"<code>" + escape_html(key) + "</code>"};
    std::set<std::string> values;
    for (const RunData& run : runs) {
      const auto found = run.config.find(key);
      values.insert(found == run.config.end() ? "" : found->second);
      cells.push_back(found == run.config.end() ? "<i>absent</i>" : escape_html(found->second));
    }
    if (runs.size() == 1 || values.size() > 1) rows += row(cells);
  }
  if (runs.size() == 1) {
    return rows.empty() ? rows
                        : "<details><summary>every value</summary>" + table(rows) + "</details>\n";
  }
  if (rows.empty()) return keys.empty() ? "" : "<p>The configs are the same.</p>\n";
  std::vector<std::string> head{"key"};
  for (std::size_t i = 0; i < runs.size(); ++i)
    head.push_back(swatch(i) + escape_html(runs[i].name));
  return table(row(head, "th") + rows);
}

}  // namespace tandem::report::html
