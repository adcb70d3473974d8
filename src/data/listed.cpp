#include "data/listed.h"

#include <filesystem>

#include "data/file.h"
#include "tandem/base/error.h"
#include "tandem/base/log.h"

namespace tandem::data {
namespace {

namespace fs = std::filesystem;

class Listed final : public Source {
 public:
  Listed(const std::string& format, std::string folder, std::vector<ListedPicture> pictures,
         std::vector<Finding> left_out)
      : folder_(std::move(folder)), pictures_(std::move(pictures)), left_out_(std::move(left_out)) {
    std::uint64_t hash = 0;
    for (const ListedPicture& one : pictures_) {
      hash = hash64(one.name, hash);
      for (const std::string& text : one.texts) hash = hash64(text, hash);
      std::error_code none;  // a missing picture counts as size -1
      const std::uintmax_t bytes = fs::file_size(fs::path(folder_) / one.name, none);
      hash = hash64(std::to_string(bytes), hash);
    }
    fingerprint_ = format + ":" + std::to_string(pictures_.size()) + ":" + hex(hash);
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(pictures_.size()); }
  Sample read(std::int64_t index) const override { return sample_of(index, false); }
  Sample peek(std::int64_t index) const override { return sample_of(index, true); }
  std::string fingerprint() const override { return fingerprint_; }
  std::vector<Finding> left_out() const override { return left_out_; }

 private:
  Sample sample_of(std::int64_t index, bool only_start) const {
    TANDEM_CHECK(index >= 0 && index < size(), "[data] an index out of range");
    const ListedPicture& one = pictures_[static_cast<std::size_t>(index)];
    Sample sample;
    sample.id = one.name;
    sample.picture_id = static_cast<std::int64_t>(hash64(one.name) >> 1);
    sample.texts = one.texts;
    const std::string path = (fs::path(folder_) / one.name).string();
    try {
      sample.pictures.push_back(picture_of_file(path, one.name, only_start));
    } catch (const Error& error) {  // named as in the folder, wherever that lies
      throw Error(error.kind(), error.message(), one.name);
    }
    return sample;
  }

  std::string folder_;
  std::vector<ListedPicture> pictures_;
  std::vector<Finding> left_out_;
  std::string fingerprint_{};
};

}  // namespace

std::unique_ptr<Source> listed_source(const std::string& format, const std::string& folder,
                                      std::vector<ListedPicture> pictures,
                                      std::vector<Finding> left_out) {
  return std::make_unique<Listed>(format, folder, std::move(pictures), std::move(left_out));
}

void CaptionList::leave_out(const std::string& where, const std::string& what) {
  left_out_.push_back({where, what});
}

void CaptionList::add(const std::string& picture, const std::string& caption,
                      const std::string& where) {
  if (const std::string refused = refused_name(picture); !refused.empty()) {
    return leave_out(where, "expected a picture's name below the folder; got " + refused);
  }
  if (!is_utf8(caption)) return leave_out(where, "expected a caption in UTF-8");
  const std::string text(trimmed(caption));
  if (text.empty()) return leave_out(where, "expected a caption; got an empty text");
  const auto [at, is_new] = index_.try_emplace(picture, pictures_.size());
  if (is_new) pictures_.push_back({picture, {}});
  pictures_[at->second].texts.push_back(text);
}

std::unique_ptr<Source> CaptionList::source(const std::string& format, const std::string& file,
                                            const std::string& folder) {
  if (pictures_.empty()) {
    const std::string first =
        left_out_.empty() ? "" : "; the first: " + left_out_[0].where + ": " + left_out_[0].what;
    throw Error(ErrorKind::data,
                "[" + format + "] expected pictures with captions; got none, and " +
                    std::to_string(left_out_.size()) + " that cannot be used" + first,
                file);
  }
  warn_of_left_out(file, left_out_);
  index_.clear();
  return listed_source(format, folder, std::move(pictures_), std::move(left_out_));
}

void warn_of_left_out(const std::string& file, const std::vector<Finding>& left_out) {
  if (left_out.empty()) return;
  log_warning(file + ": " + std::to_string(left_out.size()) + " left out; the first: " +
              left_out[0].where + ": " + left_out[0].what + " (`tandem check --all` names them)");
}

}  // namespace tandem::data
