#pragma once
// What a person reads: lines on stderr and, once a run has a directory, in its log.txt. Numbers go
// to the metrics, not here. Thread-safe.

#include <filesystem>
#include <string>

namespace tandem {

enum class LogLevel { info, warning, error };

void log(LogLevel level, const std::string& text);
inline void log_info(const std::string& text) { log(LogLevel::info, text); }
inline void log_warning(const std::string& text) { log(LogLevel::warning, text); }

// Appends to the file as well from now on. Throws Error(io).
void log_to_file(const std::filesystem::path& path);
// Ranks other than 0 are silent but for warnings and errors, which then carry the rank.
void log_as_rank(int rank);
// What draws a progress bar on the terminal installs how to clear and redraw it around a line;
// empty functions take it away.
void log_around_bar(void (*clear)(), void (*redraw)());

}  // namespace tandem
