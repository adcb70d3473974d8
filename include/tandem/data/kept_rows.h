#pragma once
// What a frozen tower gave of each picture, on disk (DESIGN 3, decision 9): one file, a place for
// each picture, found by the hash of what the tower saw, written once and read as it is asked for
// (the system keeps what it read in memory). In fp32 what is read has the bits that were written;
// in bf16 it is rounded to 8 bits (off by at most 2^-8 of each number).
//
// Goals: safe at any crash: a place counts only where its checksum holds, so nothing needs an
// fsync; several processes of one machine write and read one file at once without locks (where two
// take one place, one of them is not there and is computed again). Non-goals: places of different
// shapes, eviction: a full file takes nothing more.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace tandem::data {

struct KeptShape {
  std::int64_t places = 0;           // pictures that there is room for
  std::int64_t rows = 0, width = 0;  // of one place: [rows, width]
  bool half = false;                 // bf16, else fp32

  std::int64_t bytes_of_place() const { return rows * width * (half ? 2 : 4); }
  std::int64_t bytes_of_file() const;  // what the disk must have room for
};

class KeptRows {
 public:
  // key: a hash of everything but the picture that the rows follow from (the tower's weights), of
  // at most 64 letters. Makes the file where it is not there, with its whole room reserved. Throws
  // Error(io), also for a full disk; Error(data) for a file of another key or shape, or of another
  // length than that has, which is left as it is.
  KeptRows(std::filesystem::path path, const std::string& key, const KeptShape& shape);
  ~KeptRows();
  KeptRows(const KeptRows&) = delete;
  KeptRows& operator=(const KeptRows&) = delete;

  // picture: hash128 of what the tower saw. fp32 [rows, width]; undefined: not there. Throws
  // Error(data) where the file was cut since it was opened, Error(io) where it cannot be read.
  at::Tensor get(const std::string& picture) const;
  // rows: [rows, width] on the CPU. False: there is no room.
  bool put(const std::string& picture, const at::Tensor& rows);

  const KeptShape& shape() const { return shape_; }
  // How often `get` met a place whose rows are not those that were written there.
  std::int64_t damaged() const { return damaged_; }

 private:
  std::string entry_of(std::int64_t place) const;  // the picture's hash and the checksum

  std::filesystem::path path_;
  KeptShape shape_;
  int descriptor_ = -1;
  mutable std::int64_t damaged_ = 0;
};

}  // namespace tandem::data
