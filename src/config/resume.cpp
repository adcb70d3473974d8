// What may differ between a run and the config that goes on with it.

#include <algorithm>
#include <map>
#include <regex>

#include "config/node.h"
#include "tandem/base/error.h"
#include "tandem/config/run_config.h"

namespace tandem::config {
namespace {

// What changes no number of the run before this point: when it ends, what is measured and kept, and
// how the work is cut.
bool may_differ(const std::string& key) {
  static const std::regex free(
      R"((name|threads|recompute|(loader|eval|checkpoint|report)(\..*)?)"
      R"(|stages\.[^.]*\.((until|stop)(\..*)?|data\.micro_batch|cache(\.(folder|pictures))?)))");
  return std::regex_match(key, free);
}

void flatten(const Node& node, const std::string& key, std::map<std::string, std::string>& out) {
  const auto below = [&](const std::string& part) { return key.empty() ? part : key + "." + part; };
  switch (node.kind) {
    case Node::Kind::null:
      out[key] = "null";
      return;
    case Node::Kind::scalar:
      out[key] = node.text;
      return;
    case Node::Kind::map:
      if (node.entries.empty()) out[key] = "{}";
      for (const Entry& entry : node.entries) flatten(entry.value, below(entry.key), out);
      return;
    case Node::Kind::list:
      break;
  }
  const auto single = [](const Node& n) { return n.kind == Node::Kind::scalar; };
  if (std::all_of(node.items.begin(), node.items.end(), single)) {
    std::string text;
    for (const Node& item : node.items) text += (text.empty() ? "" : ", ") + item.text;
    out[key] = "[" + text + "]";
    return;
  }
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    const Node* name = key == "stages" ? node.items[i].find("name") : nullptr;
    flatten(node.items[i], below(name ? name->text : std::to_string(i)), out);
  }
}

std::map<std::string, std::string> values_of(const std::string& text, const char* name) {
  auto document = std::make_shared<Document>();
  document->name = name;
  Problems problems;
  Node root;
  parse(text, document, problems, root);
  problems.raise_if_any();
  std::map<std::string, std::string> values;
  flatten(root, "", values);
  // The order of the stages is part of the run; a name is no position.
  const Node* stages = root.find("stages");
  if (stages && stages->kind == Node::Kind::list) {
    std::string order;
    for (const Node& stage : stages->items) {
      const Node* stage_name = stage.find("name");
      order += (order.empty() ? "" : ", ") + (stage_name ? stage_name->text : "");
    }
    values["stages"] = "[" + order + "]";
  }
  return values;
}

}  // namespace

std::map<std::string, std::string> flat_values(const std::string& resolved) {
  return values_of(resolved, "the config");
}

std::vector<std::string> resume_differences(const std::string& old_resolved,
                                            const std::string& new_resolved) {
  const auto before = values_of(old_resolved, "the run's config");
  const auto now = values_of(new_resolved, "the new config");
  std::map<std::string, std::pair<std::string, std::string>> both;
  for (const auto& [key, value] : before) both[key] = {value, "(absent)"};
  for (const auto& [key, value] : now) {
    if (both.emplace(key, std::make_pair("(absent)", value)).second) continue;
    both[key].second = value;
  }
  std::vector<std::string> lines;
  for (const auto& [key, values] : both) {
    if (values.first == values.second || may_differ(key)) continue;
    lines.push_back(key + ": " + values.first + " -> " + values.second);
  }
  return lines;
}

}  // namespace tandem::config
