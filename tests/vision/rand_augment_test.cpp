#include "tandem/vision/rand_augment.h"

#include <set>
#include <sstream>
#include <thread>

#include "support.h"
#include "tandem/vision/transform.h"

using namespace tandem;
using namespace tandem::vision;
using namespace tandem::test;

namespace {

// The worst difference of a byte between `made` and the rows of `all` from `y` on.
int difference(const Image& made, const Image& all, int y) {
  int worst = 0;
  for (std::size_t i = 0; i < made.rgb.size(); ++i) {
    worst = std::max(worst, std::abs(made.rgb[i] - all.row(y)[i]));
  }
  return worst;
}

Image noise(int width, int height) {
  Image image = make_image(width, height);
  Random random(Key(3));
  for (auto& byte : image.rgb) byte = static_cast<std::uint8_t>(random.below(256));
  return image;
}

}  // namespace

TEST_CASE("every operation of RandAugment equals the original's") {
  const Image source = read_ppm("more/augment_in");
  std::map<std::string, Image> expected;
  std::map<std::string, int> y;
  std::map<std::string, std::set<std::string>> seen;
  for (const std::string variant : {"lavis", "vilt"}) {
    expected[variant] = read_ppm("more/augment_" + variant);
  }
  std::ifstream lines(fixtures() / "more/augment.txt");
  std::string variant, op;
  double magnitude = 0;
  bool negative = false;
  while (lines >> variant >> op >> magnitude >> negative) {
    INFO(variant << " " << op << " " << magnitude << " " << negative);
    // OpenCV's filter and a product of matrices in floating point may round the other way.
    const int most = variant == "lavis" && (op == "Sharpness" || op == "Color") ? 1 : 0;
    CHECK(difference(apply_op(variant, op, source, magnitude, negative), expected[variant],
                     y[variant]) <= most);
    y[variant] += source.height;
    seen[variant].insert(op);
  }
  for (const std::string one : {"lavis", "vilt"}) {
    CHECK(y[one] == expected[one].height);
    const auto ops = rand_augment_ops(one);
    CHECK(seen[one] == std::set<std::string>(ops.begin(), ops.end()));
  }
}

TEST_CASE("AutoContrast of a picture without black does not turn it white") {
  Image image = make_image(4, 4);
  for (std::size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = i < 24 ? 60 : 200;
  const Image out = apply_op("lavis", "AutoContrast", image, 5, false);
  CHECK(out.rgb[0] == 0);
  CHECK(out.rgb[47] == 255);
}

TEST_CASE("RandAugment is drawn by key, the same on every thread") {
  const Image source = noise(40, 30);
  RandAugmentSettings settings;
  settings.magnitude = 7;
  for (const std::string variant : {"lavis", "vilt"}) {
    settings.variant = variant;
    std::vector<Image> here, there(40);
    for (std::uint64_t i = 0; i < 40; ++i) {
      here.push_back(rand_augment(source, settings, Key(9).fold(i)));
    }
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (std::size_t i = 39 - t; i < 40; i -= 4) {
          there[i] = rand_augment(source, settings, Key(9).fold(std::uint64_t{i}));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(here == there);
    std::set<std::vector<std::uint8_t>> different;
    for (const Image& one : here) different.insert(one.rgb);
    CHECK(different.size() > 8);
  }
}

TEST_CASE("lavis leaves each operation out half of the time, vilt never") {
  const Image source = noise(16, 16);
  RandAugmentSettings settings;
  settings.ops = 1;
  settings.magnitude = 5;
  settings.only = {"Equalize"};
  const Image done = apply_op("lavis", "Equalize", source, 5, false);
  REQUIRE(done != source);
  int count = 0;
  for (std::uint64_t i = 0; i < 400; ++i) {
    count += rand_augment(source, settings, Key(1).fold(i)) == done;
  }
  CHECK(count > 150);
  CHECK(count < 250);
  settings.variant = "vilt";
  settings.only = {"Equalize"};
  for (std::uint64_t i = 0; i < 20; ++i) {
    CHECK(rand_augment(source, settings, Key(1).fold(i)) == done);
  }
}

TEST_CASE("the training view does RandAugment where the variant has it") {
  const Image source = noise(40, 30);
  ImageSettings image;
  image.size = 16;
  AugmentSettings augment;
  augment.use_rand_augment = true;
  augment.rand_augment.only = {"Equalize"};
  augment.rand_augment.variant = "vilt";
  augment.rand_augment.ops = 1;
  const Key key = Key(4).fold("sample");
  AugmentSettings plain;
  CHECK(training_view(source, image, augment, key) ==
        training_view(apply_op("vilt", "Equalize", source, 5, false), image, plain, key));
  augment.rand_augment.variant = "lavis";
  augment.rand_augment.ops = 3;
  CHECK(training_view(source, image, augment, key) ==
        rand_augment(training_view(source, image, plain, key), augment.rand_augment, key));
}

TEST_CASE("every operation takes pictures of a few pixels and every strength") {
  for (const std::string variant : {"lavis", "vilt"}) {
    const double most = variant == "vilt" ? 30 : 10;
    for (const auto& [width, height] : {std::pair{1, 1}, {2, 1}, {1, 3}, {3, 3}}) {
      for (const std::string& op : rand_augment_ops(variant)) {
        for (const double magnitude : {0.0, most / 2, most}) {
          const Image out = apply_op(variant, op, noise(width, height), magnitude, true);
          INFO(variant << " " << op);
          CHECK(out.width == width);
          CHECK(out.rgb.size() == static_cast<std::size_t>(width * height * 3));
        }
      }
    }
  }
}

TEST_CASE("an unknown operation is an error of ours") {
  CHECK(error_of([] { apply_op("vilt", "Invert", noise(2, 2), 1, false); }).kind() ==
        ErrorKind::internal);
}
