#pragma once
// What the fuzz targets share. A target is one function, LLVMFuzzerTestOneInput: under scripts/fuzz
// libFuzzer calls it (clang), in scripts/test replay.cpp does with the inputs of corpus/ (gcc with
// AddressSanitizer and UBSan).
//
// The rule for every input: it is read, or refused by an Error of the kinds data, config or io.
// Anything else (another exception, a signal, a sanitizer's report, minutes, gigabytes) is a find.

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tandem/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace tandem::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Holds in a target, or ends it: a find that no sanitizer would see.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

// How often a target accepted what it was given: one that refuses everything looks at nothing.
inline std::size_t inputs_read = 0;

// True when `act` ran to its end, false when it refused its input.
template <class Act>
bool accepted(const Act& act) {
  try {
    act();
    ++inputs_read;
    return true;
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::data || error.kind() == ErrorKind::config ||
                error.kind() == ErrorKind::io,
            error.what());
    require(!error.message().empty(), "an error says what is wrong");
    return false;
  }
}

// What was made here from an accepted input: to refuse that is a find.
template <class Act>
auto read_back(const Act& act) {
  try {
    return act();
  } catch (const Error& error) {
    require(false, error.what());
    throw;
  }
}

// The bytes as a regular file of this process, without touching a disk.
class MemoryFile {
 public:
  MemoryFile(const std::uint8_t* data, std::size_t size)
      : descriptor_(memfd_create("fuzz", MFD_CLOEXEC)) {
    require(descriptor_ >= 0, "memfd_create");
    require(::write(descriptor_, data, size) == static_cast<ssize_t>(size), "write");
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

}  // namespace tandem::fuzz
