// `dotted.key=value` on the tree, before it is checked: a key that no struct knows is found by the
// reader, at the override's own place.

#include <algorithm>
#include <charconv>

#include "config/node.h"
#include "tandem/config/run_config.h"

namespace tandem::config {
namespace {

std::vector<std::string> split(std::string_view key) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t dot = key.find('.');
    parts.emplace_back(key.substr(0, dot));
    if (dot == std::string_view::npos) return parts;
    key.remove_prefix(dot + 1);
  }
}

std::string item_name(const Node& item) {
  const Node* name = item.find("name");
  return name && name->kind == Node::Kind::scalar ? name->text : std::string();
}

// By name first, then by position; nullptr after a problem was added.
Node* find_item(Node& list, const std::string& part, const std::string& path, const Place& place,
                Problems& problems) {
  std::vector<std::string> names;
  for (Node& item : list.items) {
    const std::string name = item_name(item);
    if (!name.empty() && name == part) return &item;
    if (!name.empty()) names.push_back(name);
  }
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
  if (error == std::errc() && end == part.data() + part.size() && index < list.items.size()) {
    return &list.items[index];
  }
  std::string text = path + " has no " + quote(part);
  const std::string near = nearest(part, names);
  if (!near.empty()) {
    text += "; did you mean " + path + "." + near + "?";
  } else {
    text += ": " + std::to_string(list.items.size()) + " there, by position from 0";
    if (!names.empty()) text += " or by name";
  }
  problems.add(place, text);
  return nullptr;
}

Node* step(Node& node, const std::string& part, const std::string& path, const Place& place,
           Problems& problems) {
  if (node.kind == Node::Kind::list) return find_item(node, part, path, place, problems);
  if (node.kind == Node::Kind::scalar) {
    problems.add(place, path + " is a single value: it has no " + quote(part));
    return nullptr;
  }
  if (node.kind == Node::Kind::null) {  // an empty block
    node.kind = Node::Kind::map;
    node.removes = false;
    node.place = place;
  }
  if (Node* found = node.find(part)) return found;
  Node fresh;
  fresh.place = place;
  node.entries.push_back({part, place, fresh});
  return &node.entries.back().value;
}

}  // namespace

void apply_override(Node& root, const std::string& text, int order, Problems& problems) {
  auto document = std::make_shared<Document>();
  document->name = text;
  std::error_code ignored;
  document->directory = std::filesystem::current_path(ignored);
  document->is_override = true;
  document->order = order;
  const Place place{document, 1, 1};

  const std::size_t equals = text.find('=');
  const std::vector<std::string> parts = split(std::string_view(text).substr(0, equals));
  if (equals == std::string::npos || std::find(parts.begin(), parts.end(), "") != parts.end()) {
    problems.add(place, "expected dotted.key=value");
    return;
  }
  if (parts.size() > static_cast<std::size_t>(kMaxDepth)) {
    problems.add(place, "nested too deeply");
    return;
  }
  Node value;
  if (!parse(text.substr(equals + 1), document, problems, value)) return;
  value.removes = value.kind == Node::Kind::null;

  Node* node = &root;
  std::string path;
  for (const std::string& part : parts) {
    node = step(*node, part, path, place, problems);
    if (!node) return;
    path += (path.empty() ? "" : ".") + part;
  }
  *node = std::move(value);
}

}  // namespace tandem::config
