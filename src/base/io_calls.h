#pragma once
// The one place where this program changes the disk for a save: the system calls, counted,
// recorded and made to fail as files.h describes. Each returns what the system call returns and
// leaves errno; none retries.

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace tandem::io {

// The thread's calls are counted and recorded between these two.
void begin_scope(const std::string& name);
void end_scope();
void mark_done(const std::string& name);

int create(const std::string& path);  // empties an existing file; a descriptor
ssize_t write(int descriptor, const std::string& path, std::int64_t offset, const void* bytes,
              std::size_t count);
int fsync(int descriptor, const std::string& path);
int fsync_directory(const std::string& path);
int close(int descriptor, const std::string& path);
int mkdir(const std::string& path);
int rename(const std::string& from, const std::string& to);
int unlink(const std::string& path);
int rmdir(const std::string& path);

}  // namespace tandem::io
