#pragma once
// Which samples share a pack.

#include <cstdint>
#include <vector>

namespace tandem::data {

// First fit by falling length, equal ones in their order: at most 11/9 of the fewest packs and one
// (Johnson 1973). Every length is at most `budget`. Gives the places of `lengths` by pack, rising;
// the packs in the order of their first.
std::vector<std::vector<std::int64_t>> first_fit(const std::vector<std::int64_t>& lengths,
                                                 std::int64_t budget);

}  // namespace tandem::data
