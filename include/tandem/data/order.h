#pragma once
// Which sample stands at a position of a stage: a pure function (DESIGN 3, decision 2). No state,
// nothing to save: a resumed run asks for the next position.
//
// A mix is a fixed pattern of sources, repeated; within a source every epoch is a keyed permutation
// of all its samples. Ranks and threads do not occur here.

#include <cstdint>
#include <vector>

#include "tandem/base/random.h"

namespace tandem::data {

// The root of all draws of a stage's data; samples fold their position into it.
inline Key data_key(std::uint64_t seed, std::uint64_t stage) {
  return Key(seed).fold("data").fold(stage);
}
// Of the sample at `position`: crops, the choice of a caption.
inline Key sample_key(Key data, std::int64_t position) {
  return data.fold(static_cast<std::uint64_t>(position));
}

struct Place {
  std::int64_t source = 0, index = 0, epoch = 0;
  friend bool operator==(const Place&, const Place&) = default;
};

struct MixPart {
  std::int64_t size = 0;  // samples of the source
  double weight = 1;      // its share of the positions, to 1 in 4096
};

// size^(1 / temperature), what a mix by temperature multiplies weights by: 1 goes by size, larger
// ones are more even. 1 without a temperature (0).
double tempered(std::int64_t size, double temperature);

class Order {
 public:
  enum class Mix {
    weights,       // the pattern; each source has its own epochs
    proportional,  // all sources as one, shuffled together; weights are ignored
  };

  // key: data_key(seed, stage). Throws Error(data) for a source without samples, Error(config) for
  // no source or a weight that is not above 0. block: runs of so many consecutive samples of a
  // source are permuted as wholes and stay together (groups, slow disks); a mix by weights
  // interleaves
  // them. What is left of a whole block comes last.
  Order(Key key, std::vector<MixPart> parts, Mix mix = Mix::weights, bool shuffle = true,
        std::int64_t block = 1);

  // O(1); position counts the samples of the stage from 0.
  Place at(std::int64_t position) const;

  // What stands in for a bad sample at `position`: try 0, 1, ... (at most `tries`), each a keyed
  // draw from the source of the sample it replaces.
  Place replacement(std::int64_t position, int attempt) const;
  static constexpr int tries = 8;

  // Samples after which every source has been seen once (a mix: when the largest one has; rounded
  // up to whole patterns).
  std::int64_t epoch_size() const;
  // Sources in the order in which they come, repeated for ever; empty for a proportional mix.
  const std::vector<std::int64_t>& pattern() const { return pattern_; }
  Key key() const { return key_; }

 private:
  Key key_;
  std::vector<MixPart> parts_;
  bool shuffle_;
  std::int64_t block_;
  std::int64_t total_ = 0;             // of a proportional mix
  std::vector<std::int64_t> pattern_;  // source of each slot
  std::vector<std::int64_t> before_;   // slots of the same source before it in the pattern
  std::vector<std::int64_t> slots_;    // by source: its slots in a pattern
};

}  // namespace tandem::data
