#include "models/config_node.h"

#include "tandem/base/error.h"
#include "tandem/base/json.h"
#include "tandem/base/log.h"

namespace tandem::models {

using nlohmann::json;

void wrong_config(const std::string& path, const std::string& expected, const json& got) {
  std::string text = got.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 60) + "...";
  throw Error(ErrorKind::config,
              "config.json: " + path + ": expected " + expected + "; got " + text);
}

json parse_config(const std::string& text, const std::string& name) {
  json root;
  try {
    root = parse_json(text, name);
  } catch (const Error& error) {
    throw Error(ErrorKind::config, error.message(), error.where());
  }
  if (!root.is_object()) throw Error(ErrorKind::config, "expected a JSON map", name);
  return root;
}

const json* ConfigNode::find(const std::string& name) const {
  const auto found = value->find(name);
  return found == value->end() || found->is_null() ? nullptr : &*found;
}

std::int64_t ConfigNode::whole(const std::string& name, std::int64_t fallback, std::int64_t low,
                               std::int64_t high) const {
  const json* found = find(name);
  if (found == nullptr) return fallback;
  const std::string range =
      "a whole number from " + std::to_string(low) + " to " + std::to_string(high);
  if (!found->is_number_integer()) wrong_config(path + name, range, *found);
  const auto number = found->get<double>();  // unsigned ones may not fit in 64 bits
  if (number < static_cast<double>(low) || number > static_cast<double>(high)) {
    wrong_config(path + name, range, *found);
  }
  return found->get<std::int64_t>();
}

std::int64_t ConfigNode::id(const std::string& name, std::int64_t fallback) const {
  const bool none = find(name) == nullptr && value->contains(name);
  return none ? -1 : whole(name, fallback, -1, 10'000'000);
}

double ConfigNode::number(const std::string& name, double fallback) const {
  const json* found = find(name);
  if (found == nullptr) return fallback;
  if (!found->is_number()) wrong_config(path + name, "a number", *found);
  return found->get<double>();
}

double ConfigNode::number(const std::string& name, double fallback, double low, double high) const {
  const double result = number(name, fallback);
  if (!(result >= low && result <= high)) {
    wrong_config(path + name, "a number from " + json(low).dump() + " to " + json(high).dump(),
                 json(result));
  }
  return result;
}

bool ConfigNode::flag(const std::string& name, bool fallback) const {
  const json* found = find(name);
  if (found == nullptr) return fallback;
  if (!found->is_boolean()) wrong_config(path + name, "true or false", *found);
  return found->get<bool>();
}

std::string ConfigNode::text(const std::string& name, const std::string& fallback) const {
  const json* found = find(name);
  if (found == nullptr) return fallback;
  if (!found->is_string()) wrong_config(path + name, "a string", *found);
  return found->get<std::string>();
}

std::int64_t ConfigNode::side(const std::string& name, std::int64_t fallback) const {
  const json* found = find(name);
  if (found == nullptr || !found->is_array()) return whole(name, fallback, 1, 4096);
  if (found->size() != 2 || (*found)[0] != (*found)[1]) {
    wrong_config(path + name, "a square", *found);
  }
  const json inner = {{name, (*found)[0]}};
  return ConfigNode{&inner, path}.whole(name, fallback, 1, 4096);
}

std::vector<double> ConfigNode::three(const std::string& name,
                                      const std::vector<double>& fallback) const {
  const json* found = find(name);
  if (found == nullptr) return fallback;
  std::vector<double> values;
  for (const json& number : *found) {
    if (number.is_number()) values.push_back(number.get<double>());
  }
  if (!found->is_array() || found->size() != 3 || values.size() != 3) {
    wrong_config(path + name, "3 numbers", *found);
  }
  return values;
}

ConfigNode ConfigNode::part(const std::string& name) const {
  static const json empty = json::object();
  const json* found = find(name);
  if (found == nullptr) return {&empty, path + name + "."};
  if (!found->is_object()) wrong_config(path + name, "a map", *found);
  return {found, path + name + "."};
}

void warn_of_dropout(const ConfigNode& node, const std::string& name) {
  if (node.number(name, 0) == 0) return;
  log_warning("config.json: " + node.path + name + " is not supported and taken as 0");
}

std::string architecture_of(const json& root) {
  const auto listed = root.find("architectures");
  if (listed == root.end() || !listed->is_array() || listed->empty()) return "";
  return listed->front().is_string() ? listed->front().get<std::string>() : "";
}

}  // namespace tandem::models
