#include "tandem/base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>

#include "base/io_calls.h"
#include "tandem/base/error.h"

namespace tandem {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t buffer_bytes = std::size_t{1} << 20;
constexpr std::size_t call_bytes = std::size_t{16} << 20;  // of one read or write

[[noreturn]] void fail(const std::string& doing, const fs::path& path, int error) {
  throw Error(ErrorKind::io, "[base] cannot " + doing + ": " + std::strerror(error), path.string());
}

std::string free_bytes(const fs::path& path) {
  struct statvfs facts {};
  if (::statvfs(path.c_str(), &facts) != 0) return "an unknown number of";
  return std::to_string(static_cast<std::uint64_t>(facts.f_bavail) * facts.f_frsize);
}

// The parent that a bare name has.
fs::path parent_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

}  // namespace

SaveScope::SaveScope(std::string name) : name_(std::move(name)) { io::begin_scope(name_); }
SaveScope::~SaveScope() { io::end_scope(); }
void SaveScope::done() { io::mark_done(name_); }

FileWriter::FileWriter(fs::path path, std::int64_t expected_bytes)
    : path_(std::move(path)), expected_(expected_bytes) {
  descriptor_ = io::create(path_.string());
  if (descriptor_ < 0) fail("create", path_, errno);
}

FileWriter::~FileWriter() {
  try {
    if (descriptor_ >= 0) io::close(descriptor_, path_.string());
  } catch (...) {  // no memory for the record of calls; nothing was promised of this file
  }
}

void FileWriter::write(std::string_view bytes) { write(bytes.data(), bytes.size()); }

void FileWriter::write(const void* bytes, std::size_t count) {
  const auto* from = static_cast<const char*>(bytes);
  hash_.add(from, count);
  bytes_ += static_cast<std::int64_t>(count);
  if (buffer_.size() + count <= buffer_bytes) {
    buffer_.append(from, count);
    return;
  }
  flush();
  if (count < buffer_bytes) {
    buffer_.append(from, count);
  } else {
    put(from, count);
  }
}

void FileWriter::flush() {
  put(buffer_.data(), buffer_.size());
  buffer_.clear();
}

void FileWriter::put(const char* bytes, std::size_t count) {
  while (count > 0) {
    const ssize_t wrote =
        io::write(descriptor_, path_.string(), on_disk_, bytes, std::min(count, call_bytes));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0 && (errno == ENOSPC || errno == EDQUOT)) {
      const int error = errno;
      throw Error(ErrorKind::io,
                  std::string("[base] ") + std::strerror(error) + ": wanted " +
                      std::to_string(std::max(expected_, bytes_)) + " bytes; wrote " +
                      std::to_string(on_disk_) + ", and " + free_bytes(path_) + " bytes are free",
                  path_.string(), "make space and start the same command again");
    }
    if (wrote < 0) fail("write", path_, errno);
    if (wrote == 0) fail("write", path_, EIO);
    bytes += wrote;
    count -= static_cast<std::size_t>(wrote);
    on_disk_ += wrote;
  }
}

void FileWriter::finish() {
  TANDEM_CHECK(descriptor_ >= 0, "finish() of a file that is closed");
  flush();
  // No second try: after a failed fsync the kernel may have dropped the dirty pages, and the next
  // fsync would report a success that is none.
  if (io::fsync(descriptor_, path_.string()) != 0) fail("fsync", path_, errno);
  const int descriptor = descriptor_;
  descriptor_ = -1;
  // On Linux the descriptor is gone after EINTR too, and the data is on the disk already.
  if (io::close(descriptor, path_.string()) != 0 && errno != EINTR) fail("close", path_, errno);
}

FileReader::FileReader(fs::path path) : path_(std::move(path)) {
  // O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) fail("open", path_, errno);
  struct stat facts {};
  if (::fstat(descriptor_, &facts) != 0 || !S_ISREG(facts.st_mode)) {
    ::close(descriptor_);
    throw Error(ErrorKind::io, "[base] expected a regular file", path_.string());
  }
  size_ = facts.st_size;
}

