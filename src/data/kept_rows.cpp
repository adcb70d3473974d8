#include "tandem/data/kept_rows.h"

#include <ATen/ops/empty.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/base/hash.h"

namespace tandem::data {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t page = 4096, hash_bytes = 32, entry_bytes = 2 * hash_bytes;
constexpr std::int64_t longest_key = 64;
constexpr std::int64_t tries = 1024;  // places, one behind the other, that a picture may stand at

std::int64_t whole_pages(std::int64_t bytes) { return (bytes + page - 1) / page * page; }

// Where the places begin: behind the header and an entry for each.
std::int64_t first_byte(const KeptShape& s) { return page + whole_pages(s.places * entry_bytes); }

std::int64_t entry_at(std::int64_t place) { return page + place * entry_bytes; }

// Where a picture stands first of all.
std::int64_t home_of(const std::string& picture, std::int64_t places) {
  return static_cast<std::int64_t>(std::stoull(picture.substr(0, 15), nullptr, 16) %
                                   static_cast<std::uint64_t>(places));
}

// The first page: what the file is, in letters, padded with zeros.
std::string header_of(const std::string& key, const KeptShape& s) {
  std::string text = "tandem kept rows 1\nkey " + key + "\nplaces " + std::to_string(s.places) +
                     "\nrows " + std::to_string(s.rows) + "\nwidth " + std::to_string(s.width) +
                     "\ntype " + (s.half ? "bf16" : "fp32") + "\n";
  text.resize(static_cast<std::size_t>(page), '\0');
  return text;
}

[[noreturn]] void bad_features(const std::string& what, const fs::path& path) {
  throw Error(ErrorKind::io, "[features] " + what + ": " + std::strerror(errno), path.string());
}

void write_all(int descriptor, const void* bytes, std::int64_t count, std::int64_t offset,
               const fs::path& path) {
  const char* from = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t done = ::pwrite(descriptor, from, static_cast<std::size_t>(count), offset);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) bad_features("expected to write", path);
    from += done;
    offset += done;
    count -= done;
  }
}

// `count` bytes from `offset`. Not through a map: where a file is cut, or its disk fails, while it
// is in use, that is an error with a name here, and a signal that ends the process there. The copy
// is made either way.
void read_all(int descriptor, void* bytes, std::int64_t count, std::int64_t offset,
              const fs::path& path) {
  char* to = static_cast<char*>(bytes);
  while (count > 0) {
    const ssize_t done = ::pread(descriptor, to, static_cast<std::size_t>(count), offset);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) bad_features("expected to read", path);
    if (done == 0) {
      throw Error(ErrorKind::data,
                  "[features] expected " + std::to_string(count) + " more bytes at byte " +
                      std::to_string(offset) + "; got the end: the file was cut while it was read",
                  path.string(), "remove the file: its rows are computed again");
    }
    to += done;
    offset += done;
    count -= done;
  }
}

// A new file with its room, under its name at once and whole; someone else's is left where it is.
void make_file(const fs::path& path, const std::string& header, const KeptShape& shape) {
  if (path.has_parent_path()) make_directories(path.parent_path());
  const fs::path made = temporary_beside(path);
  const int descriptor = ::open(made.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (descriptor < 0) bad_features("expected to make the file", made);
  try {
    errno = ::posix_fallocate(descriptor, 0, shape.bytes_of_file());
    if (errno != 0) {
      bad_features(
          "expected room for " + std::to_string(shape.bytes_of_file()) + " bytes of features",
          path);
    }
    write_all(descriptor, header.data(), page, 0, made);
    if (::link(made.c_str(), path.c_str()) != 0 && errno != EEXIST) {
      bad_features("expected to name the file", path);
    }
  } catch (...) {
    ::close(descriptor);
    ::unlink(made.c_str());
    throw;
  }
  ::close(descriptor);
  ::unlink(made.c_str());
}

// Of a picture's hash and its rows, so that neither stands beside another's.
std::string sum_of(const std::string& picture, const void* bytes, std::int64_t count) {
  Hash128 hash;
  hash.add(picture.data(), picture.size());
  hash.add(bytes, static_cast<std::size_t>(count));
  return hash.hex();
}

}  // namespace

