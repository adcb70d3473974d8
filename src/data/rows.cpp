#include "data/rows.h"

#include <algorithm>
#include <cstring>

#include "tandem/base/error.h"

namespace tandem::data {

// The states of RFC 4180 over the blocks of a file.
class Rows::Scan {
 public:
  Scan(Rows& rows, const Form& form) : rows_(rows), form_(form) {}

  // Gives the offset to go on from: behind the block, or back at the end of a line whose quote does
  // not end.
  std::int64_t block(std::int64_t offset, const char* bytes, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t at = offset + i;
      if (row_ < 0) {
        row_ = at;
        row_line_ = line_;
        line_end_ = -1;
        state_ = form_.quote ? State::field : State::plain;
      }
      if (state_ == State::plain && !form_.quote) {  // the next line end is all that counts
        const auto* end = static_cast<const char*>(
            std::memchr(bytes + i, '\n', static_cast<std::size_t>(count - i)));
        if (end == nullptr) return offset + count;
        i = end - bytes;
      } else if (!ends_row(bytes[i], at)) {
        if (state_ != State::quoted || at - row_ < max_row || line_end_ < 0) continue;
        const std::int64_t back = line_end_;  // the quote was none
        finish(back);
        line_ = row_line_ + 1;
        return back + 1;
      }
      finish(offset + i);
      ++line_;
    }
    return offset + count;
  }

  void end(std::int64_t size) {
    if (row_ >= 0) finish(size);
  }

 private:
  enum class State { field, plain, quoted, quote };

  bool ends_row(char c, std::int64_t at) {
    if (state_ == State::quoted) {
      if (c == '"') state_ = State::quote;
      if (c == '\n') {
        ++line_;
        if (line_end_ < 0) line_end_ = at;
      }
      return false;
    }
    if (c == '\n') return true;
    if (c == '"' && state_ != State::plain) {
      state_ = State::quoted;  // begins a field, or is the second of two
    } else if (c == form_.separator) {
      state_ = State::field;
    } else if (!(state_ == State::quote && c == '\r')) {
      state_ = State::plain;
    }
    return false;
  }

  void finish(std::int64_t end) {
    const bool is_empty = end == row_ || (end == row_ + 1 && last_is_return(end));
    if (!is_empty) {
      rows_.starts_.push_back(row_);
      rows_.lines_.push_back(static_cast<std::uint32_t>(row_line_));
    }
    row_ = -1;
  }

  bool last_is_return(std::int64_t end) const {
    char c = 0;
    rows_.file_.read(end - 1, 1, &c);
    return c == '\r';
  }

  Rows& rows_;
  Form form_;
  State state_ = State::field;
  std::int64_t row_ = -1, row_line_ = 1, line_ = 1;
  std::int64_t line_end_ = -1;  // the first one inside the row's quotes
};

Rows::Rows(const std::string& path, const Form& form) : path_(path), file_(path) {
  const std::int64_t size = file_.size();
  std::vector<char> bytes(static_cast<std::size_t>(std::min<std::int64_t>(size, 1 << 20)));
  std::int64_t at = 0, hashed = 0;
  if (size >= 2) {
    file_.read(0, 2, bytes.data());
    const std::string_view mark(bytes.data(), 2);
    if (mark == "\xFF\xFE" || mark == "\xFE\xFF") {
      throw Error(ErrorKind::data, "[data] expected UTF-8; got UTF-16", path);
    }
  }
  if (size >= 3) {
    file_.read(0, 3, bytes.data());
    if (std::string_view(bytes.data(), 3) == "\xEF\xBB\xBF") at = 3;
  }
  Scan scan(*this, form);
  while (at < size) {
    const std::int64_t count = std::min<std::int64_t>(size - at, 1 << 20);
    file_.read(at, count, bytes.data());
    if (at >= hashed) {  // not what is read again
      hash_ = hash64({bytes.data(), static_cast<std::size_t>(count)}, hash_);
      hashed = at + count;
    }
    at = scan.block(at, bytes.data(), count);
  }
  scan.end(size);
}

void Rows::drop_first() {
  if (starts_.empty()) return;
  starts_.erase(starts_.begin());
  lines_.erase(lines_.begin());
}

std::string Rows::where(std::int64_t row) const {
  return path_ + ":" + std::to_string(lines_.at(static_cast<std::size_t>(row)));
}

std::string Rows::row(std::int64_t row) const {
  TANDEM_CHECK(row >= 0 && row < count(), "[data] a row out of range");
  const auto i = static_cast<std::size_t>(row);
  const std::int64_t start = starts_[i];
  const std::int64_t end = i + 1 < starts_.size() ? starts_[i + 1] : file_.size();
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorKind::data, "[data] " + what, where(row));
  };
  if (end - start > 2 * max_row) {
    fail("expected a row of at most " + std::to_string(max_row) + " bytes; got more");
  }
  std::string text(static_cast<std::size_t>(end - start), '\0');
  file_.read(start, end - start, text.data());
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  if (text.find('\0') != std::string::npos) fail("expected a text; got a NUL in it");
  if (!is_utf8(text)) fail("expected UTF-8");
  return text;
}

}  // namespace tandem::data
