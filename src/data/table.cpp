#include "tandem/data/table.h"

#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>

#include "data/csv.h"
#include "data/file.h"
#include "data/listed.h"
#include "data/rows.h"
#include "tandem/base/error.h"
#include "tandem/base/json.h"

namespace tandem::data {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

struct TableRow {
  std::string picture{};  // its name below the folder
  std::vector<std::string> texts{};
};

// `{row}`, `{row:09}` and `{value}` in a picture's name.
std::string named(const std::string& pattern, const std::string& value, std::int64_t row) {
  std::string name;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const std::size_t end = pattern[i] == '{' ? pattern.find('}', i) : std::string::npos;
    if (end == std::string::npos) {
      name += pattern[i];
      continue;
    }
    const std::string_view word = std::string_view(pattern).substr(i + 1, end - i - 1);
    if (word == "value") {
      name += value;
    } else {
      std::size_t width = 0;
      if (word.size() > 4) std::from_chars(word.data() + 4, word.data() + word.size(), width);
      std::string digits = std::to_string(row);
      if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
      name += digits;
    }
    i = end;
  }
  return name;
}

// What is wrong with such a pattern; empty when nothing is.
std::string pattern_problem(const std::string& pattern) {
  for (std::size_t i = pattern.find('{'); i != std::string::npos; i = pattern.find('{', i + 1)) {
    const std::size_t end = pattern.find('}', i);
    const std::string word = end == std::string::npos ? "" : pattern.substr(i + 1, end - i - 1);
    const bool wide = word.starts_with("row:0") && word.size() <= 7 &&
                      word.find_first_not_of("0123456789", 4) == std::string::npos;
    if (word != "value" && word != "row" && !wide) return "expected {value}, {row} or {row:09}";
  }
  return pattern.empty() ? "expected a name" : "";
}

bool quotes_of(const TableSettings& s, const std::string& kind) {
  return s.quotes == "auto" ? kind == "csv" : s.quotes == "yes" && kind != "jsonl";
}

char separator_of(const TableSettings& s, const std::string& kind) {
  if (s.separator == "tab" || s.separator == "\\t") return '\t';
  if (!s.separator.empty()) return s.separator[0];
  return kind == "tsv" ? '\t' : ',';
}

class Table final : public Source {
 public:
  Table(const TableSettings& settings, const std::string& kind)
      : s_(settings),
        json_(kind == "jsonl"),
        quote_(quotes_of(settings, kind)),
        separator_(separator_of(settings, kind)),
        rows_(settings.path, {quote_, separator_}) {
    if (s_.pictures.empty()) s_.pictures = fs::path(s_.path).parent_path().string();
    if (s_.pictures.empty()) s_.pictures = ".";
    if (!json_) find_columns();
    if (s_.group || s_.missing == "leave_out") choose_rows();
    std::uint64_t hash = rows_.hash();
    for (const std::string* text : {&s_.picture, &s_.name, &s_.missing}) hash = hash64(*text, hash);
    for (const std::string& text : s_.captions) hash = hash64(text, hash);
    fingerprint_ = "table:" + std::to_string(size()) + (s_.group ? ":group:" : ":") + hex(hash);
    if (size() > 0) return;
    throw Error(
        ErrorKind::data,
        "[table] expected rows with a picture and a caption; got none" +
            (left_out_.empty() ? ""
                               : "; the first: " + left_out_[0].where + ": " + left_out_[0].what),
        s_.path);
  }

  std::int64_t size() const override {
    return chosen_.empty() && left_out_.empty() ? rows_.count()
                                                : static_cast<std::int64_t>(chosen_.size());
  }
  Sample read(std::int64_t index) const override { return sample_of(index, false); }
  Sample peek(std::int64_t index) const override { return sample_of(index, true); }
  std::string fingerprint() const override { return fingerprint_; }
  std::vector<Finding> left_out() const override { return left_out_; }

 private:
  [[noreturn]] static void fail(const std::string& what, const std::string& where) {
    throw Error(ErrorKind::data, "[table] " + what, where);
  }

