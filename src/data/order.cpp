#include "tandem/data/order.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "tandem/base/error.h"

namespace tandem::data {
namespace {

constexpr std::int64_t max_slots = 4096;

// Whole numbers in the ratio of the weights: exact for ratios like 3 : 1 or 0.7 : 0.3, else shares
// of 4096 slots.
std::vector<std::int64_t> whole_weights(const std::vector<MixPart>& parts) {
  double smallest = parts[0].weight, sum = 0;
  for (const MixPart& part : parts) {
    smallest = std::min(smallest, part.weight);
    sum += part.weight;
  }
  std::vector<std::int64_t> whole(parts.size());
  for (int scale = 1; scale <= 64 && scale * sum / smallest <= max_slots; ++scale) {
    bool exact = true;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const double value = scale * parts[i].weight / smallest;
      whole[i] = std::llround(value);
      exact = exact && std::abs(value - static_cast<double>(whole[i])) < 1e-9 * value;
    }
    if (exact) return whole;
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    whole[i] = std::max<std::int64_t>(1, std::llround(max_slots * (parts[i].weight / sum)));
  }
  std::int64_t common = 0;
  for (const std::int64_t value : whole) common = std::gcd(common, value);
  for (std::int64_t& value : whole) value /= common;
  return whole;
}

}  // namespace

double tempered(std::int64_t size, double temperature) {
  return temperature > 0 ? std::pow(static_cast<double>(size), 1.0 / temperature) : 1.0;
}

Order::Order(Key key, std::vector<MixPart> parts, Mix mix, bool shuffle, std::int64_t block)
    : key_(key), parts_(std::move(parts)), shuffle_(shuffle), block_(block) {
  if (block_ < 1) {
    throw Error(ErrorKind::config,
                "[data] expected a block of at least 1; got " + std::to_string(block_));
  }
  if (parts_.empty()) {
    throw Error(ErrorKind::config, "[data] expected at least one source; got none");
  }
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const std::string name = "source " + std::to_string(i);
    if (parts_[i].size <= 0) {
      throw Error(ErrorKind::data, "[data] expected samples; got an empty source", name);
    }
    if (!(parts_[i].weight > 0) || !std::isfinite(parts_[i].weight)) {
      throw Error(ErrorKind::config,
                  "[data] expected a weight above 0; got " + std::to_string(parts_[i].weight), name,
                  "leave a source out of the mix to switch it off");
    }
    total_ += parts_[i].size;
  }
  if (mix == Mix::proportional) return;
  slots_ = whole_weights(parts_);
  const std::int64_t length = std::accumulate(slots_.begin(), slots_.end(), std::int64_t{0});
  std::vector<std::int64_t> given(parts_.size(), 0);
  for (std::int64_t slot = 0; slot < length; ++slot) {
    // The source that is furthest behind its share; the first of equals. It spreads them evenly.
    std::size_t next = 0;
    std::int64_t most = -length * length;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      const std::int64_t behind = slots_[i] * (slot + 1) - given[i] * length;
      if (behind > most && given[i] < slots_[i]) {
        most = behind;
        next = i;
      }
    }
    pattern_.push_back(static_cast<std::int64_t>(next));
    before_.push_back(given[next]++);
  }
}

Place Order::at(std::int64_t position) const {
  TANDEM_CHECK(position >= 0, "[order] a position below 0");
  const auto shuffled = [&](std::uint64_t lane, std::int64_t epoch, std::int64_t i,
                            std::int64_t n) {
    if (!shuffle_) return i;
    const Key key = key_.fold("order").fold(lane).fold(static_cast<std::uint64_t>(epoch));
    const std::int64_t blocks = n / block_;
    if (i >= blocks * block_) return i;  // what is left of a whole block stays last
    const std::uint64_t block =
        permute(key, static_cast<std::uint64_t>(i / block_), static_cast<std::uint64_t>(blocks));
    return static_cast<std::int64_t>(block) * block_ + i % block_;
  };
  Place place;
  if (pattern_.empty()) {
    place.epoch = position / total_;
    place.index = shuffled(~std::uint64_t{0}, place.epoch, position % total_, total_);
    while (place.index >= parts_[static_cast<std::size_t>(place.source)].size) {
      place.index -= parts_[static_cast<std::size_t>(place.source)].size;
      ++place.source;
    }
    return place;
  }
  const auto length = static_cast<std::int64_t>(pattern_.size());
  const auto slot = static_cast<std::size_t>(position % length);
  place.source = pattern_[slot];
  const auto source = static_cast<std::size_t>(place.source);
  const std::int64_t nth = position / length * slots_[source] + before_[slot];
  const std::int64_t size = parts_[source].size;
  place.epoch = nth / size;
  place.index = shuffled(static_cast<std::uint64_t>(source), place.epoch, nth % size, size);
  return place;
}

Place Order::replacement(std::int64_t position, int attempt) const {
  Place place = at(position);
  Random random(key_.fold("replace")
                    .fold(static_cast<std::uint64_t>(position))
                    .fold(static_cast<std::uint64_t>(attempt)));
  const std::int64_t size = parts_[static_cast<std::size_t>(place.source)].size;
  place.index = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(size)));
  return place;
}

std::int64_t Order::epoch_size() const {
  if (pattern_.empty()) return total_;
  if (parts_.size() == 1) return parts_[0].size;
  std::int64_t patterns = 0;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    patterns = std::max(patterns, (parts_[i].size + slots_[i] - 1) / slots_[i]);
  }
  return patterns * static_cast<std::int64_t>(pattern_.size());
}

}  // namespace tandem::data
