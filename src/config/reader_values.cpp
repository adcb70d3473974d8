// The reader's scalars and lists of scalars: types, ranges, choices, units, paths.

#include <filesystem>

#include "config/reader.h"
#include "tandem/config/run_config.h"

namespace tandem::config {
namespace {

namespace fs = std::filesystem;

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text;
}

// "" when the value is in the range, else what is expected.
std::string out_of_range(double value, const Rule& rule) {
  if (rule.unset && value == *rule.unset) return {};
  const bool low = rule.min && (value < *rule.min || (rule.above_min && value == *rule.min));
  const bool high = rule.max && value > *rule.max;
  if (!low && !high) return {};
  std::string text;
  if (rule.min) text = (rule.above_min ? "above " : "at least ") + shortest(*rule.min);
  if (rule.max) text += (text.empty() ? "at most " : " and at most ") + shortest(*rule.max);
  return text;
}

// `2000 stps` -> `2000 steps`: the number with the nearest unit of this kind.
std::string near_unit(const std::string& text, Unit unit) {
  const std::size_t end = text.find_last_of("0123456789.");
  if (unit == Unit::none || end == std::string::npos || end + 1 == text.size()) return {};
  const std::string number = text.substr(0, end + 1);
  std::string word = text.substr(end + 1);
  word.erase(0, word.find_first_not_of(' '));
  const std::string near = nearest(word, unit_words(unit));
  if (near.empty() || !parse_double(number, Unit::none)) return {};
  return "'" + number + " " + near + "'";
}

std::string expected_number(const char* what, Unit unit) {
  return unit == Unit::none ? std::string(what)
                            : std::string(what) + " of " + std::string(name_of(unit));
}

}  // namespace

bool Reader::read(std::string_view name, const Node& node, bool& value) {
  const bool plain = node.kind == Node::Kind::scalar && !node.quoted;
  if (plain && (node.text == "true" || node.text == "false")) {
    value = node.text == "true";
    return true;
  }
  std::string near;
  if (node.kind == Node::Kind::scalar) {
    for (const char* yes : {"yes", "on", "True", "TRUE", "1", "y", "Yes", "true"}) {
      if (node.text == yes) near = "true";
    }
    for (const char* no : {"no", "off", "False", "FALSE", "0", "n", "No", "false"}) {
      if (node.text == no) near = "false";
    }
  }
  wrong(name, node, "true or false", near);
  return false;
}

bool Reader::read(std::string_view name, const Node& node, std::int64_t& value, const Rule& rule) {
  std::optional<std::int64_t> number;
  if (node.kind == Node::Kind::scalar && !node.quoted) number = parse_integer(node.text, rule.unit);
  if (!number) {
    wrong(name, node, expected_number("a whole number", rule.unit),
          near_unit(node.text, rule.unit));
    return false;
  }
  const std::string range = out_of_range(static_cast<double>(*number), rule);
  if (!range.empty()) {
    wrong(name, node, range);
    return false;
  }
  value = *number;
  return true;
}

bool Reader::read(std::string_view name, const Node& node, double& value, const Rule& rule) {
  std::optional<double> number;
  if (node.kind == Node::Kind::scalar && !node.quoted) number = parse_double(node.text, rule.unit);
  if (!number) {
    wrong(name, node, expected_number("a number", rule.unit), near_unit(node.text, rule.unit));
    return false;
  }
  const std::string range = out_of_range(*number, rule);
  if (!range.empty()) {
    wrong(name, node, range);
    return false;
  }
  value = *number;
  return true;
}

bool Reader::read(std::string_view name, const Node& node, std::string& value, const Rule& rule) {
  if (node.kind != Node::Kind::scalar) {
    wrong(name, node, rule.path ? "a path" : "text");
    return false;
  }
  if (rule.required && node.text.empty()) {
    wrong(name, node, rule.path ? "a path, not empty" : "text, not empty");
    return false;
  }
  if (!rule.choices.empty()) {
    for (const std::string& choice : rule.choices) {
      if (choice == node.text) {
        value = choice;
        return true;
      }
    }
    if (!rule.path) {
      wrong(name, node, joined(rule.choices), nearest(node.text, rule.choices));
      return false;
    }
  }
  if (!rule.path || node.text.empty()) {
    value = node.text;
    return true;
  }
  std::error_code ignored;
  const fs::path directory = node.place.document ? node.place.document->directory : fs::path();
  const fs::path full =
      fs::absolute(directory.empty() ? fs::path(node.text) : directory / node.text, ignored);
  value = full.lexically_normal().string();
  if (value.size() > 1 && value.back() == '/') value.pop_back();  // of `.` and `folder/`
  if (!rule.must_exist) return true;
  const fs::file_status status = fs::status(value, ignored);
  if (fs::is_regular_file(status) || fs::is_directory(status)) return true;
  const bool there = fs::exists(status);
  if (!there && context_.absent != nullptr) {
    context_.absent->push_back(shown(name) + ": " + value);
    return true;
  }
  bad_.emplace(name);
  context_.problems.add(node.place,
                        shown(name) +
                            (there ? ": expected a file or a folder; got a pipe or a device: "
                                   : ": no such file or folder: ") +
                            quote(value));
  return false;
}

template <class T>
void Reader::scalar(std::string_view name, T& value, const Rule& rule) {
  const Node* node = take(name, rule);
  if (!node) return;
  if constexpr (std::is_same_v<T, bool>) {
    read(name, *node, value);
  } else {
    read(name, *node, value, rule);
  }
}

template <class T>
void Reader::sequence(std::string_view name, std::vector<T>& value, const Rule& rule) {
  const Node* node = take(name, rule);
  if (!node) return;
  if (node->kind != Node::Kind::list) {
    wrong(name, *node, "a list");
    return;
  }
  std::vector<T> items(node->items.size());
  bool good = true;
  for (std::size_t i = 0; i < items.size(); ++i) {
    good = read(name, node->items[i], items[i], rule) && good;
  }
  if (good) value = std::move(items);
}

void Reader::field(std::string_view name, bool& value, const Rule& rule) {
  scalar(name, value, rule);
}
void Reader::field(std::string_view name, std::int64_t& value, const Rule& rule) {
  scalar(name, value, rule);
}
void Reader::field(std::string_view name, double& value, const Rule& rule) {
  scalar(name, value, rule);
}
void Reader::field(std::string_view name, std::string& value, const Rule& rule) {
  scalar(name, value, rule);
}
void Reader::field(std::string_view name, std::vector<std::int64_t>& value, const Rule& rule) {
  sequence(name, value, rule);
}
void Reader::field(std::string_view name, std::vector<double>& value, const Rule& rule) {
  sequence(name, value, rule);
}
void Reader::field(std::string_view name, std::vector<std::string>& value, const Rule& rule) {
  sequence(name, value, rule);
}

void Reader::self(double& value, const Rule& rule) {
  if (node_) read("", *node_, value, rule);
}
void Reader::self(std::string& value, const Rule& rule) {
  if (node_) read("", *node_, value, rule);
}

}  // namespace tandem::config
