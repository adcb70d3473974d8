// The header of a safetensors file: one JSON object, read event by event, so that neither its
// nesting nor its size decides how much memory it takes.

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "tandem/base/error.h"
#include "tensor/safetensors.h"

namespace tandem::safetensors {
namespace {

using nlohmann::json;

// {"__metadata__": {KEY: TEXT}, NAME: {"dtype": TEXT, "shape": [N...], "data_offsets": [N, N]}}
class Events : public nlohmann::json_sax<json> {
 public:
  Events(Header& header, const std::string& where) : header_(header), where_(where) {}

  bool key(string_t& text) override {
    if (depth_ == 1) {
      if (!names_.insert(text).second) fail("the name stands twice", text);
      in_metadata_ = text == "__metadata__";
      name_ = text;
      entry_ = Entry{.name = text};
      has_type_ = has_shape_ = has_offsets_ = false;
    } else if (in_metadata_) {
      if (header_.metadata.count(text) != 0) fail("the key of the metadata stands twice", text);
    } else if (text != "dtype" && text != "shape" && text != "data_offsets") {
      fail("unknown key \"" + text + "\"", name_);
    }
    if (depth_ == 2) field_ = text;
    return true;
  }

  bool string(string_t& text) override {
    if (depth_ == 2 && in_metadata_) {
      header_.metadata[field_] = text;
    } else if (depth_ == 2 && field_ == "dtype" && !has_type_) {
      const auto* type = std::find_if(std::begin(types), std::end(types),
                                      [&](const Type& t) { return t.name == text; });
      if (type == std::end(types)) fail("unknown dtype \"" + text.substr(0, 40) + "\"", name_);
      entry_.type = type;
      has_type_ = true;
    } else {
      unexpected("a text");
    }
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (depth_ != 3) unexpected("a number");
    if (value > static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max())) {
      fail("the number " + std::to_string(value) + " is too large", name_);
    }
    if (numbers_.size() >= max_dimensions) fail("more than 64 numbers in a list", name_);
    numbers_.push_back(static_cast<std::int64_t>(value));
    return true;
  }
  bool number_integer(number_integer_t value) override {
    fail("the negative number " + std::to_string(value), name_);
  }
  bool number_float(number_float_t, const string_t& text) override {
    fail("expected a whole number; got " + text, name_);
  }

  bool start_object(std::size_t) override {
    if (depth_ >= 2) unexpected("an object");
    ++depth_;
    return true;
  }
  bool end_object() override {
    --depth_;
    if (depth_ == 1 && !in_metadata_) add();
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_metadata_ || field_ == "dtype") unexpected("a list");
    ++depth_;
    numbers_.clear();
    return true;
  }
  bool end_array() override {
    --depth_;
    if (field_ == "shape" && !has_shape_) {
      entry_.shape = numbers_;
      has_shape_ = true;
    } else if (field_ == "data_offsets" && !has_offsets_) {
      if (numbers_.size() != 2) fail("expected two data_offsets", name_);
      entry_.begin = numbers_[0];
      entry_.end = numbers_[1];
      has_offsets_ = true;
    } else {
      fail("the key \"" + field_ + "\" stands twice", name_);
    }
    return true;
  }

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("true or false"); }
  bool binary(binary_t&) override { return unexpected("bytes"); }
  bool parse_error(std::size_t at, const std::string&, const json::exception&) override {
    fail("the header is no JSON at byte " + std::to_string(at + 7), {});
  }

 private:
  [[noreturn]] void fail(const std::string& what, const std::string& name) const {
    const std::string of = name.empty() ? "" : " (\"" + name.substr(0, 200) + "\")";
    throw Error(ErrorKind::data, "[tensor] bad safetensors header: " + what + of, where_);
  }
  bool unexpected(const std::string& what) const { fail(what + " where none belongs", name_); }

  void add() {
    if (!has_type_ || !has_shape_ || !has_offsets_) {
      fail("expected dtype, shape and data_offsets", name_);
    }
    // Zeros are left out of the product: a tensor without elements must have strides too.
    std::int64_t count = 1, bytes = 0;
    bool empty = false;
    for (const std::int64_t n : entry_.shape) {
      if (n == 0) {
        empty = true;
      } else if (__builtin_mul_overflow(count, n, &count)) {
        fail("the shape is too large", name_);
      }
    }
    if (__builtin_mul_overflow(count, entry_.type->bytes, &bytes)) {
      fail("the shape is too large", name_);
    }
    if (empty) bytes = 0;
    if (entry_.begin > entry_.end || entry_.end - entry_.begin != bytes) {
      fail("expected " + std::to_string(bytes) + " bytes for its shape; got data_offsets [" +
               std::to_string(entry_.begin) + ", " + std::to_string(entry_.end) + "]",
           name_);
    }
    header_.entries.push_back(std::move(entry_));
  }

  Header& header_;
  const std::string& where_;
  int depth_ = 0;  // open containers
  bool in_metadata_ = false, has_type_ = false, has_shape_ = false, has_offsets_ = false;
  std::set<std::string> names_{};
  std::string name_{}, field_{};
  Entry entry_{};
  std::vector<std::int64_t> numbers_{};
};

}  // namespace

Header parse_header(std::string_view text, std::int64_t data_bytes, const std::string& where) {
  Header header;
  if (text.empty() || text.front() != '{') {
    throw Error(ErrorKind::data, "[tensor] bad safetensors header: expected it to begin with {",
                where);
  }
  Events events(header, where);
  json::sax_parse(text, &events);  // strict: nothing but spaces may follow

  std::sort(header.entries.begin(), header.entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  std::int64_t at = 0;
  for (const Entry& entry : header.entries) {
    if (entry.begin != at) {
      throw Error(ErrorKind::data,
                  std::string("[tensor] bad safetensors header: ") +
                      (entry.begin < at ? "the data overlaps" : "a hole before the data") + " (\"" +
                      entry.name.substr(0, 200) + "\")",
                  where);
    }
    at = entry.end;
  }
  if (at != data_bytes) {
    throw Error(ErrorKind::data,
                "[tensor] expected " + std::to_string(at) + " bytes of data; got " +
                    std::to_string(data_bytes),
                where, at > data_bytes ? "the file is cut off" : "");
  }
  return header;
}

}  // namespace tandem::safetensors
