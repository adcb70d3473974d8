#include "train/run_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tandem/base/error.h"
#include "tandem/base/files.h"

namespace tandem::train {
namespace {

constexpr std::int64_t largest_text = std::int64_t{64} << 20;

}  // namespace

RunLock::RunLock(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) throw Error(ErrorKind::io, "[run] " + error.message(), directory.string());
  const std::filesystem::path path = directory / "lock";
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) throw Error(ErrorKind::io, std::strerror(errno), path.string());
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    const std::string owner = read_file(path, largest_text);
    ::close(descriptor_);
    throw Error(ErrorKind::config,
                "[run] expected a folder that no process trains in; got one of " + owner,
                directory.string(), "wait for it, or name another with --out");
  }
  const std::string mine = "process " + std::to_string(::getpid());
  if (::ftruncate(descriptor_, 0) != 0 ||
      ::write(descriptor_, mine.data(), mine.size()) != static_cast<ssize_t>(mine.size())) {
    ::close(descriptor_);
    throw Error(ErrorKind::io, std::strerror(errno), path.string());
  }
}

RunLock::~RunLock() { ::close(descriptor_); }

void refuse_other_run(const config::Loaded& loaded, const RunOptions& options) {
  const std::filesystem::path path = options.directory / "resolved.yaml";
  if (!std::filesystem::exists(path)) return;
  if (options.resume == "never") {
    throw Error(ErrorKind::config,
                "[run] expected a new folder with --resume never; got one that holds a run",
                options.directory.string(),
                "leave --resume out to go on, or name another with --out");
  }
  const auto differences =
      config::resume_differences(read_file(path, largest_text), loaded.resolved);
  if (differences.empty()) return;
  std::string list;
  for (const std::string& one : differences) list += "\n  " + one;
  throw Error(
      ErrorKind::config,
      "[run] expected the config that this run was started with; got other values:" + list + "\n",
      options.directory.string(),
      "give the old values back to go on with it, or start another run with --out DIR or "
      "name=NAME");
}

std::string run_config_before(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "resolved.yaml";
  std::error_code error;
  return std::filesystem::exists(path, error) ? read_file(path, largest_text) : std::string();
}

void write_run_files(const config::Loaded& loaded, const RunOptions& options,
                     const std::string& environment) {
  if (!options.config.empty()) replace_file(options.directory / "config.yaml", options.config);
  replace_file(options.directory / "resolved.yaml", loaded.resolved);
  replace_file(options.directory / "command.txt", options.command + "\n");
  replace_file(options.directory / "env.json", environment + "\n");
}

}  // namespace tandem::train
