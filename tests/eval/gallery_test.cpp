#include "tandem/eval/gallery.h"

#include <ATen/ops/equal.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "../support/temporary.h"
#include "support.h"
#include "tandem/base/files.h"
#include "tandem/eval/search.h"

namespace gallery_test {

using namespace tandem;
using namespace tandem::eval;
using tandem::testing::TemporaryDirectory;

namespace {

// Picture 1 stands twice, one sample cannot be read.
std::vector<data::Sample> samples() {
  return {coloured("a", 1, "ff0000", {"ff0000 one", "ee1100", "dd2200"}),
          coloured("broken", 2, "000000", {"000001"}), coloured("b", 3, "00ff00", {"00ff00 a b c"}),
          coloured("c", 1, "ff0000", {"cc3300"}), coloured("d", 4, "0000ff", {"0000ff", "1100ee"})};
}

std::vector<std::string> ids_of(const Gallery& gallery) {
  std::vector<std::string> ids;
  for (const Entry& entry : gallery.entries) ids.push_back(entry.id);
  return ids;
}

}  // namespace

TEST_CASE("a gallery holds each picture once, with the captions of all samples that show it") {
  Setting setting;
  const Gallery gallery = embed_gallery(setting.input(samples()), {});
  CHECK(ids_of(gallery) == std::vector<std::string>{"a", "b", "d"});
  CHECK(gallery.entries[0].texts ==
        std::vector<std::string>{"ff0000 one", "ee1100", "dd2200", "cc3300"});
  CHECK(gallery.image.size(0) == 3);
  REQUIRE(gallery.text.size(0) == 7);
  const std::vector<std::int64_t> owners{0, 0, 0, 0, 1, 2, 2};
  for (std::int64_t i = 0; i < 7; ++i) {
    CHECK(gallery.owner[i].item<std::int64_t>() == owners[static_cast<std::size_t>(i)]);
  }
  // Rows are those of their own text: red fades along the captions of a.
  for (std::int64_t i = 0; i < 3; ++i) {
    CHECK(gallery.text[i][0].item<float>() > gallery.text[i + 1][0].item<float>());
  }
  CHECK(gallery.image[1][1].item<float>() == Approx(1));
}

TEST_CASE("a limit of captions counts for the picture, not for the sample") {
  Setting setting;
  const Gallery gallery = embed_gallery(setting.input(samples()), {.captions = 2});
  CHECK(gallery.text.size(0) == 5);
  CHECK(gallery.entries[0].texts == std::vector<std::string>{"ff0000 one", "ee1100"});
  const Gallery apart = embed_gallery(setting.input(samples()), {.captions = 1, .merge = false});
  CHECK(ids_of(apart) == std::vector<std::string>{"a", "b", "c", "d"});
}

TEST_CASE("only as many samples as are asked for are read, also of a source that is smaller") {
  Setting setting;
  Input input = setting.input(samples());
  input.size = 3;
  CHECK(ids_of(embed_gallery(input, {})) == std::vector<std::string>{"a", "b"});
  input.size = 1000;
  input.batch = 64;
  CHECK(ids_of(embed_gallery(input, {})).size() == 3);
}

TEST_CASE("a gallery of nothing and a model that cannot embed are refused") {
  Setting setting;
  CHECK_THROWS_WITH(embed_gallery(setting.input({coloured("broken", 1, "000000", {"000000"}),
                                                 coloured("x", 1, "000000", {})}),
                                  {}),
                    Catch::Contains("good sample"));
  setting.processor.text = nullptr;
  CHECK_THROWS_WITH(embed_gallery(setting.input(samples()), {}), Catch::Contains("that cannot"));
  CHECK(embed_gallery(setting.input(samples()), {.texts = false}).entries.size() == 3);
}

TEST_CASE("texts keep their order whatever the batch") {
  Setting setting;
  const std::vector<std::string> texts{"ff0000", "00ff00 x y", "0000ff", "ffffff z", "010000"};
  Input input = setting.input(samples());
  const at::Tensor two = embed_texts(input, texts);
  input.batch = 64;
  CHECK(at::equal(two, embed_texts(input, texts)));
  CHECK(two[1][1].item<float>() == Approx(1));
}

TEST_CASE("a gallery that was stored is found again as it was") {
  Setting setting;
  const TemporaryDirectory folder;
  const Gallery made = embed_gallery(setting.input(samples()), {});
  save_gallery(folder / "g", made, {"model", "hash", "given"});
  const StoredGallery stored = load_gallery(folder / "g");
  CHECK(at::equal(stored.gallery.image, made.image));
  CHECK(at::equal(stored.gallery.text, made.text));
  CHECK(at::equal(stored.gallery.owner, made.owner));
  CHECK(ids_of(stored.gallery) == ids_of(made));
  CHECK(stored.gallery.entries[0].texts == made.entries[0].texts);
  CHECK(stored.origin.model_hash == "hash");
}

TEST_CASE("a folder that is no gallery, and one that was changed, are refused by name") {
  Setting setting;
  const TemporaryDirectory folder;
  CHECK_THROWS_WITH(load_gallery(folder.path()), Catch::Contains("tandem embed"));
  save_gallery(folder / "g", embed_gallery(setting.input(samples()), {}), {});
  for (const char* name : {"entries.jsonl", "gallery.safetensors"}) {
    const std::string before = read_file(folder.path() / "g" / name, 1 << 20);
    std::string bytes = before;
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    replace_file(folder.path() / "g" / name, bytes);
    CHECK_THROWS_WITH(load_gallery(folder / "g"), Catch::Contains(name));
    replace_file(folder.path() / "g" / name, before);
  }
  replace_file(folder.path() / "g" / "manifest.json", "{\"version\": 1}");
  CHECK_THROWS_WITH(load_gallery(folder / "g"), Catch::Contains("manifest.json"));
}

TEST_CASE("a search finds pictures and texts by words") {
  Setting setting;
  const Gallery gallery = embed_gallery(setting.input(samples()), {});
  const auto found =
      search(gallery, setting.model, setting.processor, {.text = "00ee00", .top = 2});
  REQUIRE(found.size() == 2);
  CHECK(found[0].id == "b");
  CHECK(found[0].place == 1);
  CHECK(found[0].score == Approx(1));
  const auto texts = search(gallery, setting.model, setting.processor,
                            {.text = "1100ee", .in_texts = true, .top = 1});
  CHECK(texts[0].id == "d#1");
  CHECK(texts[0].text == "1100ee");
  const Gallery pictures = embed_gallery(setting.input(samples()), {.texts = false});
  CHECK_THROWS_WITH(
      search(pictures, setting.model, setting.processor, {.text = "00ee00", .in_texts = true}),
      Catch::Contains("gallery with texts"));
}

}  // namespace gallery_test
