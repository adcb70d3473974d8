#pragma once
// A balanced list of captioned pictures for the pre-training of a connector, as CC3M-595K was made
// (Liu et al. 2023, appendix E): noun phrases of all captions are counted; those in fewer than
// `least` captions are skipped; from the rarest up, the captions of each phrase are taken into the
// list, and of a phrase with more than `most` captions `most` that are drawn. A caption without any
// phrase that is left stays out. Phrases: src/data/noun_phrases.h (the original used spaCy).
//
// OUT/data.json is a JSON list of {"id", "image", "conversations": [a request with <image> before
// or behind it, the caption]}, in the order of the sources, one object a line; `format: dialogue`
// reads it. Pictures that are no files of their own are written to OUT/pictures. The same inputs
// give the same bytes; a list that was killed is made again, pictures that are there are kept.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tandem/data/source.h"

namespace tandem::data {

struct BalanceRules {
  std::int64_t least = 3, most = 100;  // captions of a phrase
  std::uint64_t seed = 0;              // of the draws
};

struct Balance {
  std::vector<std::int64_t> kept{};  // places of captions, rising
  std::int64_t phrases = 0;          // different ones
  std::int64_t rare = 0;             // of them, with fewer captions than `least`
  std::int64_t frequent = 0;         // of them, with more than `most`
};

// captions are added in their order: the first has place 0. Sixteen bytes a phrase of a caption
// are kept.
class ConceptBalance {
 public:
  void add(std::string_view caption);
  Balance balanced(const BalanceRules& rules) const;

 private:
  std::vector<std::pair<std::uint64_t, std::int64_t>> found_{};  // hash of a phrase, place
  std::int64_t captions_ = 0;
};

struct PretrainListJob {
  std::vector<std::pair<std::string, std::shared_ptr<const Source>>> inputs{};
  std::filesystem::path folder{};
  BalanceRules rules{};
  bool copy = false;                         // pictures that are files, too
  std::vector<std::string_view> requests{};  // at least one; drawn for each picture
};

struct PretrainList {
  Balance balance{};
  std::int64_t samples = 0;  // with a caption
  std::int64_t written = 0;  // of those that the balance keeps
  std::int64_t bad = 0;      // that could not be read, or show no picture
  bool wrote_pictures = false;
};

// The first text of a sample is its caption. Throws Error(data) when nothing is kept.
PretrainList write_pretrain_list(const PretrainListJob& job);

}  // namespace tandem::data
