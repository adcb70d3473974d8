// docs/config.md, from the same fields.

#include <deque>
#include <sstream>

#include "config/describe.h"
#include "config/number.h"
#include "config/writer.h"

namespace tandem::config {
namespace {

struct Row {
  std::string key, type, normal, allowed, doc;
};
struct Section {
  std::string title;
  std::vector<Row> rows;
};

std::string quoted_list(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "`" : ", `") + word + "`";
  return text;
}

std::string allowed(const Rule& rule) {
  if (!rule.choices.empty()) return quoted_list(rule.choices);
  std::string text;
  if (rule.min) text = (rule.above_min ? "above " : "at least ") + shortest(*rule.min);
  if (rule.max) text += (text.empty() ? "at most " : ", at most ") + shortest(*rule.max);
  if (rule.must_exist) text = "exists";
  return text;
}

std::string with_unit(const std::string& type, Unit unit) {
  return unit == Unit::none ? type : type + ", " + std::string(name_of(unit));
}

class Schema final : public FieldVisitor {
 public:
  // A deque: its sections stay in place while children add theirs.
  Schema(std::deque<Section>& sections, std::string path, const std::string& suffix)
      : sections_(sections), path_(std::move(path)), suffix_(suffix) {}

  void field(std::string_view name, bool& value, const Rule& rule) override {
    row(name, "true or false", value ? "`true`" : "`false`", rule);
  }
  void field(std::string_view name, std::int64_t& value, const Rule& rule) override {
    const bool none = rule.unset && static_cast<double>(value) == *rule.unset;
    row(name, with_unit("whole number", rule.unit), none ? "" : "`" + std::to_string(value) + "`",
        rule);
  }
  void field(std::string_view name, double& value, const Rule& rule) override {
    const bool none = rule.unset && value == *rule.unset;
    row(name, with_unit("number", rule.unit), none ? "" : "`" + shortest(value) + "`", rule);
  }
  void field(std::string_view name, std::string& value, const Rule& rule) override {
    row(name, rule.path ? "path" : "text", value.empty() ? "" : "`" + value + "`", rule);
  }
  void field(std::string_view name, std::vector<std::int64_t>& value, const Rule& rule) override {
    std::string text;
    for (const std::int64_t v : value) text += (text.empty() ? "" : ", ") + std::to_string(v);
    row(name, "list of whole numbers", "`[" + text + "]`", rule);
  }
  void field(std::string_view name, std::vector<double>& value, const Rule& rule) override {
    std::string text;
    for (const double v : value) text += (text.empty() ? "" : ", ") + shortest(v);
    row(name, "list of numbers", "`[" + text + "]`", rule);
  }
  void field(std::string_view name, std::vector<std::string>& value, const Rule& rule) override {
    std::string text;
    for (const std::string& v : value) text += (text.empty() ? "" : ", ") + yaml_text(v);
    row(name, rule.path ? "list of paths" : "list of texts", "`[" + text + "]`", rule);
  }
  void block(std::string_view name, const Rule& rule, const Body& body) override {
    row(name, word_ == name ? words_ + " or map" : "map", word_ == name ? default_ : "", rule);
    Schema inner(sections_, path(name), suffix_);
    body(inner);
  }
  void optional_block(std::string_view name, bool& present, const Rule& rule,
                      const Body& body) override {
    row(name, "map or null", present ? "" : "`null`", rule);
    present = true;
    Schema inner(sections_, path(name), suffix_);
    body(inner);
  }
  void list(std::string_view name, std::size_t, const Rule& rule,
            const std::function<void(std::size_t)>& resize,
            const std::function<void(std::size_t, FieldVisitor&)>& item) override {
    row(name, word_ == name ? words_ + " or list" : "list", word_ == name ? default_ : "", rule);
    resize(1);
    Schema inner(sections_, path(name) + "[]", suffix_);
    item(0, inner);
    if (!inner.scalar_.type.empty()) add(std::string(name) + "[]", inner.scalar_);
  }
  void map(std::string_view name, const std::vector<std::string>&, const Rule& rule,
           const std::function<void(const std::string&, FieldVisitor&)>& item) override {
    row(name, word_ == name ? words_ + " or map" : "map", word_ == name ? default_ : "", rule);
    Schema inner(sections_, path(name) + ".NAME", suffix_);
    item("NAME", inner);
    if (!inner.scalar_.type.empty()) add(std::string(name) + ".NAME", inner.scalar_);
  }
  bool is_scalar(bool) override { return false; }
  void self(double&, const Rule& rule) override {
    scalar_ = {{}, with_unit("number", rule.unit), "", allowed(rule), rule.doc};
  }
  void self(std::string&, const Rule& rule) override {
    scalar_ = {{}, rule.path ? "path" : "text", "", allowed(rule), rule.doc};
  }
  bool word(std::string_view name, std::string& value, const Rule& rule) override {
    word_ = name;
    default_ = value.empty() ? "" : "`" + value + "`";
    words_ = quoted_list(rule.choices);
    return false;
  }
  bool number(std::string_view name, std::int64_t& value, bool, const Rule&) override {
    word_ = name;
    default_ = "`" + std::to_string(value) + "`";
    words_ = "whole number";
    return false;
  }
  void kind(std::string_view name, std::string&, const SettingsTable& table,
            std::shared_ptr<Settings>&, const Rule& rule) override {
    Rule any = rule;
    any.choices = table.names;
    row(name, "text", "", any);
    for (const std::string& each : table.names) {
      const std::unique_ptr<Settings> settings = table.make ? table.make(each) : nullptr;
      if (!settings) continue;
      const std::string suffix = " with `" + std::string(name) + ": " + each + "`";
      Schema inner(later_, path_, suffix);
      settings->fields(inner);
    }
  }
  void problem(std::string_view, std::string) override {}

