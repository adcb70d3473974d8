#include "tandem/report/metrics.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "report/row_json.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/base/json.h"

namespace tandem::report {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& what) {
  throw Error(ErrorKind::io, "[metrics] " + what, path.string());
}

}  // namespace

std::string json_of(const Row& row) {
  nlohmann::ordered_json json;
  json["step"] = row.step;
  json["stage"] = row.stage;
  for (const auto& [name, value] : row.values) {
    if (std::isnan(value)) {
      json[name] = "nan";
    } else if (std::isinf(value)) {
      json[name] = value > 0 ? "inf" : "-inf";
    } else if (std::abs(value) < 1e15 && value == std::floor(value)) {
      json[name] = static_cast<std::int64_t>(value);
    } else {
      json[name] = value;
    }
  }
  return json.dump();
}

nlohmann::ordered_json row_json(const std::string& line) {
  try {
    nlohmann::ordered_json json = parse_ordered_json(line, "metrics.jsonl");
    const bool good = json.is_object() && json.contains("step") && json["step"].is_number_integer();
    if (good) return json;
  } catch (const Error&) {  // as a line that was cut
  }
  return nullptr;
}

void keep_lines_until(const std::filesystem::path& path, std::int64_t last_step) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return;
  std::string kept, line;
  bool changed = false;
  while (std::getline(in, line)) {
    const bool whole = !in.eof();
    const nlohmann::ordered_json json = row_json(line);
    if (whole && !json.is_null() && json["step"] <= last_step) {
      kept += line + "\n";
    } else {
      changed = true;
    }
  }
  in.close();
  if (!changed) return;
  replace_file(path, kept);
}

MetricsFile::MetricsFile(std::filesystem::path path, std::int64_t last_step)
    : path_(std::move(path)) {
  keep_lines_until(path_, last_step);
  out_.open(path_, std::ios::binary | std::ios::app);
  if (!out_) fail(path_, "cannot be opened for writing");
}

void MetricsFile::add(const Row& row) {
  out_ << json_of(row) << '\n' << std::flush;
  if (!out_) fail(path_, "cannot be written");
}

}  // namespace tandem::report
