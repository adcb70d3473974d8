#include "config/node.h"

#include <algorithm>
#include <tuple>

#include "tandem/base/error.h"

namespace tandem::config {
namespace {

constexpr std::size_t kShownProblems = 200, kShownText = 80;

std::string one_line(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      shown += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      shown += '?';
    } else {
      shown += c;
    }
  }
  return shown;
}

}  // namespace

std::string to_string(const Place& place) {
  if (!place.document) return "config";
  if (place.document->is_override) return "override: " + one_line(place.document->name);
  return one_line(place.document->name) + ":" + std::to_string(place.line) + ":" +
         std::to_string(place.column);
}

std::string quote(std::string_view text) {
  if (text.size() <= kShownText) return "'" + one_line(text) + "'";
  std::size_t end = kShownText;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return "'" + one_line(text.substr(0, end)) + "...'";
}

std::string_view name_of(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::null:
      return "nothing";
    case Node::Kind::scalar:
      return "a single value";
    case Node::Kind::list:
      return "a list";
    case Node::Kind::map:
      return "a map";
  }
  return "";
}

const Node* Node::find(std::string_view key) const {
  if (kind != Kind::map) return nullptr;
  for (const Entry& entry : entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

Node* Node::find(std::string_view key) { return const_cast<Node*>(std::as_const(*this).find(key)); }

void Problems::add(const Place& place, std::string text) {
  list_.emplace_back(place, std::move(text));
}

void Problems::raise_if_any() {
  if (list_.empty()) return;
  const auto rank = [](const Place& p) {
    return std::make_tuple(p.document && p.document->is_override,
                           p.document ? p.document->order : -1, p.line, p.column);
  };
  std::stable_sort(list_.begin(), list_.end(),
                   [&](const auto& a, const auto& b) { return rank(a.first) < rank(b.first); });
  std::string report;
  for (std::size_t i = 0; i < list_.size() && i < kShownProblems; ++i) {
    if (i > 0) report += '\n';
    report += to_string(list_[i].first) + ": " + one_line(list_[i].second);
  }
  if (list_.size() > kShownProblems) {
    report += "\nand " + std::to_string(list_.size() - kShownProblems) + " more";
  }
  throw Error(ErrorKind::config, report);
}

}  // namespace tandem::config
