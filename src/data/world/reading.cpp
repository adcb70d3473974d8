#include "tandem/data/world/reading.h"

#include <algorithm>
#include <string>

#include "words.h"

namespace tandem::data::world {
namespace {

using Words = std::vector<std::string_view>;

Words words_of(std::string_view text) {
  constexpr std::string_view between = " ,;:";
  Words words;
  while (true) {
    const std::size_t first = text.find_first_not_of(between);
    if (first == std::string_view::npos) return words;
    const std::size_t length = std::min(text.find_first_of(between, first), text.size()) - first;
    words.push_back(text.substr(first, length));
    text.remove_prefix(first + length);
  }
}

bool is_filler(std::string_view word) {
  constexpr std::array<std::string_view, 12> fillers{
      "a", "an", "at", "the", "there", "is", "on", "picture", "with", "that", "shows", "and"};
  return std::find(fillers.begin(), fillers.end(), word) != fillers.end();
}

std::optional<Look> look_named(std::string_view word) {
  for (int shape = 0; shape < kShapes; ++shape) {
    for (int colour = 0; colour < kColours; ++colour) {
      for (int rest = 0; rest < kSizes * kTextures; ++rest) {
        const Look look{shape, colour, rest % kSizes, rest / kSizes};
        if (proper_name(look) == word) return look;
      }
    }
  }
  return {};
}

// Words left to right; attributes gather until the shape's word completes an object. A place
// belongs to the object before it when that has none yet ("... at the top"), else to the next one.
class Reader {
 public:
  explicit Reader(Words words) : words_(std::move(words)) {}

  std::optional<Description> read() {
    while (at_ < words_.size()) {
      if (!step()) return {};
    }
    if (said_.background) {
      for (Claim& claim : said_.claims) claim.texture = claim.texture.value_or(0);
    }
    return said_;
  }

 private:
  bool step() {
    const std::string_view word = words_[at_];
    const std::string_view next = at_ + 1 < words_.size() ? words_[at_ + 1] : std::string_view();
    if (const auto background = number_of(kBackgroundWords, word);
        background && next == "background") {
      said_.background = background;
      at_ += 2;
      return true;
    }
    if (const auto two = number_of(kPlaceWords, std::string(word) + " " + std::string(next))) {
      at_ += 2;
      return place(*two);
    }
    ++at_;
    if (const auto one = number_of(kPlaceWords, word)) return place(*one);
    if (const auto size = number_of(kSizeWords, word)) return next_.size = size, true;
    if (const auto texture = number_of(kTextureWords, word)) return next_.texture = texture, true;
    if (const auto colour = number_of(kColourWords, word)) return next_.colour = colour, true;
    if (const auto shape = number_of(kShapeWords, word)) return next_.shape = shape, complete();
    if (is_filler(word)) return true;
    if (const auto look = look_named(word)) {
      next_ = {look->shape, look->colour, look->size, look->texture, next_.place};
      return complete();
    }
    return false;
  }

  bool place(int number) {
    const bool of_last = !said_.claims.empty() && !said_.claims.back().place;
    (of_last ? said_.claims.back() : next_).place = number;
    return true;
  }

  bool complete() {
    said_.claims.push_back(next_);
    next_ = {};
    return true;
  }

  Words words_;
  std::size_t at_ = 0;
  Claim next_{};
  Description said_{};
};

// Gives claims [i, end) to objects that are not in `used` (a bit each).
bool assign(const Description& said, const Scene& scene, std::size_t i, unsigned used) {
  if (i == said.claims.size()) return true;
  for (std::size_t o = 0; o < scene.objects.size(); ++o) {
    if ((used >> o & 1) != 0 || !satisfies(scene.objects[o], said.claims[i])) continue;
    if (assign(said, scene, i + 1, used | 1u << o)) return true;
  }
  return false;
}

}  // namespace

bool satisfies(const Object& object, const Claim& claim) {
  const auto equal = [](const std::optional<int>& said, int is) { return !said || *said == is; };
  return equal(claim.shape, object.look.shape) && equal(claim.colour, object.look.colour) &&
         equal(claim.size, object.look.size) && equal(claim.texture, object.look.texture) &&
         equal(claim.place, object.place);
}

std::optional<Description> read_caption(std::string_view text) {
  return Reader(words_of(text)).read();
}

bool agrees(const Description& said, const Scene& scene) {
  if (said.background) {
    if (*said.background != scene.background) return false;
    if (said.claims.size() != scene.objects.size()) return false;
  }
  return assign(said, scene, 0, 0);
}

}  // namespace tandem::data::world
