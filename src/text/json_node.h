#pragma once
// Reading a JSON document with errors that name the file and the path of the value.

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace tandem::text {

// Refuses documents of more than 64 levels before they are parsed, and anything that is no JSON in
// UTF-8: Error(data).
nlohmann::json parse_json(std::string_view bytes, const std::string& file);

// A value and where it stands. Lives no longer than document and file name.
class JsonNode {
 public:
  JsonNode(const nlohmann::json& value, const std::string& file)
      : value_(&value), file_(&file), path_("$") {}

  const nlohmann::json& value() const { return *value_; }
  std::string where() const { return *file_ + ": " + path_; }
  bool is_null() const { return value_->is_null(); }
  bool is_array() const { return value_->is_array(); }

  // Error(data): "expected `expected`; got ..." with the value, cut short.
  [[noreturn]] void fail(const std::string& expected) const;

  JsonNode at(std::string_view key) const;                        // must be there
  std::optional<JsonNode> find(std::string_view key) const;       // empty: absent or null
  JsonNode at(std::size_t index) const;                           // of an array
  std::size_t size() const;                                       // of an array
  void only(std::initializer_list<std::string_view> keys) const;  // an object without other keys

  std::string string() const;
  bool boolean() const;
  double number() const;  // finite
  std::int64_t integer(std::int64_t low, std::int64_t high) const;

  bool boolean_or(std::string_view key, bool otherwise) const {
    const auto found = find(key);
    return found ? found->boolean() : otherwise;
  }
  std::string type() const { return at("type").string(); }

 private:
  JsonNode(const nlohmann::json& value, const std::string* file, std::string path)
      : value_(&value), file_(file), path_(std::move(path)) {}

  const nlohmann::json* value_;
  const std::string* file_;
  std::string path_;
};

}  // namespace tandem::text
