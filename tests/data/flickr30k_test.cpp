#include "tandem/data/flickr30k.h"

#include "support.h"

namespace flickr30k_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::test;

namespace {

using Texts = std::vector<std::string>;

std::unique_ptr<Source> open(const TempDir& dir, const std::string& name, const std::string& text) {
  Flickr30kSettings settings;
  settings.path = dir.write(name, text);
  settings.pictures = dir.path();
  dir.write("1000092795.jpg", "one");
  dir.write("10002456.jpg", "two");
  return open_flickr30k(settings);
}

}  // namespace

TEST_CASE("Flickr30k's .token gives five captions a picture") {
  const TempDir dir;
  const auto source =
      open(dir, "results_20130124.token",
           "1000092795.jpg#0\tTwo young guys with shaggy hair look at their hands .\n"
           "1000092795.jpg#1\tTwo young , White males are outside near many bushes .\n"
           "1000092795.jpg#2\tTwo men in green shirts are standing in a yard .\n"
           "1000092795.jpg#3\tA man in a blue shirt standing in a garden .\n"
           "1000092795.jpg#4\tTwo friends enjoy time spent together .\n"
           "10002456.jpg#0\tSeveral men in hard hats | are operating a giant pulley system .\n");
  REQUIRE(source->size() == 2);
  CHECK(source->read(0).texts.size() == 5);
  CHECK(source->read(0).texts[4] == "Two friends enjoy time spent together .");
  CHECK(source->read(1).id == "10002456.jpg");
  CHECK(source->read(1).texts ==
        Texts{"Several men in hard hats | are operating a giant pulley system ."});
}

TEST_CASE("Flickr30k's results.csv is read, and its broken line is left out by file and line") {
  const TempDir dir;
  const auto source =
      open(dir, "results.csv",
           "image_name| comment_number| comment\n"
           "1000092795.jpg| 0| Two young guys with shaggy hair look at their hands .\n"
           "1000092795.jpg| 1| Two young , White males are outside near many bushes .\r\n"
           "10002456.jpg| 4   A dog runs across the grass .\n"
           "10002456.jpg| 0| Several men in hard hats | are operating a system .\n");
  REQUIRE(source->size() == 2);
  CHECK(source->read(0).texts == Texts{"Two young guys with shaggy hair look at their hands .",
                                       "Two young , White males are outside near many bushes ."});
  CHECK(source->read(1).texts == Texts{"Several men in hard hats | are operating a system ."});
  REQUIRE(source->left_out().size() == 1);
  CHECK(source->left_out()[0].where == (dir / "results.csv") + ":4");
}

TEST_CASE("a file without one good line, or with names that lead out, is refused") {
  const TempDir dir;
  for (const std::string text : {"", "nothing\n", "a.jpg#x\ttext\n", "../a.jpg#0\ttext\n",
                                 "/etc/a.jpg#0\ttext\n", "a.jpg#0\t \n", "a.jpg#0\t\xFF\n"}) {
    const Error error = error_of([&] { open(dir, "r.token", text); });
    CHECK(error.kind() == ErrorKind::data);
    CHECK(contains(error.where(), "r.token"));
  }
}

}  // namespace flickr30k_test
