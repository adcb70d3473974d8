#pragma once
// The largest sizes that a config may ask of a transformer: far above any that was ever made, so
// that a slip of the keyboard is told before memory is.

namespace tandem::models {

inline constexpr double widest = 65536, deepest = 1024;

}  // namespace tandem::models
