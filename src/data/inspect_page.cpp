// An inspection as lines and as a page. The page's look: the pictures as they are stored on the
// left, as training sees them on the right, what is written about them below.

#include <algorithm>
#include <cstdio>

#include "tandem/base/encode.h"
#include "tandem/data/inspect.h"

namespace tandem::data {
namespace {

std::string one_decimal(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::string spread_line(const Spread& s) {
  return std::to_string(s.least) + " to " + std::to_string(s.most) + ", median " +
         std::to_string(s.median) + ", mean " + one_decimal(s.mean) + ", 95 % up to " +
         std::to_string(s.percentile_95);
}

// The most frequent ones first.
std::string most_frequent(const std::map<std::string, std::int64_t>& counts, std::size_t most) {
  std::vector<std::pair<std::string, std::int64_t>> sorted(counts.begin(), counts.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string text;
  for (std::size_t i = 0; i < sorted.size() && i < most; ++i) {
    text += (i == 0 ? "" : ", ") + sorted[i].first + ": " + std::to_string(sorted[i].second);
  }
  if (sorted.size() > most) text += ", " + std::to_string(sorted.size() - most) + " others";
  return text;
}

// Rows of a name and a value, for both the terminal and the page.
std::vector<std::pair<std::string, std::string>> facts_of(const Inspection& x) {
  std::vector<std::pair<std::string, std::string>> rows;
  std::string samples = std::to_string(x.samples);
  if (x.counted < x.samples) {
    samples += "; what follows is counted over " + std::to_string(x.counted) + " of them";
  }
  rows.emplace_back("samples", samples);
  if (x.pictures > 0) {
    rows.emplace_back("pictures",
                      std::to_string(x.pictures) + " (" + most_frequent(x.encodings, 5) + ")");
    rows.emplace_back("width", spread_line(x.width));
    rows.emplace_back("height", spread_line(x.height));
    rows.emplace_back("sizes", most_frequent(x.sizes, 5));
    rows.emplace_back("same pictures", std::to_string(x.same_pictures));
  }
  std::string captions = std::to_string(x.texts);
  if (x.texts > 0) captions += "; of a sample " + spread_line(x.texts_each);
  if (x.without_text > 0) captions += "; " + std::to_string(x.without_text) + " samples have none";
  rows.emplace_back("captions", captions);
  if (x.texts > 0) {
    rows.emplace_back("words", spread_line(x.words));
    if (x.tokens.count > 0) rows.emplace_back("tokens", spread_line(x.tokens));
    rows.emplace_back("same captions", std::to_string(x.same_texts));
  }
  rows.emplace_back("bad samples", std::to_string(x.bad));
  if (x.left_out > 0) rows.emplace_back("left out", std::to_string(x.left_out));
  return rows;
}

std::string image_tag(const std::string& png, const std::string& alt) {
  if (png.empty()) return "";
  return "<img alt=\"" + escape_html(alt) + "\" src=\"data:image/png;base64," + to_base64(png) +
         "\">";
}

std::string card(const ShownSample& one) {
  std::string html = "<article><div class=pictures>" + image_tag(one.picture_png, "as stored") +
                     image_tag(one.view_png, "as training sees it") + "</div>";
  if (!one.problem.empty()) html += "<p class=bad>" + escape_html(one.problem) + "</p>";
  html += "<ul>";
  for (const std::string& text : one.texts) html += "<li>" + escape_html(text) + "</li>";
  return html + "</ul><footer>" + escape_html(one.id) + "<br>" + escape_html(one.facts) +
         "</footer></article>\n";
}

std::string section(const Inspection& x) {
  std::string html = "<section><h2>" + escape_html(x.name) + "</h2><table>";
  for (const auto& [name, value] : facts_of(x)) {
    html += "<tr><th>" + escape_html(name) + "</th><td>" + escape_html(value) + "</td></tr>";
  }
  html += "</table>";
  if (!x.findings.empty()) {
    html += "<h3>What is wrong</h3><ul class=bad>";
    for (const Finding& one : x.findings) {
      html += "<li>" + escape_html(one.where) + ": " + escape_html(one.what) + "</li>";
    }
    html += "</ul>";
  }
  html += "<div class=cards>\n";
  for (const ShownSample& one : x.shown) html += card(one);
  return html + "</div></section>\n";
}

constexpr const char* head = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Tandem: data</title>
<meta name="viewport" content="width=device-width">
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1200px; padding: 0 1em;
       color: #222; background: #fafafa; }
h2 { margin: 1.5em 0 .4em; }
th { text-align: left; padding: .1em 1.2em .1em 0; font-weight: 600; vertical-align: top; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(270px, 1fr)); gap: 14px;
         margin-top: 1em; }
article { background: #fff; border: 1px solid #ddd; border-radius: 6px; padding: 10px;
          overflow-wrap: anywhere; }
.pictures { display: flex; gap: 6px; align-items: flex-start; }
.pictures img { max-width: calc(50% - 3px); background: #eee; }
article ul { margin: .5em 0; padding-left: 1.2em; }
footer { color: #777; font-size: 12px; }
.bad { color: #a00; }
</style></head><body>
<h1>Data</h1>
<p>Each picture as it is stored and, beside it, as one draw of the training view sees it.</p>
)";

}  // namespace

std::string inspection_text(const Inspection& x) {
  std::string text = x.name + "\n";
  for (const auto& [name, value] : facts_of(x)) {
    text += "  " + name + std::string(name.size() < 15 ? 15 - name.size() : 1, ' ') + value + "\n";
  }
  for (const Finding& one : x.findings) text += "    " + one.where + ": " + one.what + "\n";
  return text;
}

std::string inspection_page(const std::vector<Inspection>& inspections) {
  std::string html = head;
  for (const Inspection& one : inspections) html += section(one);
  return html + "</body></html>\n";
}

}  // namespace tandem::data
