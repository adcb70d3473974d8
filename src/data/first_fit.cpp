#include "data/first_fit.h"

#include <algorithm>
#include <numeric>

#include "tandem/base/error.h"

namespace tandem::data {

std::vector<std::vector<std::int64_t>> first_fit(const std::vector<std::int64_t>& lengths,
                                                 std::int64_t budget) {
  const auto length = [&](std::int64_t place) { return lengths[static_cast<std::size_t>(place)]; };
  std::vector<std::int64_t> by_length(lengths.size());
  std::iota(by_length.begin(), by_length.end(), 0);
  std::stable_sort(by_length.begin(), by_length.end(),
                   [&](std::int64_t a, std::int64_t b) { return length(a) > length(b); });
  std::vector<std::vector<std::int64_t>> packs;
  std::vector<std::int64_t> room;
  for (const std::int64_t place : by_length) {
    TANDEM_CHECK(length(place) <= budget, "[packs] a sample above the budget");
    std::size_t pack = 0;
    while (pack < packs.size() && room[pack] < length(place)) ++pack;
    if (pack == packs.size()) {
      packs.emplace_back();
      room.push_back(budget);
    }
    packs[pack].push_back(place);
    room[pack] -= length(place);
  }
  for (auto& pack : packs) std::sort(pack.begin(), pack.end());
  std::sort(packs.begin(), packs.end());
  return packs;
}

}  // namespace tandem::data