std::int64_t KeptShape::bytes_of_file() const {
  return first_byte(*this) + places * bytes_of_place();
}

KeptRows::KeptRows(fs::path path, const std::string& key, const KeptShape& shape)
    : path_(std::move(path)), shape_(shape) {
  TANDEM_CHECK(shape.places > 0 && shape.rows > 0 && shape.width > 0 &&
                   static_cast<std::int64_t>(key.size()) <= longest_key,
               "[features] expected a shape and a short key");
  const std::string header = header_of(key, shape);
  std::error_code error;
  if (!fs::exists(path_, error)) make_file(path_, header, shape);
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor_ < 0) bad_features("expected to open the file", path_);
  struct stat status {};
  std::string found(static_cast<std::size_t>(page), '\0');
  const bool read = ::fstat(descriptor_, &status) == 0 &&
                    ::pread(descriptor_, found.data(), found.size(), 0) == page;
  if (read && found == header && status.st_size != shape.bytes_of_file()) {
    ::close(descriptor_);
    throw Error(ErrorKind::data,
                "[features] expected " + std::to_string(shape.bytes_of_file()) +
                    " bytes of kept rows; got " + std::to_string(status.st_size) +
                    ": the file was cut or added to",
                path_.string(), "remove the file: its rows are computed again");
  }
  if (!read || found != header) {
    ::close(descriptor_);
    throw Error(ErrorKind::data, "[features] expected kept rows of this tower; got others",
                path_.string(), "remove the file");
  }
}

KeptRows::~KeptRows() { ::close(descriptor_); }

std::string KeptRows::entry_of(std::int64_t place) const {
  std::string entry(static_cast<std::size_t>(entry_bytes), '\0');
  read_all(descriptor_, entry.data(), entry_bytes, entry_at(place), path_);
  return entry;
}

at::Tensor KeptRows::get(const std::string& picture) const {
  TANDEM_CHECK(static_cast<std::int64_t>(picture.size()) == hash_bytes,
               "[features] expected the hash of a picture");
  const std::int64_t home = home_of(picture, shape_.places);
  for (std::int64_t i = 0; i < std::min(tries, shape_.places); ++i) {
    const std::int64_t place = (home + i) % shape_.places;
    const std::string entry = entry_of(place);
    if (entry[0] == '\0') return {};
    if (!entry.starts_with(picture)) continue;
    at::Tensor rows =
        at::empty({shape_.rows, shape_.width},
                  at::TensorOptions().dtype(shape_.half ? at::kBFloat16 : at::kFloat));
    const std::int64_t count = shape_.bytes_of_place();
    read_all(descriptor_, rows.mutable_data_ptr(), count, first_byte(shape_) + place * count,
             path_);
    // Of the copy: another process may be writing here.
    if (entry.substr(hash_bytes) != sum_of(picture, rows.const_data_ptr(), count)) {
      ++damaged_;
      return {};
    }
    return rows.to(at::kFloat);
  }
  return {};
}

bool KeptRows::put(const std::string& picture, const at::Tensor& given) {
  TANDEM_CHECK(given.dim() == 2 && given.size(0) == shape_.rows && given.size(1) == shape_.width &&
                   given.is_cpu() && static_cast<std::int64_t>(picture.size()) == hash_bytes,
               "[features] expected rows of the file's shape");
  const std::int64_t home = home_of(picture, shape_.places), count = shape_.bytes_of_place();
  for (std::int64_t i = 0; i < std::min(tries, shape_.places); ++i) {
    const std::int64_t place = (home + i) % shape_.places;
    const std::string entry = entry_of(place);
    if (entry[0] != '\0' && !entry.starts_with(picture)) continue;
    const at::Tensor rows =
        given.detach().to(shape_.half ? at::kBFloat16 : at::kFloat).contiguous();
    write_all(descriptor_, rows.const_data_ptr(), count, first_byte(shape_) + place * count, path_);
    // The entry last: until it is there, the picture is not.
    const std::string made = picture + sum_of(picture, rows.const_data_ptr(), count);
    write_all(descriptor_, made.data(), entry_bytes, entry_at(place), path_);
    return true;
  }
  return false;
}

}  // namespace tandem::data
