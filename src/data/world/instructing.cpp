#include "tandem/data/world/instructing.h"

#include <algorithm>
#include <array>

#include "making.h"
#include "tandem/data/world/caption.h"

namespace tandem::data::world {
namespace {

std::array<int, kShapes> shape_counts(const Scene& scene) {
  std::array<int, kShapes> counts{};
  for (const Object& object : scene.objects) ++counts[static_cast<std::size_t>(object.look.shape)];
  return counts;
}

Claim claim_of_shape(int shape) {
  Claim claim;
  claim.shape = shape;
  return claim;
}

std::string with_count(int count, int shape) {
  const Claim claim = claim_of_shape(shape);
  return std::to_string(count) + " " + (count == 1 ? noun(claim) : plural(claim));
}

template <class T>
void shuffle_answers(std::vector<T>& list, Random& random) {
  for (std::size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[random.below(i)]);
}

}  // namespace

std::vector<ExactAnswer> exact_conversation(const Scene& scene, Key key) {
  Random random(key.fold("exact conversation"));
  const auto counts = shape_counts(scene);
  std::vector<ExactAnswer> all{
      {"how many objects are there?", std::to_string(scene.objects.size())},
      {"what color is the background?",
       std::string(kBackgroundWords[static_cast<std::size_t>(scene.background)])}};
  const int asked = draw_below(random, kShapes);
  all.push_back({"is there " + with_a(claim_of_shape(asked)) + "?",
                 counts[static_cast<std::size_t>(asked)] > 0 ? "yes" : "no"});
  for (const Object& object : scene.objects) {
    all.push_back({"what is " + at_the(object.place) + "?", describe(object.look)});
    if (counts[static_cast<std::size_t>(object.look.shape)] == 1) {
      all.push_back({"what color is the " + noun(claim_of_shape(object.look.shape)) + "?",
                     std::string(kColourWords[static_cast<std::size_t>(object.look.colour)])});
    }
  }
  shuffle_answers(all, random);
  all.resize(std::min<std::size_t>(all.size(), 3 + random.below(4)));
  return all;
}

std::string exact_description(const Scene& scene, Key key) {
  return full_caption(scene, key.fold("exact description"));
}

ExactAnswer exact_reasoning(const Scene& scene, Key key) {
  Random random(key.fold("exact reasoning"));
  const auto counts = shape_counts(scene);
  const int some = draw_below(random, static_cast<int>(scene.objects.size()));
  int first = scene.objects[static_cast<std::size_t>(some)].look.shape, second = first;
  while (second == first) second = draw_below(random, kShapes);
  if (random.below(2) == 0) std::swap(first, second);
  const int a = counts[static_cast<std::size_t>(first)];
  const int b = counts[static_cast<std::size_t>(second)];
  return {"are there more " + plural(claim_of_shape(first)) + " than " +
              plural(claim_of_shape(second)) + "? say why.",
          std::string(a > b ? "yes" : "no") + ", because there are " + with_count(a, first) +
              " and " + with_count(b, second) + "."};
}

}  // namespace tandem::data::world
