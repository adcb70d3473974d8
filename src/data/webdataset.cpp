#include "tandem/data/webdataset.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/file.h"
#include "data/shard_index.h"
#include "tandem/base/error.h"
#include "tandem/base/json.h"
#include "tandem/base/log.h"
#include "tandem/base/random.h"

namespace tandem::data {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t max_text_bytes = 1 << 20, max_json_bytes = 16 << 20;

struct Bytes {
  std::int64_t offset = 0, size = 0;
};

// What is kept in memory of a sample: 12 million of them must fit.
struct ShardRow {
  Bytes picture{}, text{};
  std::uint32_t key = 0, key_size = 0;  // in Shard::keys
  bool json = false;                    // the text is a .json
};

struct Shard {
  std::string path{}, name{};
  std::int64_t tar_size = 0, tar_modified_ns = 0;
  std::int64_t first = 0;  // sample of the source
  std::string keys{};
  std::vector<ShardRow> rows{};
  std::int64_t left_out = 0;     // samples without a picture or a text
  std::vector<Finding> named{};  // the first of them
};

Shard shard_of(const std::string& path, const WebdatasetSettings& settings) {
  const ShardIndex index = keep_shard_index(path, settings.index, false).index;
  Shard shard{path, std::filesystem::path(path).filename().string(), index.tar_size,
              index.tar_modified_ns};
  for (const ShardSample& sample : index.samples) {
    const ShardMember* picture = sample.find(settings.pictures);
    const ShardMember* text = sample.find(settings.texts);
    const bool json = text == nullptr;
    if (json) text = sample.find({"json"});
    if (picture == nullptr || text == nullptr) {
      ++shard.left_out;
      if (shard.named.size() >= 1000) continue;
      shard.named.push_back({shard.name + "/" + sample.key, picture == nullptr
                                                                ? "expected a picture beside it"
                                                                : "expected a caption beside it"});
      continue;
    }
    shard.rows.push_back({{picture->offset, picture->size},
                          {text->offset, text->size},
                          static_cast<std::uint32_t>(shard.keys.size()),
                          static_cast<std::uint32_t>(sample.key.size()),
                          json});
    shard.keys += sample.key;
  }
  return shard;
}

std::vector<std::string> captions_of_json(std::string_view text, const std::string& key,
                                          const std::string& where) {
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorKind::data, "[webdataset] " + what, where);
  };
  const Json object = parse_json(text, where);
  if (!object.is_object()) refuse("expected a JSON object");
  const auto caption = object.find(key);
  if (caption == object.end()) refuse("expected '" + key + "' in its .json");
  const Json list = caption->is_array() ? *caption : Json::array({*caption});
  std::vector<std::string> captions;
  for (const Json& one : list) {
    if (!one.is_string()) refuse("expected a text or a list of texts under '" + key + "'");
    captions.push_back(one.get<std::string>());
  }
  if (captions.empty()) refuse("expected a caption; got an empty list");
  return captions;
}

class Webdataset final : public Source {
 public:
  Webdataset(std::vector<Shard> shards, std::string json_caption)
      : shards_(std::move(shards)), json_caption_(std::move(json_caption)) {
    std::uint64_t hash = 0;
    for (Shard& shard : shards_) {
      shard.first = size_;
      size_ += static_cast<std::int64_t>(shard.rows.size());
      hash = hash64(shard.name + ":" + std::to_string(shard.tar_size), hash);
      hash = hash64(shard.keys, hash);
      for (const ShardRow& row : shard.rows) {
        hash = Key(hash)
                   .fold(static_cast<std::uint64_t>(row.picture.offset))
                   .fold(static_cast<std::uint64_t>(row.picture.size))
                   .fold(static_cast<std::uint64_t>(row.text.offset))
                   .fold(static_cast<std::uint64_t>(row.text.size))
                   .bits();
      }
    }
    fingerprint_ = "webdataset:" + std::to_string(size_) + ":" + hex(hash64(json_caption_, hash));
  }

  std::int64_t size() const override { return size_; }
  Sample read(std::int64_t index) const override { return sample_of(index, max_picture_bytes); }
  Sample peek(std::int64_t index) const override { return sample_of(index, peek_bytes); }
  std::string fingerprint() const override { return fingerprint_; }
  std::vector<Finding> left_out() const override {
    std::vector<Finding> all;
    for (const Shard& shard : shards_) {
      all.insert(all.end(), shard.named.begin(), shard.named.end());
    }
    return all;
  }

