#pragma once
// The one error type of the house. Bad input throws it; a broken invariant of our own is
// ErrorKind::internal. The kind decides the exit code (DESIGN: 64 config, 65 data, 70 internal,
// 74 I/O, 75 interrupted or a lost rank, 77 numerics).

#include <exception>
#include <string>
#include <string_view>

namespace tandem {

enum class ErrorKind { config, data, internal, io, interrupted, numerics };

class Error : public std::exception {
 public:
  // what:  expected and got, e.g. "[itc] expected image and text [B, D]; got [8, 512] and [7, 512]"
  // where: file:line:column, a sample id, a tensor's name; may be empty
  // hint:  what to do; may be empty
  Error(ErrorKind kind, std::string what, std::string where = {}, std::string hint = {});

  ErrorKind kind() const noexcept { return kind_; }
  const std::string& message() const noexcept { return message_; }
  const std::string& where() const noexcept { return where_; }
  const std::string& hint() const noexcept { return hint_; }
  // "where: message (hint)", one line.
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  ErrorKind kind_;
  std::string message_, where_, hint_, text_;
};

int exit_code(ErrorKind kind) noexcept;
std::string_view name_of(ErrorKind kind) noexcept;

// Programmer errors only: never reachable by user input.
[[noreturn]] void fail_check(const char* file, int line, const char* expression,
                             const std::string& text);

}  // namespace tandem

#define TANDEM_CHECK(condition, text)                                               \
  do {                                                                              \
    if (!(condition)) ::tandem::fail_check(__FILE__, __LINE__, #condition, (text)); \
  } while (false)
