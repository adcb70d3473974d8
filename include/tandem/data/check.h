#pragma once
// What `tandem check` reads of a source: every row, and of every picture the header. No pixel is
// decoded, so that it runs at the speed of the files; pixels that do not decode show in training.

#include <cstdint>
#include <functional>
#include <string>

#include "tandem/data/source.h"

namespace tandem::data {

struct CheckReport {
  std::int64_t samples = 0, pictures = 0, texts = 0;
  std::int64_t bad = 0;       // samples that cannot be used
  std::int64_t left_out = 0;  // on opening
  // Training stops above 1 % of bad samples. What was left out is none: it never comes to training.
  bool too_many() const { return bad * 100 > samples; }
};

// Calls `found` for each thing that is wrong, in order. A drawn source has nothing to check. use:
// what else is asked of a sample, whose pictures may be cut behind their headers; it throws
// Error(data) for a bad one. Throws what is no Error(data).
CheckReport check_source(const Source& source, const std::function<void(const Finding&)>& found,
                         const std::function<void(const Sample&)>& use = {});

// "source NAME: 500 samples, 500 pictures, 2500 captions: all good", or what is bad, for a person.
std::string check_line(const std::string& name, const Source& source, const CheckReport& report);

// The pixels' size from the first bytes, else from all of them. Throws Error(data).
struct PictureFacts {
  int width = 0, height = 0;
  std::string encoding{};  // jpeg, png, webp, pixels
};
PictureFacts facts_of(const Picture& picture, const std::string& where);

}  // namespace tandem::data