  std::size_t column(const std::string& name, const std::vector<std::string>& head) const {
    if (s_.header) {
      for (std::size_t i = 0; i < head.size(); ++i) {
        if (trimmed(head[i]) == name) return i;
      }
    } else {
      std::size_t number = 0;
      const auto [end, code] = std::from_chars(name.data(), name.data() + name.size(), number);
      if (code == std::errc() && end == name.data() + name.size() && number < head.size()) {
        return number;
      }
    }
    std::string known;
    for (std::size_t i = 0; i < head.size() && i < 30; ++i) {
      known +=
          (i == 0 ? "" : ", ") + (s_.header ? std::string(trimmed(head[i])) : std::to_string(i));
    }
    throw Error(ErrorKind::data, "[table] expected a column '" + name + "'; got " + known,
                rows_.where(0),
                "`picture` and `captions` name the columns; `separator`, `header` and `quotes` say "
                "how they are written");
  }

  void find_columns() {
    if (rows_.count() == 0) fail("expected rows; got an empty file", s_.path);
    const auto head = fields_of(rows_.row(0), separator_, quote_, rows_.where(0));
    columns_ = head.size();
    picture_column_ = column(s_.picture, head);
    for (const std::string& name : s_.captions) caption_columns_.push_back(column(name, head));
    if (s_.header) rows_.drop_first();
  }

  TableRow row_of_json(const std::string& text, std::int64_t number,
                       const std::string& where) const {
    const Json object = parse_json(text, where);
    if (!object.is_object()) fail("expected a JSON object", where);
    const auto picture = object.find(s_.picture);
    if (picture == object.end() || !picture->is_string()) {
      fail("expected a text under '" + s_.picture + "'", where);
    }
    TableRow row{named(s_.name, picture->get<std::string>(), number), {}};
    for (const std::string& name : s_.captions) {
      const auto caption = object.find(name);
      if (caption == object.end()) fail("expected '" + name + "'", where);
      const Json list = caption->is_array() ? *caption : Json::array({*caption});
      for (const Json& one : list) {
        if (!one.is_string())
          fail("expected a text or a list of texts under '" + name + "'", where);
        row.texts.emplace_back(trimmed(one.get_ref<const std::string&>()));
      }
    }
    return row;
  }

  TableRow parse(std::int64_t number) const {
    const std::string where = rows_.where(number), text = rows_.row(number);
    TableRow row;
    if (json_) {
      row = row_of_json(text, number, where);
    } else {
      const auto fields = fields_of(text, separator_, quote_, where);
      if (fields.size() != columns_) {
        fail("expected " + std::to_string(columns_) + " fields; got " +
                 std::to_string(fields.size()),
             where);
      }
      row.picture = named(s_.name, fields[picture_column_], number);
      for (const std::size_t i : caption_columns_) row.texts.emplace_back(trimmed(fields[i]));
    }
    std::erase_if(row.texts, [](const std::string& one) { return one.empty(); });
    if (row.texts.empty()) fail("expected a caption; got an empty one", where);
    // `pictures: /` says that the table holds whole paths.
    const std::string_view name = row.picture;
    const bool whole = s_.pictures == "/" && name.starts_with('/');
    const std::string refused = refused_name(whole ? name.substr(1) : name);
    if (!refused.empty()) {
      throw Error(ErrorKind::data,
                  "[table] expected a picture's name below the folder; got " + refused, where,
                  refused == "an absolute name" ? "for whole paths, set `pictures: /`" : "");
    }
    return row;
  }

