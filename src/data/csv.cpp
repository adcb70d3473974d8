#include "data/csv.h"

#include "tandem/base/error.h"

namespace tandem::data {
namespace {

// A quoted field from behind its first quote; gives what follows its last one.
std::string_view quoted_field(std::string_view rest, std::string& field, const std::string& where) {
  while (true) {
    const std::size_t quote = rest.find('"');
    if (quote == std::string_view::npos) {
      throw Error(ErrorKind::data, "[csv] expected a quote at the end of a quoted field; got none",
                  where);
    }
    field += rest.substr(0, quote);
    rest.remove_prefix(quote + 1);
    if (rest.empty() || rest.front() != '"') return rest;
    field += '"';
    rest.remove_prefix(1);
  }
}

}  // namespace

std::vector<std::string> fields_of(std::string_view record, char separator, bool quote,
                                   const std::string& where) {
  std::vector<std::string> fields;
  while (true) {
    std::string& field = fields.emplace_back();
    if (quote && !record.empty() && record.front() == '"') {
      record = quoted_field(record.substr(1), field, where);
      if (!record.empty() && record.front() != separator) {
        throw Error(ErrorKind::data, "[csv] expected a separator behind a quoted field", where);
      }
    } else {
      const std::size_t end = std::min(record.find(separator), record.size());
      field = record.substr(0, end);
      record.remove_prefix(end);
    }
    if (record.empty()) return fields;
    record.remove_prefix(1);
  }
}

}  // namespace tandem::data
