// What transformers' files say of how pictures become numbers.

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "../support/errors.h"
#include "../support/temporary.h"
#include "models/blip2/config.h"
#include "models/processor_file.h"
#include "tandem/models/processor_text.h"

namespace processor_test {

using namespace tandem;
using namespace tandem::models;
using tandem::test::contains;
using tandem::test::error_of;
using tandem::testing::put_file;
using tandem::testing::TemporaryDirectory;

namespace {

vision::ImageSettings read(const std::string& text) {
  vision::ImageSettings image;
  read_processor(image, text);
  return image;
}

}  // namespace

TEST_CASE("a processor in processor_config.json comes before one in a file of its own") {
  const TemporaryDirectory folder;
  CHECK(processor_text(folder.path()).empty());
  put_file(folder / "preprocessor_config.json", R"({"resample": 2})");
  CHECK(processor_text(folder.path()) == R"({"resample": 2})");
  put_file(folder / "processor_config.json", R"({"processor_class": "LlavaProcessor"})");
  CHECK(processor_text(folder.path()) == R"({"resample": 2})");  // it has none
  put_file(folder / "processor_config.json",
           R"({"image_processor": {"image_mean": [0.1, 0.2, 0.3], "resample": 3}})");
  const vision::ImageSettings image = read(processor_text(folder.path()));
  CHECK(image.mean == std::vector<double>{0.1, 0.2, 0.3});
  CHECK(image.interpolation == "bicubic");
  put_file(folder / "processor_config.json", "[1]");
  const Error error = error_of([&] { processor_text(folder.path()); });
  CHECK(error.kind() == ErrorKind::config);
  CHECK(contains(error.where(), "processor_config.json"));
}

TEST_CASE("another scale of the pixels is another mean and spread") {
  const vision::ImageSettings plain;
  // What (x * factor - mean) / std gives, of ours.
  const auto expect = [&](const std::string& text, double factor, double middle, double spread) {
    CAPTURE(text);
    const vision::ImageSettings image = read(text);
    for (const double x : {0.0, 17.0, 255.0}) {
      CHECK((x / 255 - image.mean[1]) / image.std[1] == Approx((x * factor - middle) / spread));
    }
  };
  const double mean = plain.mean[1], spread = plain.std[1];
  expect("{}", 1.0 / 255, mean, spread);
  expect(R"({"rescale_factor": 0.00784313725490196})", 2.0 / 255, mean, spread);
  expect(R"({"do_rescale": false})", 1, mean, spread);
  expect(R"({"do_normalize": false})", 1.0 / 255, 0, 1);
  expect(R"({"do_normalize": false, "do_rescale": false})", 1, 0, 1);
  // The usual factor leaves every bit of the statistics.
  CHECK(read(R"({"rescale_factor": 0.00392156862745098})").mean == plain.mean);
  CHECK(contains(error_of([] { read(R"({"do_resize": false})"); }).message(), "do_resize"));
}

TEST_CASE("pictures that are not turned upright stay so in the file") {
  vision::ImageSettings image;
  CHECK_FALSE(processor_json(image).contains("orientation"));
  image.orientation = "stored";
  CHECK(read(processor_json(image).dump()).orientation == "stored");
  CHECK(contains(error_of([] { read(R"({"orientation": "up"})"); }).message(), "orientation"));
}

TEST_CASE("BLIP-2: a processor that does not squeeze pictures is refused") {
  blip2::Config config;
  const auto refused = [&](const char* text) {
    return error_of([&] { blip2::read_processor_file(config, text); }).message();
  };
  CHECK_NOTHROW(blip2::read_processor_file(
      config, R"({"size": {"height": 224, "width": 224}, "do_center_crop": null})"));
  CHECK_NOTHROW(blip2::read_processor_file(
      config, R"({"size": 224, "do_center_crop": true, "crop_size": 224})"));
  CHECK_NOTHROW(blip2::read_processor_file(config, R"({"size": {"height": 384, "width": 384}})"));
  CHECK(contains(refused(R"({"size": {"shortest_edge": 224}})"), "size"));
  CHECK(contains(
      refused(
          R"({"size": {"height": 256, "width": 256}, "do_center_crop": true, "crop_size": 224})"),
      "crop_size"));
}

}  // namespace processor_test
