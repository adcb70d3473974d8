#include "tandem/base/error.h"

namespace tandem {

Error::Error(ErrorKind kind, std::string what, std::string where, std::string hint)
    : kind_(kind), message_(std::move(what)), where_(std::move(where)), hint_(std::move(hint)) {
  if (!where_.empty()) text_ = where_ + ": ";
  text_ += message_;
  if (!hint_.empty()) text_ += " (" + hint_ + ")";
}

int exit_code(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::config:
      return 64;
    case ErrorKind::data:
      return 65;
    case ErrorKind::internal:
      return 70;
    case ErrorKind::io:
      return 74;
    case ErrorKind::interrupted:
      return 75;
    case ErrorKind::numerics:
      return 77;
  }
  return 70;
}

std::string_view name_of(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::config:
      return "config";
    case ErrorKind::data:
      return "data";
    case ErrorKind::internal:
      return "internal";
    case ErrorKind::io:
      return "io";
    case ErrorKind::interrupted:
      return "interrupted";
    case ErrorKind::numerics:
      return "numerics";
  }
  return "internal";
}

void fail_check(const char* file, int line, const char* expression, const std::string& text) {
  throw Error(ErrorKind::internal, text + " [" + expression + "]",
              std::string(file) + ":" + std::to_string(line), "this is a bug in tandem");
}

}  // namespace tandem
