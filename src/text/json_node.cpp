#include "text/json_node.h"

#include <algorithm>
#include <cmath>

#include "tandem/base/error.h"

namespace tandem::text {
namespace {

constexpr int kMaxDepth = 64;

void check_depth(std::string_view bytes, const std::string& file) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const char c = bytes[i];
    if (quoted) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        quoted = false;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) {
        throw Error(ErrorKind::data,
                    "[text] expected at most " + std::to_string(kMaxDepth) +
                        " levels of JSON; got more at byte " + std::to_string(i),
                    file);
      }
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
}

}  // namespace

nlohmann::json parse_json(std::string_view bytes, const std::string& file) {
  check_depth(bytes, file);
  try {
    return nlohmann::json::parse(bytes.begin(), bytes.end());
  } catch (const nlohmann::json::exception& error) {
    std::string text = error.what();  // it quotes what it read, which may be no UTF-8
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    throw Error(ErrorKind::data, "[text] expected JSON; got " + text.substr(0, 300), file);
  }
}

void JsonNode::fail(const std::string& expected) const {
  std::string got = value_->is_structured() ? std::string("an ") + value_->type_name() : "";
  if (got.empty()) {
    got = value_->dump(-1, ' ', true, nlohmann::json::error_handler_t::replace).substr(0, 80);
  }
  throw Error(ErrorKind::data, "[text] expected " + expected + "; got " + got, where());
}

std::optional<JsonNode> JsonNode::find(std::string_view key) const {
  if (!value_->is_object()) fail("an object");
  const auto it = value_->find(key);
  if (it == value_->end() || it->is_null()) return std::nullopt;
  return JsonNode(*it, file_, path_ + "." + std::string(key.substr(0, 80)));
}

JsonNode JsonNode::at(std::string_view key) const {
  const auto found = find(key);
  if (!found) {
    throw Error(ErrorKind::data, "[text] expected a value; got none or null",
                where() + "." + std::string(key));
  }
  return *found;
}

JsonNode JsonNode::at(std::size_t index) const {
  if (index >= size()) fail("an array of more than " + std::to_string(index) + " values");
  return JsonNode((*value_)[index], file_, path_ + "[" + std::to_string(index) + "]");
}

std::size_t JsonNode::size() const {
  if (!value_->is_array()) fail("an array");
  return value_->size();
}

void JsonNode::only(std::initializer_list<std::string_view> keys) const {
  if (!value_->is_object()) fail("an object");
  for (const auto& [key, value] : value_->items()) {
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    std::string known;
    for (const std::string_view name : keys)
      known += (known.empty() ? "" : ", ") + std::string(name);
    throw Error(ErrorKind::data,
                "[text] expected one of {" + known + "}; got a key that is not known",
                where() + "." + key.substr(0, 80));
  }
}

std::string JsonNode::string() const {
  if (!value_->is_string()) fail("a string");
  return value_->get<std::string>();
}

bool JsonNode::boolean() const {
  if (!value_->is_boolean()) fail("true or false");
  return value_->get<bool>();
}

double JsonNode::number() const {
  const double number = value_->is_number() ? value_->get<double>() : NAN;
  if (!std::isfinite(number)) fail("a number");
  return number;
}

std::int64_t JsonNode::integer(std::int64_t low, std::int64_t high) const {
  const std::string expected =
      "an integer from " + std::to_string(low) + " to " + std::to_string(high);
  if (!value_->is_number_integer()) fail(expected);
  if (value_->is_number_unsigned() && value_->get<std::uint64_t>() > INT64_MAX) fail(expected);
  const auto number = value_->get<std::int64_t>();
  if (number < low || number > high) fail(expected);
  return number;
}

}  // namespace tandem::text