FileReader::~FileReader() { ::close(descriptor_); }

void FileReader::read(void* to, std::int64_t count) {
  auto* at = static_cast<char*>(to);
  while (count > 0) {
    const std::size_t wanted = std::min(static_cast<std::size_t>(count), call_bytes);
    const ssize_t got = ::pread(descriptor_, at, wanted, position_);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("read", path_, errno);
    if (got == 0) {
      throw Error(ErrorKind::data,
                  "[base] truncated: ends at byte " + std::to_string(position_) + ", " +
                      std::to_string(count) + " more expected",
                  path_.string());
    }
    hash_.add(at, static_cast<std::size_t>(got));
    at += got;
    count -= got;
    position_ += got;
  }
}

std::string read_file(const fs::path& path, std::int64_t limit) {
  FileReader file(path);
  if (file.size() > limit) {
    throw Error(ErrorKind::data,
                "[base] expected at most " + std::to_string(limit) + " bytes; got " +
                    std::to_string(file.size()),
                path.string());
  }
  std::string bytes(static_cast<std::size_t>(file.size()), '\0');
  file.read(bytes.data(), file.size());
  return bytes;
}

void replace_file(const fs::path& path, std::string_view bytes) {
  replace_file(path, static_cast<std::int64_t>(bytes.size()),
               [&](FileWriter& file) { file.write(bytes); });
}

void replace_file(const fs::path& path, std::int64_t expected_bytes,
                  const std::function<void(FileWriter&)>& write) {
  const fs::path temporary = temporary_beside(path);
  try {
    FileWriter file(temporary, expected_bytes);
    write(file);
    file.finish();
    rename_path(temporary, path);
  } catch (...) {
    io::unlink(temporary.string());
    throw;
  }
  fsync_directory(parent_of(path));
}

void make_directories(const fs::path& path) {
  std::error_code ignored;
  if (path.empty() || fs::is_directory(path, ignored)) return;
  const fs::path parent = parent_of(path);
  if (path.has_filename()) {
    if (parent != path) make_directories(parent);
  } else {  // "a/b/" is "a/b"
    return make_directories(parent);
  }
  if (io::mkdir(path.string()) != 0) {
    const int error = errno;
    // Someone else may have made it just now.
    if (error != EEXIST || !fs::is_directory(path, ignored))
      fail("make the directory", path, error);
  }
  fsync_directory(parent);
}

void make_directory(const fs::path& path) {
  if (io::mkdir(path.string()) != 0) fail("make the directory", path, errno);
}

void rename_path(const fs::path& from, const fs::path& to) {
  if (io::rename(from.string(), to.string()) != 0) {
    fail("rename to " + to.filename().string(), from, errno);
  }
}

void fsync_directory(const fs::path& path) {
  if (io::fsync_directory(path.string()) != 0) fail("fsync the directory", path, errno);
}

void remove_file(const fs::path& path) {
  if (io::unlink(path.string()) != 0) fail("remove", path, errno);
}

void remove_tree(const fs::path& path) {
  struct stat facts {};
  if (::lstat(path.c_str(), &facts) != 0) {
    if (errno == ENOENT) return;
    fail("look at", path, errno);
  }
  if (!S_ISDIR(facts.st_mode)) return remove_file(path);
  for (const std::string& name : list_directory(path)) remove_tree(path / name);
  if (io::rmdir(path.string()) != 0) fail("remove the directory", path, errno);
}

std::vector<std::string> list_directory(const fs::path& path) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator at(path, error);
  for (; !error && at != fs::directory_iterator(); at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  if (error) fail("list", path, error.value());
  std::sort(names.begin(), names.end());
  return names;
}

fs::path temporary_beside(const fs::path& path) {
  std::random_device random;
  static constexpr char digits[] = "0123456789abcdef";
  std::string name = path.filename().string() + ".tmp.";
  for (int i = 0; i < 16; ++i) name += digits[random() & 15];
  return parent_of(path) / name;
}

}  // namespace tandem
