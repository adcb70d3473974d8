#pragma once
// Texts about pictures of a folder that are known from elsewhere: questions with answers,
// sentences with labels, expressions with boxes. What the importers of tasks make of their files,
// as listed.h is for captions.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tandem/data/source.h"

namespace tandem::data {

struct Annotation {
  std::string id{};                       // what a person finds it by
  std::array<std::string, 2> pictures{};  // names below the folder; the second may be empty
  std::string question{}, sentence{};     // one of them
  std::vector<Answer> answers{};          // the best one first; labels are set by the list
  std::int64_t label = -1;
  std::vector<Box> boxes{};
  std::vector<Box> proposals{};
  std::string kind{};
};

class AnnotationList {
 public:
  // A picture's name that is refused, a text that is empty or no UTF-8, is left out and kept as a
  // finding at `where`.
  void add(Annotation annotation, const std::string& where);
  void leave_out(const std::string& where, const std::string& what);

  // One sample for each, in their order. With `closed`, answers get their places in it as labels.
  // A picture that is missing is a bad sample. Throws Error(data) at `file` when nothing is left.
  std::unique_ptr<Source> source(const std::string& format, const std::string& file,
                                 const std::string& folder, std::vector<std::string> closed = {});

  // As it is kept: texts of answers and names of pictures once.
  struct Kept {
    std::string id{}, text{};
    std::array<std::int32_t, 2> pictures{-1, -1};
    std::int32_t kind = 0;
    bool is_question = false;
    std::int64_t label = -1;
    std::vector<std::pair<std::int32_t, float>> answers{};
    std::vector<Box> boxes{}, proposals{};
  };
  // Texts by number, each once.
  class Names {
   public:
    std::int32_t number(const std::string& name);
    const std::string& at(std::int32_t number) const {
      return names_.at(static_cast<std::size_t>(number));
    }
    const std::vector<std::string>& all() const { return names_; }

   private:
    std::vector<std::string> names_{};
    std::unordered_map<std::string, std::int32_t> index_{};
  };

 private:
  std::vector<Kept> kept_{};
  Names pictures_{}, answers_{}, kinds_{};
  std::vector<Finding> left_out_{};
};

// Runs `act` on each row of a file with FILE:LINE; a row for which it throws Error(data) is left
// out of `list`.
void for_each_row(const std::string& path, AnnotationList& list,
                  const std::function<void(const std::string& row, const std::string& where)>& act);

}  // namespace tandem::data
