#include "data/shard_index.h"

#include <cstdlib>
#include <filesystem>
#include <unordered_set>

#include "data/file.h"
#include "data/tar.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/base/log.h"

namespace tandem::data {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view magic = "tandem tar index 1\n";
constexpr std::int64_t max_index_bytes = std::int64_t{8} << 30;

struct SplitName {
  std::string key{}, extension{};
};

// nullopt for members that belong to no sample.
std::optional<SplitName> split_name(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  const std::size_t last = slash == std::string::npos ? 0 : slash + 1;
  const std::size_t dot = name.find('.', last);
  if (dot == std::string::npos || dot == last || dot + 1 == name.size()) return {};
  const std::string_view first = std::string_view(name).substr(0, name.find('/'));
  if (first.size() > 4 && first.starts_with("__") && first.ends_with("__")) return {};
  return SplitName{name.substr(0, dot), lower(std::string_view(name).substr(dot + 1))};
}

class Writer {
 public:
  void number(std::uint64_t value) {
    for (int i = 0; i < 8; ++i) bytes_ += static_cast<char>(value >> 8 * i & 0xFF);
  }
  void number(std::int64_t value) { number(static_cast<std::uint64_t>(value)); }
  void text(std::string_view value) {
    number(static_cast<std::uint64_t>(value.size()));
    bytes_ += value;
  }
  std::string bytes_{};
};

// Reads past the end give zeros and clear ok().
class Parser {
 public:
  explicit Parser(std::string_view bytes) : rest_(bytes) {}
  std::int64_t number() {
    if (rest_.size() < 8) return fail();
    std::uint64_t value = 0;
    for (std::size_t i = 8; i-- > 0;) value = value << 8 | static_cast<unsigned char>(rest_[i]);
    rest_.remove_prefix(8);
    return static_cast<std::int64_t>(value);
  }
  std::string text() {
    const std::int64_t size = count(1);
    std::string value(rest_.substr(0, static_cast<std::size_t>(size)));
    rest_.remove_prefix(static_cast<std::size_t>(size));
    return value;
  }
  // A number of things that take `each` bytes at least, so that it cannot be more than the rest.
  std::int64_t count(std::int64_t each) {
    const std::int64_t value = number();
    if (value < 0 || value > static_cast<std::int64_t>(rest_.size()) / each) return fail();
    return value;
  }
  bool ok() const { return ok_; }
  bool done() const { return ok_ && rest_.empty(); }

 private:
  std::int64_t fail() {
    ok_ = false;
    rest_ = {};
    return 0;
  }
  std::string_view rest_;
  bool ok_ = true;
};

bool could_keep(const fs::path& path, const std::string& bytes) {
  try {
    make_directories(fs::absolute(path).parent_path());
    replace_file(path, bytes);
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::string name_with_hash(const std::string& tar) {
  const fs::path whole = fs::absolute(tar).lexically_normal();
  return whole.filename().string() + "." + hex(hash64(whole.string())) + ".index";
}

fs::path user_cache() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/') {
    return fs::path(cache) / "tandem" / "index";
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') {
    return fs::path(home) / ".cache" / "tandem" / "index";
  }
  return {};
}

std::vector<fs::path> places_of(const std::string& tar, const std::string& folder) {
  if (!folder.empty()) return {fs::path(folder) / name_with_hash(tar)};
  std::vector<fs::path> places{tar + ".index"};
  if (const fs::path cache = user_cache(); !cache.empty()) {
    places.push_back(cache / name_with_hash(tar));
  }
  return places;
}

std::optional<ShardIndex> kept_at(const fs::path& place, const InputFile& tar) {
  std::error_code code;
  if (!fs::is_regular_file(place, code)) return {};
  try {
    auto index = parse_shard_index(read_text(place.string(), max_index_bytes));
    const bool fits =
        index && index->tar_size == tar.size() && index->tar_modified_ns == tar.modified_ns();
    return fits ? std::move(index) : std::nullopt;
  } catch (const Error&) {  // it cannot be read: as if it were not there
    return {};
  }
}

}  // namespace