  // The kinds' own keys come after those of the map that they stand in.
  ~Schema() override {
    for (Section& section : later_) sections_.push_back(std::move(section));
  }

 private:
  std::string path(std::string_view name) const {
    return path_.empty() ? std::string(name) : path_ + "." + std::string(name);
  }
  void row(std::string_view name, const std::string& type, const std::string& normal,
           const Rule& rule) {
    add(std::string(name),
        {{}, type, rule.required ? "required" : normal, allowed(rule), rule.doc});
  }
  void add(std::string key, Row row) {
    if (!section_) {
      const std::string title = path_.empty() ? "Top level" : "`" + path_ + "`" + suffix_;
      section_ = &sections_.emplace_back(Section{title, {}});
    }
    row.key = std::move(key);
    section_->rows.push_back(std::move(row));
  }

  std::deque<Section>& sections_;
  std::deque<Section> later_;
  Section* section_ = nullptr;
  std::string path_, suffix_;
  std::string word_, words_, default_;
  Row scalar_;
};

std::string cell(const std::string& text) {
  std::string safe;
  for (const char c : text) safe += c == '|' ? std::string("\\|") : std::string(1, c);
  return safe.empty() ? " " : safe;
}

constexpr const char* kIntroduction = R"(# The config

One YAML file is one experiment. This page is made from the program itself; do not edit it.

- `include: [FILE, ...]` lays this file on top of others with the same keys: maps merge, lists and
  single values are replaced, stages merge by name, and `null` takes away what an include states. A
  later include wins over an earlier one, the file itself over all.
- Relative paths resolve from the file that states them, those of an override from the current
  folder.
- Numbers may carry units: `2000 steps`, `2 epochs`, `100 samples`, `64 MiB` (`B`, `KiB`, `MiB`,
  `GiB`, `TiB`, `kB`, `MB`, `GB`, `TB`), `90 s` (`s`, `min`, `h`).
- Overrides on the command line are `dotted.key=value`, the value typed as YAML:
  `stages.NAME.data.batch=256` by a stage's name, `stages.0.data.batch=256` by its position. A list
  or a map given so is replaced whole; `null` takes a value or an optional map away. They apply
  after the includes.
- Names of keys are never abbreviated. Unknown keys are refused, with the nearest one.
)";

}  // namespace

std::string schema_page(const Tables& tables) {
  std::deque<Section> sections;
  {
    RunConfig config;
    Schema schema(sections, "", "");
    describe(schema, config, tables);
  }
  std::ostringstream page;
  page << kIntroduction;
  for (const Section& section : sections) {
    page << "\n## " << section.title << "\n\n| key | type | default | allowed | meaning |\n"
         << "|---|---|---|---|---|\n";
    for (const Row& row : section.rows) {
      page << "| `" << row.key << "` | " << cell(row.type) << " | " << cell(row.normal) << " | "
           << cell(row.allowed) << " | " << cell(row.doc) << " |\n";
    }
  }
  return page.str();
}

}  // namespace tandem::config
