#pragma once
// A table with a picture and its captions in each row: CSV (RFC 4180), TSV, or JSON Lines. What the
// columns are called is a setting; the file is indexed when it is opened and its rows are read when
// they are needed, so tables larger than memory will do.
//
// A row that does not parse is a bad sample, named FILE:LINE. Where rows have to be read on opening
// (`group`, `missing: leave_out`), it is left out and named then.

#include <memory>
#include <string>
#include <vector>

#include "tandem/base/fields.h"
#include "tandem/data/source.h"

namespace tandem::data {

struct TableSettings final : Settings {
  std::string path{};
  std::string pictures{};   // the folder that names start from; empty: the table's own
  std::string kind = "";    // csv, tsv, jsonl; empty: by the file's ending
  std::string separator{};  // empty: of the kind; else one character, or "tab"
  std::string quotes = "auto";
  bool header = true;
  // Columns by name; by number from 0 without a header.
  std::string picture = "image";
  std::vector<std::string> captions{"caption"};
  std::string name = "{value}";
  bool group = false;
  std::string missing = "bad";

  void fields(FieldVisitor& visitor) override;
};

// Throws Error(data): no rows, a column that is not there, an unknown ending.
std::unique_ptr<Source> open_table(const TableSettings& settings);

// What a file's ending says: csv, tsv, jsonl, or nothing.
std::string table_kind_of(const std::string& path);

}  // namespace tandem::data