 private:
  // With at most `picture_bytes` of the picture.
  Sample sample_of(std::int64_t index, std::int64_t picture_bytes) const {
    TANDEM_CHECK(index >= 0 && index < size_, "[webdataset] an index out of range");
    const auto after =
        std::upper_bound(shards_.begin(), shards_.end(), index,
                         [](std::int64_t i, const Shard& shard) { return i < shard.first; });
    const Shard& shard = *std::prev(after);
    const ShardRow& row = shard.rows[static_cast<std::size_t>(index - shard.first)];
    Sample sample;
    sample.id = shard.name + "/" + shard.keys.substr(row.key, row.key_size);
    sample.picture_id = static_cast<std::int64_t>(hash64(sample.id) >> 1);
    const InputFile file(shard.path);
    if (file.size() != shard.tar_size || file.modified_ns() != shard.tar_modified_ns) {
      throw Error(ErrorKind::data, "[webdataset] the tar was changed while it was in use",
                  shard.path, "start again: its index is then made anew");
    }
    Bytes picture = row.picture;
    if (picture_bytes < max_picture_bytes) picture.size = std::min(picture.size, picture_bytes);
    sample.pictures.push_back({bytes_of(file, picture, max_picture_bytes, sample.id), {}});
    const std::vector<std::uint8_t> bytes =
        bytes_of(file, row.text, row.json ? max_json_bytes : max_text_bytes, sample.id);
    const std::string text(bytes.begin(), bytes.end());
    if (row.json) {
      sample.texts = captions_of_json(text, json_caption_, sample.id);
    } else {
      sample.texts.emplace_back(trimmed(text));
      if (sample.texts[0].empty()) {
        throw Error(ErrorKind::data, "[webdataset] expected a caption; got an empty text",
                    sample.id);
      }
    }
    return sample;
  }

  static std::vector<std::uint8_t> bytes_of(const InputFile& file, const Bytes& part,
                                            std::int64_t limit, const std::string& id) {
    if (part.size > limit) {
      throw Error(ErrorKind::data,
                  "[webdataset] expected a member of at most " + std::to_string(limit) +
                      " bytes; got " + std::to_string(part.size),
                  id);
    }
    return file.bytes(part.offset, part.size);
  }

  std::vector<Shard> shards_;
  std::string json_caption_;
  std::int64_t size_ = 0;
  std::string fingerprint_{};
};

}  // namespace

void WebdatasetSettings::fields(FieldVisitor& v) {
  v.field("path", path,
          {.doc = "the tars: a{00..17}.tar counts, {x,y} lists", .required = true, .path = true});
  v.field("index", index,
          {.doc = "folder for the tars' indices; empty: beside them, else in the user's cache",
           .path = true});
  v.field("pictures", pictures, {.doc = "extensions of pictures: the first that a sample has"});
  v.field("texts", texts, {.doc = "extensions of captions: the first that a sample has"});
  v.field("json_caption", json_caption,
          {.doc = "where a .json holds the caption or a list, used when there is no text"});
}

std::unique_ptr<Source> open_webdataset(const WebdatasetSettings& settings) {
  std::vector<Shard> shards;
  std::int64_t samples = 0, left_out = 0;
  for (const std::string& path : expand_braces(settings.path)) {
    shards.push_back(shard_of(path, settings));
    samples += static_cast<std::int64_t>(shards.back().rows.size());
    left_out += shards.back().left_out;
  }
  if (samples == 0) {
    throw Error(ErrorKind::data,
                "[webdataset] expected samples with a picture and a caption; got none of " +
                    std::to_string(left_out),
                settings.path, "the settings `pictures` and `texts` name the extensions");
  }
  if (left_out > 0) {
    log_warning(settings.path + ": " + std::to_string(left_out) + " of " +
                std::to_string(samples + left_out) +
                " samples have no picture or no caption and are left out");
  }
  return std::make_unique<Webdataset>(std::move(shards), settings.json_caption);
}

std::vector<IndexedShard> index_webdataset(const WebdatasetSettings& settings, bool rebuild) {
  std::vector<IndexedShard> shards;
  for (const std::string& path : expand_braces(settings.path)) {
    const KeptIndex kept = keep_shard_index(path, settings.index, rebuild);
    IndexedShard shard{path, kept.path, 0, 0, kept.built};
    for (const ShardSample& sample : kept.index.samples) {
      ++shard.samples;
      shard.members += static_cast<std::int64_t>(sample.members.size());
    }
    shards.push_back(std::move(shard));
  }
  return shards;
}

}  // namespace tandem::data
