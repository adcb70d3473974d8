#include "tandem/data/others.h"

#include <utility>

#include "tandem/base/error.h"

namespace tandem::data {
namespace {

// What may be said of another picture than the sample's; none where it cannot be read.
std::vector<std::string> texts_elsewhere(const Source& source, std::int64_t index,
                                         const Sample& sample) {
  try {
    Sample other = source.peek(index);
    if (other.picture_id != sample.picture_id) return std::move(other.texts);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
  }
  return {};
}

}  // namespace

std::vector<std::string> texts_of_others(const Source& source, const Sample& sample,
                                         std::int64_t count, Key key) {
  constexpr int draws = 100;
  const auto size = static_cast<std::uint64_t>(source.size());
  std::vector<std::string> found;
  for (std::int64_t i = 0; i < count; ++i) {
    Random random(key.fold(static_cast<std::uint64_t>(i)));
    std::vector<std::string> texts;
    for (int draw = 0; draw < draws && texts.empty(); ++draw) {
      texts = texts_elsewhere(source, static_cast<std::int64_t>(random.below(size)), sample);
    }
    if (texts.empty()) {
      throw Error(ErrorKind::data,
                  "[data] expected texts of other pictures in the sample's source; got none in " +
                      std::to_string(draws) + " draws",
                  sample.id, "the loss tells a picture's text from them: give it more pictures");
    }
    found.push_back(std::move(texts[random.below(texts.size())]));
  }
  return found;
}

}  // namespace tandem::data
