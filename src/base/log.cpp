#include "tandem/base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <mutex>

#include "tandem/base/error.h"

namespace tandem {
namespace {

struct State {
  std::mutex mutex{};
  std::shared_ptr<spdlog::logger> logger{};
  int rank = 0;
  void (*clear)() = nullptr;
  void (*redraw)() = nullptr;

  State() {
    logger = std::make_shared<spdlog::logger>("tandem",
                                              std::make_shared<spdlog::sinks::stderr_sink_mt>());
    logger->set_pattern("%H:%M:%S %L %v");
    logger->flush_on(spdlog::level::info);
  }
};

State& state() {
  static State made;
  return made;
}

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

void log(LogLevel level, const std::string& text) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (s.rank > 0 && level == LogLevel::info) return;
  if (s.clear != nullptr) s.clear();
  s.logger->log(level_of(level), "{}{}",
                s.rank > 0 ? "rank " + std::to_string(s.rank) + ": " : std::string(), text);
  if (s.redraw != nullptr) s.redraw();
}

void log_to_file(const std::filesystem::path& path) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string());
    sink->set_pattern("%Y-%m-%d %H:%M:%S %L %v");
    s.logger->sinks().push_back(std::move(sink));
  } catch (const spdlog::spdlog_ex& error) {
    throw Error(ErrorKind::io, error.what(), path.string());
  }
}

void log_as_rank(int rank) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.rank = rank;
}

void log_around_bar(void (*clear)(), void (*redraw)()) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.clear = clear;
  s.redraw = redraw;
}

}  // namespace tandem
