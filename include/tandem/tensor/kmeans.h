#pragma once
// k-means of rows: Lloyd 1982, begun with rows that lie far apart (k-means++, Arthur and
// Vassilvitskii 2007). In fp32, also under autocast, and without gradients.
//
// Letters: R rows, F numbers of each, K centers.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "tandem/base/random.h"

namespace tandem {

// While it lives, this thread's operations run on one thread: a product's bits may depend on how
// many share it. Whoever wants the bits of a k-means on a CPU to be the same for any number of
// threads holds one.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

// Rows are looked at in runs of so many: whoever shares nearest_rows out and cuts at multiples of
// it gets the bits of the whole.
inline constexpr std::int64_t nearest_at_once = 4096;

// K of the rows [R, F] (R > 0, any device) -> [K, F]: the first evenly, each other in proportion to
// the squared distance from the nearest one so far; evenly again when every row is taken. `between`
// is called now and then and may throw to give up.
at::Tensor spread_rows(const at::Tensor& rows, std::int64_t count, Key key,
                       const std::function<void()>& between = {});

// The nearest center of each row, the first of several: rows [R, F], centers [K, F] of one device
// -> int64 [R].
at::Tensor nearest_rows(const at::Tensor& rows, const at::Tensor& centers);

// The mean of each center's rows, added up on the CPU in their order: owner int64 [R] -> [K, F] on
// the device of `centers`. One that owns no row stays.
at::Tensor means_of_rows(const at::Tensor& rows, const at::Tensor& owner,
                         const at::Tensor& centers);

}  // namespace tandem
