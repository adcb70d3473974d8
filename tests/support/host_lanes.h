#pragma once
// A block of a GPU as a loop on the CPU: what its threads agree on (src/tensor/cuda/block.h), in
// the same order, so that the arithmetic of the kernels is tested without a GPU.

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <cstddef>
#include <vector>

#include "tandem/tensor/lanes.h"

namespace tandem {

// Values of 32 lanes joined by exchanges over 16, 8, 4, 2 and 1 lanes.
template <class T, class Join>
T joined_in_host_warp(std::vector<T> values, Join join) {
  for (std::size_t distance = 16; distance > 0; distance /= 2) {
    const std::vector<T> before = values;
    for (std::size_t i = 0; i < 32; ++i) values[i] = join(before[i], before[i ^ distance]);
  }
  return values[0];
}

// value_of(lane) of each of `lanes` lanes, joined within the warps and then over them.
template <class T, class Join, class ValueOf>
T joined_on_host(int lanes, T nothing, Join join, ValueOf value_of) {
  std::vector<T> parts(32, nothing);
  for (int first = 0; first < lanes; first += 32) {
    std::vector<T> warp;
    for (int lane = first; lane < first + 32; ++lane) warp.push_back(value_of(lane));
    parts[static_cast<std::size_t>(first / 32)] = joined_in_host_warp(warp, join);
  }
  return lanes == 32 ? parts[0] : joined_in_host_warp(parts, join);
}

template <class Work>
void for_each_lane(int lanes, Work work) {
  for (int lane = 0; lane < lanes; ++lane) work(lane);
}

}  // namespace tandem
