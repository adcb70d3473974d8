#include "text/trainer.h"

#include <algorithm>
#include <queue>

#include "tandem/base/error.h"

namespace tandem::text {
namespace {

using Pair = std::uint64_t;  // left << 32 | right
constexpr std::uint32_t kEnd = UINT32_MAX;
constexpr std::int32_t kGone = -1;

Pair pair_of(std::int32_t left, std::int32_t right) {
  return static_cast<Pair>(left) << 32 | static_cast<std::uint32_t>(right);
}

// All words as one list of symbols with links, and for each pair its count and places.
class Learner {
 public:
  explicit Learner(std::span<const CountedWord> words) {
    for (const CountedWord& word : words) add(word);
    for (const auto& [pair, info] : pairs_) queue_.push({info.count, pair});
  }

  // False when no pair occurs twice.
  bool best(Merge& merge) {
    while (!queue_.empty()) {
      const Candidate top = queue_.top();
      queue_.pop();
      const std::int64_t count = pairs_[top.pair].count;
      if (count < 2) continue;
      if (count != top.count) {  // it has lost places since it was queued
        queue_.push({count, top.pair});
        continue;
      }
      merge = {static_cast<std::int32_t>(top.pair >> 32), static_cast<std::int32_t>(top.pair)};
      return true;
    }
    return false;
  }

  void replace(const Merge& merge, std::int32_t made) {
    std::vector<std::uint32_t> places = std::move(pairs_[pair_of(merge.left, merge.right)].places);
    std::sort(places.begin(), places.end());
    changed_.clear();
    for (const std::uint32_t at : places) {
      const std::uint32_t right = links_[at].next;
      // A place may be stale, or stand twice.
      if (symbols_[at] != merge.left || right == kEnd || symbols_[right] != merge.right) continue;
      join(at, right, made, merge);
    }
    pairs_[pair_of(merge.left, merge.right)] = {};
    std::sort(changed_.begin(), changed_.end());
    changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
    for (const Pair pair : changed_) queue_.push({pairs_[pair].count, pair});
  }

 private:
  struct Links {
    std::uint32_t previous, next, word;
  };
  struct Info {
    std::int64_t count = 0;
    std::vector<std::uint32_t> places{};
  };
  struct Candidate {
    std::int64_t count;
    Pair pair;
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  void add(const CountedWord& word) {
    const std::size_t begin = symbols_.size(), end = begin + word.symbols.size();
    if (end >= kEnd)
      throw Error(ErrorKind::data, "[text] expected less than 4 Gi symbols; got more");
    for (std::size_t i = begin; i < end; ++i) {
      const auto at = static_cast<std::uint32_t>(i);
      symbols_.push_back(word.symbols[i - begin]);
      links_.push_back({i == begin ? kEnd : at - 1, i + 1 == end ? kEnd : at + 1,
                        static_cast<std::uint32_t>(counts_.size())});
      if (i + 1 < end) {
        Info& info = pairs_[pair_of(word.symbols[i - begin], word.symbols[i - begin + 1])];
        info.count += word.count;
        info.places.push_back(at);
      }
    }
    counts_.push_back(word.count);
  }

  void join(std::uint32_t at, std::uint32_t right, std::int32_t made, const Merge& merge) {
    const std::int64_t count = counts_[links_[at].word];
    const auto gain = [&](std::int32_t a, std::int32_t b, std::uint32_t place) {
      Info& info = pairs_[pair_of(a, b)];
      info.count += count;
      info.places.push_back(place);
      changed_.push_back(pair_of(a, b));
    };
    const std::uint32_t before = links_[at].previous, after = links_[right].next;
    symbols_[at] = made;
    symbols_[right] = kGone;
    links_[at].next = after;
    if (before != kEnd) {
      pairs_[pair_of(symbols_[before], merge.left)].count -= count;
      gain(symbols_[before], made, before);
    }
    if (after != kEnd) {
      links_[after].previous = at;
      pairs_[pair_of(merge.right, symbols_[after])].count -= count;
      gain(made, symbols_[after], at);
    }
  }

  std::vector<std::int32_t> symbols_;
  std::vector<Links> links_;
  std::vector<std::int64_t> counts_;  // of the words
  std::unordered_map<Pair, Info> pairs_;
  std::priority_queue<Candidate> queue_;
  std::vector<Pair> changed_;
};

}  // namespace

std::int32_t TokenList::add(const std::string& token) {
  const auto [it, is_new] = ids_.emplace(token, static_cast<std::int32_t>(tokens_.size()));
  if (is_new) tokens_.push_back(token);
  return it->second;
}

std::vector<Merge> learn_merges(std::span<const CountedWord> words, std::size_t limit,
                                const std::string& prefix, TokenList& tokens) {
  Learner learner(words);
  std::vector<Merge> merges;
  for (Merge merge; tokens.tokens().size() < limit && learner.best(merge);) {
    const std::string& left = tokens.tokens()[static_cast<std::size_t>(merge.left)];
    const std::string& right = tokens.tokens()[static_cast<std::size_t>(merge.right)];
    const std::int32_t made = tokens.add(left + right.substr(prefix.size()));
    learner.replace(merge, made);
    merges.push_back(merge);
  }
  return merges;
}

}  // namespace tandem::text
