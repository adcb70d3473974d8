#include "tandem/data/folder.h"

#include <set>

#include "support.h"
#include "tandem/vision/decode.h"

namespace folder_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::test;

namespace {

FolderSettings settings_of(const std::string& path, const std::string& captions = {}) {
  FolderSettings settings;
  settings.path = path;
  settings.captions = captions;
  return settings;
}

std::string png(int seed) { return png_of(pattern(6, 5, seed)); }

}  // namespace

TEST_CASE("a folder's pictures have their captions beside them, in the order of their paths") {
  const TempDir dir;
  dir.write("b/cat.png", png(1));
  dir.write("b/cat.txt", "A cat.\r\nde.utf8=Eine Katze.\nfr.utf8=Un chat\n");
  dir.write("a.jpg", jpeg_of(pattern(8, 8, 2)));
  dir.write("a.txt", "\xEF\xBB\xBF  An apple \n");
  dir.write("Z.PNG", png(3));
  dir.write("Z.txt", "A letter");
  dir.write("alone.png", png(4));
  dir.write("empty.png", png(5));
  dir.write("empty.txt", "\nsecond line");
  dir.write("note.txt", "no picture");
  const auto source = open_folder(settings_of(dir.path()));
  REQUIRE(source->size() == 3);
  CHECK(source->read(0).id == "Z.PNG");
  CHECK(source->read(1).id == "a.jpg");
  CHECK(source->read(2).id == "b/cat.png");
  CHECK(source->read(0).texts == std::vector<std::string>{"A letter"});
  CHECK(source->read(1).texts == std::vector<std::string>{"An apple"});
  CHECK(source->read(2).texts == std::vector<std::string>{"A cat."});
  CHECK(vision::decode(source->read(2).pictures[0].encoded) == pattern(6, 5, 1));
  CHECK(source->read(0).picture_id != source->read(1).picture_id);
}

TEST_CASE("captions in another language leave out the pictures that have none") {
  const TempDir dir;
  dir.write("a.png", png(1));
  dir.write("a.txt", "A cat.\nde.utf8=Eine Katze.\n");
  dir.write("b.png", png(2));
  dir.write("b.txt", "A dog.\nfr.utf8=Un chien");
  auto settings = settings_of(dir.path());
  settings.language = "de";
  const auto german = open_folder(settings);
  REQUIRE(german->size() == 1);
  CHECK(german->read(0).texts[0] == "Eine Katze.");
  settings.language = "fr";
  CHECK(open_folder(settings)->read(0).texts[0] == "Un chien");
}

TEST_CASE("a tsv gives a sample a line, in the file's order") {
  const TempDir dir;
  dir.write("p/1.png", png(1));
  dir.write("p/2.png", png(2));
  const std::string tsv =
      dir.write("c.tsv", "2.png\tTwo\n1.png\tOne\twith a tab \r\n\n2.png\tTwo again\n");
  const auto source = open_folder(settings_of(dir / "p", tsv));
  REQUIRE(source->size() == 3);
  CHECK(source->read(0).texts[0] == "Two");
  CHECK(source->read(1).texts[0] == "One\twith a tab");
  CHECK(source->read(2).id == "2.png");
  CHECK(source->read(2).picture_id == source->read(0).picture_id);
  CHECK(source->read(1).picture_id != source->read(0).picture_id);
}

TEST_CASE("a jsonl gives pictures and captions, or lists of them, under keys that can be named") {
  const TempDir dir;
  dir.write("1.png", png(1));
  std::string lines = dir.write("c.jsonl",
                                "{\"image\": \"1.png\", \"caption\": [\"a\", \"b\"]}\n"
                                "{\"caption\": \"c\", \"image\": \"1.png\", \"more\": 1}\n");
  const auto source = open_folder(settings_of(dir.path(), lines));
  REQUIRE(source->size() == 2);
  CHECK(source->read(0).texts == std::vector<std::string>{"a", "b"});
  CHECK(source->read(1).texts == std::vector<std::string>{"c"});
  auto settings =
      settings_of(dir.path(), dir.write("d.jsonl", R"({"file": "1.png", "title": "t"})"));
  settings.picture_key = "file";
  settings.caption_key = "title";
  CHECK(open_folder(settings)->read(0).texts[0] == "t");
}

TEST_CASE("lines of captions that do not parse are named with file and line") {
  const TempDir dir;
  const auto place_of = [&](const std::string& name, const std::string& text) {
    const Error error =
        error_of([&] { open_folder(settings_of(dir.path(), dir.write(name, text))); });
    CHECK(error.kind() == ErrorKind::data);
    return error.where();
  };
  CHECK(contains(place_of("a.tsv", "1.png\tok\nno tab\n"), "a.tsv:2"));
  CHECK(contains(place_of("b.tsv", "\tno picture\n"), "b.tsv:1"));
  for (const std::string bad :
       {"{", "[1]", R"({"caption": "x"})", R"({"image": 5, "caption": "x"})", R"({"image": "x"})",
        R"({"image": "x", "caption": []})", R"({"image": "x", "caption": [1]})"}) {
    INFO(bad);
    CHECK(contains(place_of("c.jsonl", "\n" + bad + "\n"), "c.jsonl:2"));
  }
}

TEST_CASE("a folder without captioned pictures, or none at all, is refused") {
  const TempDir dir;
  dir.write("a.png", png(1));
  CHECK(error_of([&] { open_folder(settings_of(dir.path())); }).kind() == ErrorKind::data);
  CHECK(error_of([&] { open_folder(settings_of(dir / "nowhere")); }).kind() == ErrorKind::data);
  CHECK(error_of([&] { open_folder(settings_of(dir.path(), dir / "nowhere.tsv")); }).kind() ==
        ErrorKind::data);
}

TEST_CASE("a picture that is missing is a bad sample with its name") {
  const TempDir dir;
  const auto source = open_folder(settings_of(dir.path(), dir.write("c.tsv", "gone.png\tx\n")));
  const Error error = error_of([&] { source->read(0); });
  CHECK(error.kind() == ErrorKind::data);
  CHECK(error.where() == "gone.png");
}

TEST_CASE("a folder's fingerprint tells its content, not its place") {
  const auto fingerprint = [](const std::string& text, const std::string& picture) {
    const TempDir dir;
    dir.write("a.png", picture);
    dir.write("a.txt", text);
    return open_folder(settings_of(dir.path()))->fingerprint();
  };
  const std::string base = fingerprint("one", png(1));
  CHECK(base == fingerprint("one", png(1)));
  CHECK(base != fingerprint("two", png(1)));
  CHECK(base != fingerprint("one", png(1) + "x"));
}

TEST_CASE("Tux Paint's stamps are read where they are installed") {
  const std::string stamps = "/usr/share/tuxpaint/stamps";
  if (!std::filesystem::exists(stamps)) {
    WARN("tuxpaint-stamps-default is not installed: skipped");
    return;
  }
  const auto source = open_folder(settings_of(stamps));
  CHECK(source->size() > 700);
  std::set<std::string> texts;
  for (std::int64_t i = 0; i < source->size(); ++i) texts.insert(source->read(i).texts[0]);
  CHECK(texts.size() > 600);
  for (std::int64_t i = 0; i < source->size(); i += 50) {
    const Sample sample = source->read(i);
    CHECK_FALSE(vision::decode(sample.pictures[0].encoded, sample.id).empty());
  }
  auto settings = settings_of(stamps);
  settings.language = "de";
  CHECK(open_folder(settings)->size() > 100);
}

}  // namespace folder_test
