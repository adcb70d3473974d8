#pragma once
// Pictures of a folder whose captions are known from elsewhere: what the importers of single
// releases (a folder, COCO, Flickr30k) make of their files.

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tandem/data/source.h"

namespace tandem::data {

struct ListedPicture {
  std::string name{};  // relative to the folder
  std::vector<std::string> texts{};
};

// A picture that is missing is a bad sample, named as in the folder. `format` begins the
// fingerprint. Throws Error(data) at `where` when there is no picture.
std::unique_ptr<Source> listed_source(const std::string& format, const std::string& folder,
                                      std::vector<ListedPicture> pictures,
                                      std::vector<Finding> left_out = {});

// Collects captions by picture, the pictures in the order in which they come first.
class CaptionList {
 public:
  // A name that is refused, or a caption that is empty or no UTF-8, is left out and kept as a
  // finding at `where`.
  void add(const std::string& picture, const std::string& caption, const std::string& where);
  void leave_out(const std::string& where, const std::string& what);

  // Says in one warning how many were left out and why the first was. Throws Error(data) at `file`
  // when nothing is left.
  std::unique_ptr<Source> source(const std::string& format, const std::string& file,
                                 const std::string& folder);

 private:
  std::vector<ListedPicture> pictures_{};
  std::unordered_map<std::string, std::size_t> index_{};
  std::vector<Finding> left_out_{};
};

// One warning for all of them; none for none.
void warn_of_left_out(const std::string& file, const std::vector<Finding>& left_out);

}  // namespace tandem::data
