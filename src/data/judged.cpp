#include "tandem/data/judged.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "data/rows.h"
#include "tandem/base/error.h"

namespace tandem::data {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

struct JudgedLine {
  std::uint32_t base = 0;
  std::int64_t index = 0;
  std::uint32_t file = 0;
  std::int64_t row = 0;
};

class Judged final : public JudgedSource {
 public:
  Judged(const fs::path& folder, const std::vector<NamedSource>& bases) : bases_(bases) {
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() == ".jsonl") paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    std::uint64_t hash = 0;
    for (const fs::path& path : paths) {
      files_.push_back(std::make_unique<Rows>(path.string(), Rows::Form{}));
      hash = hash64(std::to_string(files_.back()->hash()), hash);
      add(static_cast<std::uint32_t>(files_.size() - 1));
    }
    if (lines_.empty()) {
      throw Error(ErrorKind::data, "[judged] expected captions that were kept; got none",
                  folder.string());
    }
    // Captions of one picture stand in the order of the files.
    std::stable_sort(lines_.begin(), lines_.end(), [](const JudgedLine& a, const JudgedLine& b) {
      return std::tie(a.base, a.index) < std::tie(b.base, b.index);
    });
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      const bool same =
          i > 0 && lines_[i].base == lines_[i - 1].base && lines_[i].index == lines_[i - 1].index;
      if (!same) starts_.push_back(i);
    }
    fingerprint_ = "judged:" + std::to_string(starts_.size()) + ":" + hex(hash);
    for (const auto& [name, base] : bases_) fingerprint_ += ":" + base->fingerprint();
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(starts_.size()); }
  std::string fingerprint() const override { return fingerprint_; }

  Origin origin(std::int64_t index) const override {
    const JudgedLine& line = lines_[first_of(index)];
    return {bases_[line.base].first, line.index};
  }

  Sample read(std::int64_t index) const override {
    const JudgedLine& line = lines_[first_of(index)];
    return told(index, bases_[line.base].second->read(line.index));
  }

  Sample peek(std::int64_t index) const override {
    const JudgedLine& line = lines_[first_of(index)];
    return told(index, bases_[line.base].second->peek(line.index));
  }

 private:
  std::size_t first_of(std::int64_t index) const {
    TANDEM_CHECK(index >= 0 && index < size(), "[judged] an index out of range");
    return starts_[static_cast<std::size_t>(index)];
  }

  Json parsed(std::uint32_t file, std::int64_t row) const {
    const Rows& rows = *files_[file];
    Json json = Json::parse(rows.row(row), nullptr, /*allow_exceptions=*/false);
    const bool fits = json.is_object() && json.contains("source") && json["source"].is_string() &&
                      json.contains("index") && json["index"].is_number_integer() &&
                      json.contains("text") && json["text"].is_string() && json.contains("kept") &&
                      json["kept"].is_boolean();
    if (!fits) {
      throw Error(ErrorKind::data,
                  "[judged] expected an object with source, index, text and kept; got another line",
                  rows.where(row));
    }
    return json;
  }

  void add(std::uint32_t file) {
    for (std::int64_t row = 0; row < files_[file]->count(); ++row) {
      const Json json = parsed(file, row);
      if (!json["kept"].get<bool>()) continue;
      const auto name = json["source"].get<std::string>();
      const auto base = std::find_if(bases_.begin(), bases_.end(),
                                     [&](const NamedSource& one) { return one.first == name; });
      const auto index = json["index"].get<std::int64_t>();
      if (base == bases_.end() || index < 0 || index >= base->second->size()) {
        throw Error(ErrorKind::data,
                    "[judged] expected a sample of a known source; got " + name + " " +
                        std::to_string(index),
                    files_[file]->where(row));
      }
      lines_.push_back({static_cast<std::uint32_t>(base - bases_.begin()), index, file, row});
    }
  }

  // The sample with the kept captions in place of its own.
  Sample told(std::int64_t index, Sample sample) const {
    const std::size_t first = first_of(index);
    const auto next = static_cast<std::size_t>(index) + 1;
    const std::size_t end = next < starts_.size() ? starts_[next] : lines_.size();
    sample.texts.clear();
    for (std::size_t i = first; i < end; ++i) {
      const Json json = parsed(lines_[i].file, lines_[i].row);
      sample.texts.push_back(json["text"].get<std::string>());
    }
    // What was known of the source's own caption is not known of these.
    sample.label = -1;
    sample.kind.clear();
    return sample;
  }

  std::vector<NamedSource> bases_;
  std::vector<std::unique_ptr<Rows>> files_{};
  std::vector<JudgedLine> lines_{};
  std::vector<std::size_t> starts_{};
  std::string fingerprint_{};
};

}  // namespace

std::unique_ptr<JudgedSource> open_judged(const fs::path& folder,
                                          const std::vector<NamedSource>& bases) {
  return std::make_unique<Judged>(folder, bases);
}

}  // namespace tandem::data
