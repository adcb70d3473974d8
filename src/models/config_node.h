#pragma once
// Reading a foreign config.json: every value with its range, every mistake with its path.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace tandem::models {

// Throws Error(config): "config.json: PATH: expected ...; got ...".
[[noreturn]] void wrong_config(const std::string& path, const std::string& expected,
                               const nlohmann::json& got);

// The text as a JSON map. Throws Error(config) that names the file.
nlohmann::json parse_config(const std::string& text, const std::string& name);

// One object of the file, with its path for messages. A key that is absent or null gives the
// fallback; one of another type or out of range is an error.
struct ConfigNode {
  const nlohmann::json* value;
  std::string path;  // "vision_config.", "" at the top

  const nlohmann::json* find(const std::string& name) const;
  std::int64_t whole(const std::string& name, std::int64_t fallback, std::int64_t low,
                     std::int64_t high) const;
  // Of a token or -1: none, which null says, too. Absent: the fallback.
  std::int64_t id(const std::string& name, std::int64_t fallback) const;
  double number(const std::string& name, double fallback) const;
  double number(const std::string& name, double fallback, double low, double high) const;
  bool flag(const std::string& name, bool fallback) const;
  std::string text(const std::string& name, const std::string& fallback) const;
  // A number, or a pair of equal ones.
  std::int64_t side(const std::string& name, std::int64_t fallback) const;
  std::vector<double> three(const std::string& name, const std::vector<double>& fallback) const;
  // The object of that name; an empty one where it is absent.
  ConfigNode part(const std::string& name) const;
};

// Warns where the file says a share other than 0 to be dropped in training, where none is here.
void warn_of_dropout(const ConfigNode& node, const std::string& name);

// architectures[0]; "" where there is none.
std::string architecture_of(const nlohmann::json& root);

}  // namespace tandem::models
