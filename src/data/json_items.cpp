#include "data/json_items.h"

#include <algorithm>
#include <limits>

#include "tandem/base/error.h"

namespace tandem::data {

// Depth and quotes over the blocks of a file.
class JsonItems::Scan {
 public:
  explicit Scan(JsonItems& items) : items_(items) {}

  void byte(char c, std::int64_t at) {
    if (c == '\n') {
      if (items_.lines_) return end_line(at);
      ++line_;
    }
    if (quoted_) {
      quoted_ = escaped_ || c != '"';
      escaped_ = !escaped_ && c == '\\';
      return;
    }
    if (items_.lines_ && first_ < 0 && c != ' ' && c != '\r' && c != '\t') first_ = at;
    if (c == '"') {
      quoted_ = true;
    } else if (c == '{') {
      if (depth_++ == 0) {
        start_ = at;
        start_line_ = line_;
      }
    } else if (c == '}' && depth_ > 0 && --depth_ == 0) {
      items_.keep(start_, at + 1, start_line_);
      found_ = true;
    }
  }

  void end(std::int64_t size) {
    if (items_.lines_) return end_line(size);
    if (depth_ > 0) items_.keep(start_, size, start_line_);
  }

 private:
  void end_line(std::int64_t at) {
    if (first_ >= 0 && (depth_ > 0 || quoted_ || !found_)) {
      items_.keep(depth_ > 0 ? start_ : first_, at, line_);
    }
    depth_ = 0;
    quoted_ = escaped_ = found_ = false;
    first_ = -1;
    ++line_;
  }

  JsonItems& items_;
  std::int64_t depth_ = 0, line_ = 1, start_ = 0, start_line_ = 1;
  std::int64_t first_ = -1;  // the line's first byte that is no space
  bool quoted_ = false, escaped_ = false, found_ = false;
};

JsonItems::JsonItems(const std::string& path) : path_(path), file_(path) {
  const std::int64_t size = file_.size();
  std::vector<char> bytes(static_cast<std::size_t>(std::min<std::int64_t>(size, 1 << 20)));
  Scan scan(*this);
  bool begun = false;
  for (std::int64_t at = 0; at < size;) {
    const std::int64_t count = std::min<std::int64_t>(size - at, 1 << 20);
    file_.read(at, count, bytes.data());
    const std::string_view block(bytes.data(), static_cast<std::size_t>(count));
    hash_ = hash64(block, hash_);
    if (!begun) {
      const std::size_t first = block.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
      lines_ = path.ends_with(".jsonl") || first == std::string_view::npos || block[first] != '[';
      begun = true;
    }
    for (const char c : block) scan.byte(c, at++);
  }
  scan.end(size);
}

void JsonItems::keep(std::int64_t start, std::int64_t end, std::int64_t line) {
  const std::int64_t most = std::numeric_limits<std::uint32_t>::max();
  items_.push_back({start, static_cast<std::uint32_t>(std::min(end - start, most)),
                    static_cast<std::uint32_t>(std::min(line, most))});
}

std::string JsonItems::where(std::int64_t item) const {
  const std::string place =
      path_ + ":" + std::to_string(items_.at(static_cast<std::size_t>(item)).line);
  return lines_ ? place : place + " [" + std::to_string(item) + "]";
}

std::string JsonItems::text(std::int64_t item) const {
  TANDEM_CHECK(item >= 0 && item < count(), "[data] an item out of range");
  const Item& one = items_[static_cast<std::size_t>(item)];
  if (one.bytes > max_item) {
    throw Error(
        ErrorKind::data,
        "[data] expected an object of at most " + std::to_string(max_item) + " bytes; got more",
        where(item));
  }
  std::string text(one.bytes, '\0');
  file_.read(one.start, one.bytes, text.data());
  if (!is_utf8(text)) throw Error(ErrorKind::data, "[data] expected UTF-8", where(item));
  return text;
}

}  // namespace tandem::data