  void choose_rows() {
    std::unordered_map<std::string, std::size_t> known;
    for (std::int64_t number = 0; number < rows_.count(); ++number) {
      try {
        const TableRow row = parse(number);
        std::error_code none;
        if (s_.missing == "leave_out" && !fs::exists(fs::path(s_.pictures) / row.picture, none)) {
          fail("the picture is not there: " + row.picture, rows_.where(number));
        }
        if (s_.group) {
          const auto [at, is_new] = known.try_emplace(row.picture, chosen_.size());
          if (!is_new) {
            chosen_[at->second].push_back(number);
            continue;
          }
        }
        chosen_.push_back({number});
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::data) throw;
        left_out_.push_back({error.where(), error.message()});
      }
    }
    warn_of_left_out(s_.path, left_out_);
  }

  Sample sample_of(std::int64_t index, bool only_start) const {
    TANDEM_CHECK(index >= 0 && index < size(), "[table] an index out of range");
    const std::int64_t first =
        chosen_.empty() ? index : chosen_[static_cast<std::size_t>(index)].front();
    TableRow row = parse(first);
    Sample sample;
    sample.id = rows_.where(first);
    sample.picture_id = static_cast<std::int64_t>(hash64(row.picture) >> 1);
    sample.texts = std::move(row.texts);
    if (!chosen_.empty()) {
      const auto& numbers = chosen_[static_cast<std::size_t>(index)];
      for (std::size_t i = 1; i < numbers.size(); ++i) {
        for (std::string& text : parse(numbers[i]).texts) sample.texts.push_back(std::move(text));
      }
    }
    const std::string path = (fs::path(s_.pictures) / row.picture).string();
    try {
      sample.pictures.push_back(picture_of_file(path, row.picture, only_start));
    } catch (const Error& error) {
      throw Error(error.kind(), error.message() + ": " + row.picture, sample.id);
    }
    return sample;
  }

  TableSettings s_;
  bool json_, quote_;
  char separator_;
  Rows rows_;
  std::size_t columns_ = 0, picture_column_ = 0;
  std::vector<std::size_t> caption_columns_{};
  std::vector<std::vector<std::int64_t>> chosen_{};  // rows of each sample; empty: one each
  std::vector<Finding> left_out_{};
  std::string fingerprint_{};
};

}  // namespace

std::string table_kind_of(const std::string& path) {
  const std::string ending = lower(fs::path(path).extension().string());
  if (ending == ".csv") return "csv";
  if (ending == ".tsv") return "tsv";
  if (ending == ".jsonl" || ending == ".ndjson" || ending == ".jsonlines") return "jsonl";
  return "";
}

void TableSettings::fields(FieldVisitor& v) {
  v.field("path", path,
          {.doc = "the table",
           .required = true,
           .path = true,
           .must_exist = true,
           .aliases = {"train_data", "file", "data_path"}});
  v.field("pictures", pictures,
          {.doc = "the folder that pictures' names start from; empty: the table's own; /: whole "
                  "paths",
           .path = true,
           .must_exist = true,
           .aliases = {"images", "image_root", "image_folder", "root"}});
  v.field("kind", kind,
          {.doc = "empty: by the file's ending", .choices = {"", "csv", "tsv", "jsonl"}});
  v.field("separator", separator,
          {.doc = "of fields: one character, or tab; empty: of the kind",
           .aliases = {"csv_separator", "sep", "delimiter"}});
  v.field("quotes", quotes,
          {.doc = "whether fields may be quoted (RFC 4180); auto: in CSV",
           .choices = {"auto", "yes", "no"}});
  v.field("header", header,
          {.doc = "the first row names the columns; without it they are 0, 1, .."});
  v.field("picture", picture,
          {.doc = "the column, or JSON's key, of the picture's name",
           .aliases = {"csv_img_key", "picture_key", "image_key", "image_column", "img_key"}});
  v.field("captions", captions,
          {.doc = "the columns, or JSON's keys, of the captions (in JSON a text or a list)",
           .aliases = {"csv_caption_key", "caption_key", "caption", "caption_column"}});
  v.field("name", name,
          {.doc = "how the picture's file is called: {value} of the column, {row} from 0, "
                  "{row:09} with zeros"});
  v.field("group", group, {.doc = "rows of one picture are one sample with all their captions"});
  v.field("missing", missing,
          {.doc = "a picture that is not there: a bad sample, or left out on opening",
           .choices = {"bad", "leave_out"}});
  if (const std::string wrong = pattern_problem(name); !wrong.empty()) v.problem("name", wrong);
  if (captions.empty()) v.problem("captions", "expected a column");
  if (separator.size() > 1 && separator != "tab" && separator != "\\t") {
    v.problem("separator", "expected one character, or tab");
  }
}

std::unique_ptr<Source> open_table(const TableSettings& settings) {
  const std::string kind = settings.kind.empty() ? table_kind_of(settings.path) : settings.kind;
  if (kind.empty()) {
    throw Error(ErrorKind::data, "[table] expected a file .csv, .tsv or .jsonl", settings.path,
                "`kind` says what it is");
  }
  return std::make_unique<Table>(settings, kind);
}

}  // namespace tandem::data
