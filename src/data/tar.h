#pragma once
// The members of a tar file, from its headers alone. ustar, GNU long names and pax (path, size).
//
// Only regular files are given. Directories and volume labels are passed over. Links, devices,
// sparse members, parts of multi-volume archives, absolute names and names with `..` are refused:
// they mean that the tar does not hold the file, or was made to mislead. Every error is Error(data)
// with the shard and the byte.
// Source: POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".

#include <cstdint>
#include <optional>
#include <string>

#include "data/file.h"

namespace tandem::data {

struct TarMember {
  std::string name{};                 // without a leading "./"
  std::int64_t offset = 0, size = 0;  // of its bytes in the tar
};

class TarReader {
 public:
  // The file outlives the reader.
  TarReader(const InputFile& file, std::string path) : file_(file), path_(std::move(path)) {}

  // The next regular file, or nullopt at the end mark. A tar without an end mark is truncated;
  // bytes behind it (tars joined by cat) are refused.
  std::optional<TarMember> next();

 private:
  struct Extended {  // what headers in front of a member say of it
    std::optional<std::string> name{};
    std::optional<std::int64_t> size{};
  };

  [[noreturn]] void fail(const std::string& what) const;
  bool read_header(unsigned char* header);
  void check_rest_is_empty() const;
  std::string contents(std::int64_t size) const;
  void read_pax(const std::string& records, Extended& extended) const;
  TarMember member_of(const unsigned char* header, std::int64_t size, Extended& extended) const;
  void skip(std::int64_t size);

  const InputFile& file_;
  std::string path_;
  std::int64_t at_ = 0;     // the next header
  std::int64_t start_ = 0;  // of the header in hand, for errors
};

}  // namespace tandem::data
