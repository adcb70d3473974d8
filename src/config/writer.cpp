#include "config/writer.h"

#include "config/describe.h"
#include "config/number.h"

namespace tandem::config {
namespace {

std::string text_of(bool value) { return value ? "true" : "false"; }
std::string text_of(std::int64_t value) { return std::to_string(value); }
std::string text_of(double value) { return shortest(value); }
std::string text_of(const std::string& value) { return yaml_text(value); }

class Writer final : public FieldVisitor {
 public:
  Writer(int indent, std::string key, const std::map<std::string, Place>* origins)
      : indent_(indent), key_(std::move(key)), origins_(origins) {}

  const std::string& text() const { return text_; }
  bool scalar() const { return scalar_; }

  void field(std::string_view name, bool& value, const Rule&) override {
    line(name, text_of(value));
  }
  void field(std::string_view name, std::int64_t& value, const Rule& rule) override {
    if (!rule.unset || static_cast<double>(value) != *rule.unset) line(name, text_of(value));
  }
  void field(std::string_view name, double& value, const Rule& rule) override {
    if (!rule.unset || value != *rule.unset) line(name, text_of(value));
  }
  void field(std::string_view name, std::string& value, const Rule& rule) override {
    if (!rule.unset || !value.empty()) line(name, text_of(value));
  }
  void field(std::string_view name, std::vector<std::int64_t>& value, const Rule& rule) override {
    if (!rule.unset || !value.empty()) sequence(name, value);
  }
  void field(std::string_view name, std::vector<double>& value, const Rule& rule) override {
    if (!rule.unset || !value.empty()) sequence(name, value);
  }
  void field(std::string_view name, std::vector<std::string>& value, const Rule&) override {
    sequence(name, value);
  }
  void block(std::string_view name, const Rule&, const Body& body) override {
    Writer inner(indent_ + 2, key(name), origins_);
    body(inner);
    nest(name, inner.text_, "{}");
  }
  void optional_block(std::string_view name, bool& present, const Rule& rule,
                      const Body& body) override {
    if (present) {
      block(name, rule, body);
    } else if (!rule.unset) {
      line(name, "null");
    }
  }
  void list(std::string_view name, std::size_t size, const Rule&,
            const std::function<void(std::size_t)>&,
            const std::function<void(std::size_t, FieldVisitor&)>& item) override {
    std::string items;
    for (std::size_t i = 0; i < size; ++i) {
      const std::string below = key(name) + "." + std::to_string(i);
      Writer inner(indent_ + 4, below, origins_);
      item(i, inner);
      const std::string dash = std::string(static_cast<std::size_t>(indent_) + 2, ' ') + "- ";
      if (inner.scalar_ || inner.text_.empty()) {
        items += dash + (inner.scalar_ ? inner.text_ : "{}") + comment(below) + "\n";
      } else {
        items += dash + inner.text_.substr(static_cast<std::size_t>(indent_) + 4);
      }
    }
    nest(name, items, "[]");
  }
  void map(std::string_view name, const std::vector<std::string>& keys, const Rule&,
           const std::function<void(const std::string&, FieldVisitor&)>& item) override {
    Writer all(indent_ + 2, key(name), origins_);
    for (const std::string& each : keys) {
      Writer inner(indent_ + 4, all.key(each), origins_);
      item(each, inner);
      if (inner.scalar_) {
        all.line(each, inner.text_);
      } else {
        all.nest(each, inner.text_, "{}");
      }
    }
    nest(name, all.text_, "{}");
  }
  bool is_scalar(bool prefer_scalar) override { return prefer_scalar; }
  void self(double& value, const Rule&) override { set(text_of(value)); }
  void self(std::string& value, const Rule&) override { set(text_of(value)); }
  bool word(std::string_view name, std::string& value, const Rule&) override {
    if (value.empty()) return false;
    line(name, value);
    return true;
  }
  bool number(std::string_view name, std::int64_t& value, bool prefer_number,
              const Rule&) override {
    if (prefer_number) line(name, text_of(value));
    return prefer_number;
  }
  void problem(std::string_view, std::string) override {}

 private:
  std::string key(std::string_view name) const {
    return key_.empty() ? std::string(name) : key_ + "." + std::string(name);
  }
  std::string comment(const std::string& key) const {
    if (!origins_) return {};
    const auto found = origins_->find(key);
    if (found == origins_->end()) return "  # default";
    const Place& place = found->second;
    if (place.document->is_override) return "  # override";
    // Without the column.
    const std::string where = to_string(place);
    return "  # " + where.substr(0, where.rfind(':'));
  }
  void line(std::string_view name, const std::string& value) {
    text_ += std::string(static_cast<std::size_t>(indent_), ' ') + yaml_text(name) + ": " + value +
             comment(key(name)) + "\n";
  }
  void nest(std::string_view name, const std::string& body, const char* empty) {
    if (body.empty()) {
      line(name, empty);
    } else {
      text_ += std::string(static_cast<std::size_t>(indent_), ' ') + yaml_text(name) + ":\n" + body;
    }
  }
  template <class T>
  void sequence(std::string_view name, const std::vector<T>& values) {
    std::string text;
    for (const T& value : values) text += (text.empty() ? "" : ", ") + text_of(value);
    line(name, "[" + text + "]");
  }
  void set(std::string text) {
    text_ = std::move(text);
    scalar_ = true;
  }

  int indent_;
  std::string key_;
  const std::map<std::string, Place>* origins_;
  std::string text_;
  bool scalar_ = false;
};

}  // namespace

std::string yaml_text(std::string_view text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-";
  const bool plain = !text.empty() && text.front() != '-' &&
                     text.find_first_not_of(kPlain) == std::string_view::npos;
  bool special = false;  // what YAML, or a reader of another version, takes for something else
  for (const char* word :
       {"null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE",
        "yes",  "Yes",  "YES",  "no",   "No",   "NO",   "on",    "On",    "ON",
        "off",  "Off",  "OFF",  "y",    "Y",    "n",    "N"}) {
    if (text == word) special = true;
  }
  const bool number = !text.empty() && text.find_first_not_of("0123456789.eE-") == text.npos;
  if (plain && !special && !number) return std::string(text);
  static const char* kHex = "0123456789ABCDEF";
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      quoted += "\\x";
      quoted += kHex[byte >> 4];
      quoted += kHex[byte & 15];
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string write_config(const RunConfig& config, const Tables& tables,
                         const std::map<std::string, Place>* origins) {
  RunConfig copy = config;  // the visitor takes references that it could write to
  Writer writer(0, "", origins);
  describe(writer, copy, tables);
  return writer.text();
}

}  // namespace tandem::config
