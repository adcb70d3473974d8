#include "tandem/report/csv.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "report/row_json.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"

namespace tandem::report {
namespace {

using Cells = std::vector<std::pair<std::string, std::string>>;

std::string quoted(const std::string& text) {
  if (text.find_first_of("\",\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

// A number or a word; of what no row has, nothing.
std::string cell_of(const nlohmann::ordered_json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null()) return "nan";
  return value.is_structured() ? std::string() : value.dump();
}

// Of a line of metrics.jsonl; empty for one that is none.
Cells cells_of(const std::string& line) {
  Cells cells;
  const nlohmann::ordered_json json = row_json(line);
  for (const auto& [name, value] : json.items()) {
    cells.emplace_back(name, cell_of(value));
  }
  return cells;
}

std::string line_of(const std::vector<std::string>& columns, const Cells& cells) {
  const std::map<std::string, std::string> by_name(cells.begin(), cells.end());
  std::string line;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const auto found = by_name.find(columns[i]);
    line += (i == 0 ? "" : ",") + (found == by_name.end() ? "" : quoted(found->second));
  }
  return line + "\n";
}

}  // namespace

CsvFile::CsvFile(std::filesystem::path path, std::filesystem::path jsonl)
    : path_(std::move(path)), jsonl_(std::move(jsonl)) {
  rewrite();
}

void CsvFile::add(const Row& row) {
  const Cells cells = cells_of(json_of(row));
  const bool known = std::all_of(cells.begin(), cells.end(), [&](const auto& cell) {
    return std::find(columns_.begin(), columns_.end(), cell.first) != columns_.end();
  });
  if (!known) {
    rewrite();
    return;
  }
  out_ << line_of(columns_, cells) << std::flush;
  if (!out_) throw Error(ErrorKind::io, "[csv] cannot be written", path_.string());
}

void CsvFile::rewrite() {
  out_.close();
  columns_.clear();
  std::vector<Cells> rows;
  std::ifstream in(jsonl_, std::ios::binary);
  for (std::string line; std::getline(in, line);) {
    rows.push_back(cells_of(line));
    for (const auto& [name, value] : rows.back()) {
      if (std::find(columns_.begin(), columns_.end(), name) == columns_.end()) {
        columns_.push_back(name);
      }
    }
  }
  std::string text;
  for (const std::string& column : columns_) text += (text.empty() ? "" : ",") + quoted(column);
  if (!text.empty()) text += "\n";
  for (const Cells& cells : rows) text += line_of(columns_, cells);
  replace_file(path_, text);
  out_.open(path_, std::ios::binary | std::ios::app);
  if (!out_) throw Error(ErrorKind::io, "[csv] cannot be opened for writing", path_.string());
}

}  // namespace tandem::report