const ShardMember* ShardSample::find(const std::vector<std::string>& extensions) const {
  for (const std::string& extension : extensions) {
    for (const ShardMember& member : members) {
      if (member.extension == extension) return &member;
    }
  }
  return nullptr;
}

ShardIndex build_shard_index(const std::string& tar) {
  const InputFile file(tar);
  ShardIndex index{file.size(), file.modified_ns(), {}};
  TarReader reader(file, tar);
  std::unordered_set<std::string> known;
  while (const auto member = reader.next()) {
    const auto name = split_name(member->name);
    if (!name) continue;
    const auto fail = [&](const std::string& what) {
      throw Error(ErrorKind::data, "[webdataset] " + what + ": '" + member->name + "'",
                  tar + " at byte " + std::to_string(member->offset));
    };
    if (index.samples.empty() || index.samples.back().key != name->key) {
      if (!known.insert(name->key).second) {
        fail("expected the members of a sample to stand together");
      }
      index.samples.push_back({name->key, {}});
    }
    ShardSample& sample = index.samples.back();
    if (sample.find({name->extension}) != nullptr) fail("a member twice");
    sample.members.push_back({name->extension, member->offset, member->size});
  }
  return index;
}

std::string serialise(const ShardIndex& index) {
  Writer writer;
  writer.bytes_ = magic;
  writer.number(index.tar_size);
  writer.number(index.tar_modified_ns);
  writer.number(static_cast<std::uint64_t>(index.samples.size()));
  for (const ShardSample& sample : index.samples) {
    writer.text(sample.key);
    writer.number(static_cast<std::uint64_t>(sample.members.size()));
    for (const ShardMember& member : sample.members) {
      writer.text(member.extension);
      writer.number(member.offset);
      writer.number(member.size);
    }
  }
  writer.number(hash64(writer.bytes_));
  return std::move(writer.bytes_);
}

std::optional<ShardIndex> parse_shard_index(std::string_view bytes) {
  if (!bytes.starts_with(magic) || bytes.size() < magic.size() + 8) return {};
  const std::string_view hashed = bytes.substr(0, bytes.size() - 8);
  const auto hash = static_cast<std::uint64_t>(Parser(bytes.substr(hashed.size())).number());
  if (hash != hash64(hashed)) return {};
  Parser parser(hashed.substr(magic.size()));
  ShardIndex index;
  index.tar_size = parser.number();
  index.tar_modified_ns = parser.number();
  const std::int64_t samples = parser.count(16);
  for (std::int64_t i = 0; i < samples && parser.ok(); ++i) {
    ShardSample sample{parser.text(), {}};
    const std::int64_t members = parser.count(24);
    for (std::int64_t k = 0; k < members; ++k) {
      ShardMember member{parser.text(), 0, 0};
      member.offset = parser.number();
      member.size = parser.number();
      if (member.offset < 0 || member.size < 0 || member.offset > index.tar_size ||
          member.size > index.tar_size - member.offset) {
        return {};
      }
      sample.members.push_back(std::move(member));
    }
    index.samples.push_back(std::move(sample));
  }
  if (!parser.done()) return {};
  return index;
}

KeptIndex keep_shard_index(const std::string& tar, const std::string& folder, bool rebuild) {
  const std::vector<fs::path> places = places_of(tar, folder);
  if (!rebuild) {
    const InputFile file(tar);
    for (const fs::path& place : places) {
      if (auto index = kept_at(place, file)) return {std::move(*index), place.string(), false};
    }
  }
  KeptIndex kept{build_shard_index(tar), "", true};
  const std::string bytes = serialise(kept.index);
  for (const fs::path& place : places) {
    if (!could_keep(place, bytes)) continue;
    kept.path = place.string();
    return kept;
  }
  if (!folder.empty()) {
    throw Error(ErrorKind::io, "[webdataset] cannot write the index", places[0].string(),
                "`index` of the source names the folder");
  }
  log_warning("no place to keep the index of " + tar + ": it is made anew at each start");
  return kept;
}

}  // namespace tandem::data
