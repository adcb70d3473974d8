#include "text/merges.h"

#include <algorithm>
#include <functional>

#include "tandem/base/error.h"

namespace tandem::text {
namespace {

constexpr std::size_t kShort = 64;  // below, scanning is faster than a queue

}  // namespace

void Merges::apply(std::vector<std::int32_t>& symbols) const {
  symbols.size() <= kShort ? apply_short(symbols) : apply_long(symbols);
}

void Merges::apply_short(std::vector<std::int32_t>& symbols) const {
  std::uint64_t merges[kShort];  // [i] of the symbols i and i + 1
  std::size_t count = symbols.size();
  for (std::size_t i = 0; i + 1 < count; ++i) merges[i] = find(symbols[i], symbols[i + 1]);
  while (count > 1) {
    const std::size_t best =
        static_cast<std::size_t>(std::min_element(merges, merges + count - 1) - merges);
    if (merges[best] == FlatMap::kNone) break;
    symbols[best] = static_cast<std::int32_t>(merges[best]);
    --count;
    for (std::size_t i = best + 1; i < count; ++i) symbols[i] = symbols[i + 1];
    for (std::size_t i = best + 1; i + 1 < count; ++i) merges[i] = merges[i + 1];
    if (best > 0) merges[best - 1] = find(symbols[best - 1], symbols[best]);
    if (best + 1 < count) merges[best] = find(symbols[best], symbols[best + 1]);
  }
  symbols.resize(count);
}

void Merges::apply_long(std::vector<std::int32_t>& symbols) const {
  constexpr std::uint32_t kEnd = UINT32_MAX;
  if (symbols.size() >= kEnd) {
    throw Error(ErrorKind::data, "[text] expected a word of less than 4 Gi symbols; got more");
  }
  const auto count = static_cast<std::uint32_t>(symbols.size());
  struct Links {
    std::uint32_t previous, next;
  };
  std::vector<Links> links(count);
  std::vector<std::uint64_t> queue;  // rank << 32 | place: the smallest is merged next
  queue.reserve(count);
  const auto push = [&](std::uint32_t left, std::uint32_t right, bool sift) {
    const std::uint64_t merge = find(symbols[left], symbols[right]);
    if (merge == FlatMap::kNone) return;
    queue.push_back((merge & 0xFFFFFFFF00000000ull) | left);
    if (sift) std::push_heap(queue.begin(), queue.end(), std::greater<>());
  };
  for (std::uint32_t i = 0; i < count; ++i) {
    links[i] = {i == 0 ? kEnd : i - 1, i + 1 == count ? kEnd : i + 1};
    if (i + 1 < count) push(i, i + 1, false);
  }
  std::make_heap(queue.begin(), queue.end(), std::greater<>());
  while (!queue.empty()) {
    const std::uint64_t top = queue.front();
    std::pop_heap(queue.begin(), queue.end(), std::greater<>());
    queue.pop_back();
    const auto place = static_cast<std::uint32_t>(top);
    if (symbols[place] == kNoId || links[place].next == kEnd) continue;
    const std::uint32_t right = links[place].next;
    const std::uint64_t merge = find(symbols[place], symbols[right]);
    // An entry is out of date when the pair at its place has become another one.
    if (merge == FlatMap::kNone || merge >> 32 != top >> 32) continue;
    symbols[place] = static_cast<std::int32_t>(merge);
    symbols[right] = kNoId;
    const std::uint32_t next = links[place].next = links[right].next;
    if (next != kEnd) {
      links[next].previous = place;
      push(place, next, true);
    }
    if (links[place].previous != kEnd) push(links[place].previous, place, true);
  }
  std::erase(symbols, kNoId);
}

}  // namespace tandem::text
