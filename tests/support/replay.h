#pragma once
// What a disk may hold after a power cut, worked out from the trace of what a program did to it
// (TANDEM_IO_TRACE, see base/files.h).
//
// The model is the adversary that POSIX allows:
// - A file's data is durable up to its last fsync. What was written since may be there whole, be
//   there as zeros, be there in part, or be missing.
// - A change of a directory (create, mkdir, rename, unlink, rmdir) is durable after the fsync of
//   that directory. Before, each change may have happened or not, whatever became of the others.
// A rename is one change: its source is never gone without its target being there.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace tandem::testing {

struct IoCall {
  std::string op{};    // as in the trace: create, write, ..., and the marks begin and end
  std::string path{};  // of a mark: its name
  std::string to{};    // of a rename
  std::int64_t offset = 0;
  std::string data{};  // of a write

  bool is_mark() const { return op == "begin" || op == "end"; }
  bool is_sync() const { return op == "fsync" || op == "fsyncdir"; }
};

// Throws std::runtime_error for a trace that is cut or unknown.
std::vector<IoCall> read_trace(const std::filesystem::path& path);

// One thing that the disk may hold.
struct PowerCut {
  std::size_t after = 0;             // calls of the trace that were made, marks included
  std::vector<std::string> ended{};  // scopes that had ended well by then, in order
  std::string under_way{};           // the scope that was open, or empty
  std::string content{};             // equal for equal trees: a key for a cache
  std::function<void(const std::filesystem::path& into)> materialise{};  // makes the tree there
};

// Visits what the disk may hold at every point of the trace, each distinct tree once a point, until
// `visit` returns false. `root` is the directory that all paths of the trace lie in; `before` holds
// what was in it, durable, when the trace began.
void for_each_power_cut(const std::filesystem::path& root, const std::filesystem::path& before,
                        const std::vector<IoCall>& calls,
                        const std::function<bool(const PowerCut&)>& visit);

}  // namespace tandem::testing
