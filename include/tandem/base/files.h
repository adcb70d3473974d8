#pragma once
// Files that have to be there after a power cut. Every call that changes the disk is checked, close
// included, and goes through one small layer (src/base/io_calls.h) that a crash test can steer.
//
// Errors are Error(io) and name the file; a full disk names the bytes wanted and those free. Paths
// may not contain a NUL. No class here is thread-safe; different objects may be used at once.
//
// For crash tests from outside (read from the environment once, at the first saved file): the
// calls made inside a SaveScope are numbered 1, 2, ... over the life of the process, and
//   TANDEM_IO_EXIT_AT=N          the process ends with _exit(86) right before call N
//   TANDEM_IO_EXIT_AT=N:partial  call N writes half of its bytes (another kind of call is made
//                                whole), then _exit(86)
//   TANDEM_IO_FAIL_AT=N:ENOSPC   call N is not made and fails so (also EIO, EDQUOT, EACCES, EROFS)
//   TANDEM_IO_TRACE=FILE         appends a record of each call that succeeded. One line a record,
//       fields separated by tabs, %XX for tab, newline and % in paths, paths absolute:
//         begin NAME | end NAME            a scope that began, or that ended well
//         create PATH | mkdir PATH | rename FROM TO | unlink PATH | rmdir PATH
//         write PATH OFFSET BYTES          followed by so many raw bytes and a newline
//         fsync PATH | fsyncdir PATH | close PATH
// Calls outside of any SaveScope are neither counted nor recorded.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tandem/base/hash.h"

namespace tandem {

// Marks what the calling thread does to the disk as a part of a save, see above. `done` says that
// the save's promise now holds; without it no `end` is recorded. Scopes do not nest.
class SaveScope {
 public:
  explicit SaveScope(std::string name);
  ~SaveScope();
  SaveScope(const SaveScope&) = delete;
  SaveScope& operator=(const SaveScope&) = delete;
  void done();

 private:
  std::string name_;
};

// A new file, written from front to end. An existing one is emptied first.
class FileWriter {
 public:
  // expected_bytes: what the message of a full disk says is wanted; 0 when not known.
  explicit FileWriter(std::filesystem::path path, std::int64_t expected_bytes = 0);
  ~FileWriter();  // closes, without a promise that anything is on the disk
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  void write(std::string_view bytes);
  void write(const void* bytes, std::size_t count);
  // Flush, fsync, close: the data is durable when it returns. The name is only after an
  // fsync_directory of the parent.
  void finish();

  std::int64_t bytes() const { return bytes_; }     // handed to write so far
  std::string hash() const { return hash_.hex(); }  // XXH3-128 of them
  const std::filesystem::path& path() const { return path_; }

 private:
  void put(const char* bytes, std::size_t count);
  void flush();

  std::filesystem::path path_;
  int descriptor_ = -1;
  std::int64_t expected_ = 0, bytes_ = 0, on_disk_ = 0;
  std::string buffer_{};
  Hash128 hash_{};
};

// A regular file, read from front to end.
class FileReader {
 public:
  explicit FileReader(std::filesystem::path path);  // a directory, a pipe, ...: Error(io)
  ~FileReader();
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  std::int64_t size() const { return size_; }  // when it was opened
  std::int64_t position() const { return position_; }
  // Exactly `count` bytes. Error(data) when the file ends before.
  void read(void* to, std::int64_t count);
  std::string hash() const { return hash_.hex(); }  // XXH3-128 of the bytes read so far
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::int64_t size_ = 0, position_ = 0;
  Hash128 hash_{};
};

// Error(data) when it has more than `limit` bytes.
std::string read_file(const std::filesystem::path& path, std::int64_t limit);
// Replaces a file atomically and durably: written beside it, fsynced, renamed, the parent fsynced.
void replace_file(const std::filesystem::path& path, std::string_view bytes);
void replace_file(const std::filesystem::path& path, std::int64_t expected_bytes,
                  const std::function<void(FileWriter&)>& write);

// Makes what is missing, each durable in its parent.
void make_directories(const std::filesystem::path& path);
// One new directory; its name is durable only after an fsync_directory of the parent.
void make_directory(const std::filesystem::path& path);
void rename_path(const std::filesystem::path& from, const std::filesystem::path& to);
void fsync_directory(const std::filesystem::path& path);
void remove_file(const std::filesystem::path& path);
// A directory and all in it, or a file; links are removed, not followed. Nothing there is no error.
void remove_tree(const std::filesystem::path& path);
// Names in it, sorted by bytes.
std::vector<std::string> list_directory(const std::filesystem::path& path);
// A name beside `path` that no one else uses: PATH.tmp.<16 hexadecimal digits>.
std::filesystem::path temporary_beside(const std::filesystem::path& path);

}  // namespace tandem
