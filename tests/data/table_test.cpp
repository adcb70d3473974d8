#include "tandem/data/table.h"

#include "support.h"
#include "tandem/data/conceptual_captions.h"
#include "tandem/data/text_lines.h"

namespace table_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::test;

namespace {

using Texts = std::vector<std::string>;

// A table beside pictures a.jpg, b.jpg and c.jpg.
class Folder {
 public:
  Folder() {
    for (const std::string name : {"a", "b", "c"}) dir.write(name + ".jpg", "picture " + name);
  }
  TableSettings table(const std::string& name, const std::string& text) const {
    TableSettings settings;
    settings.path = dir.write(name, text);
    return settings;
  }
  TempDir dir{};
};

Texts texts_of(const Source& source) {
  Texts all;
  for (std::int64_t i = 0; i < source.size(); ++i) {
    for (const std::string& text : source.read(i).texts) all.push_back(text);
  }
  return all;
}

}  // namespace

TEST_CASE("a CSV of RFC 4180 has quoted fields with separators, quotes and line ends in them") {
  const Folder folder;
  const auto source = open_table(folder.table("t.csv",
                                              "image,caption,more\r\n"
                                              "a.jpg,\"one, two\",x\r\n"
                                              "\"b.jpg\",\"she said \"\"no\"\"\",\"y\"\r\n"
                                              "\r\n"
                                              "c.jpg,\"two\r\nlines\",\r\n"
                                              "a.jpg,5\" pipe,z"));
  CHECK(texts_of(*source) == Texts{"one, two", "she said \"no\"", "two\r\nlines", "5\" pipe"});
  CHECK(source->read(0).id == (folder.dir / "t.csv") + ":2");
  CHECK(source->read(2).id == (folder.dir / "t.csv") + ":5");
  CHECK(source->read(3).id == (folder.dir / "t.csv") + ":7");
  CHECK(source->read(0).picture_id == source->read(3).picture_id);
  const auto bytes = source->read(1).pictures.at(0).encoded;
  CHECK(std::string(bytes.begin(), bytes.end()) == "picture b");
}

TEST_CASE("columns are named by settings, by number where there is no header") {
  const Folder folder;
  TableSettings settings =
      folder.table("t.csv", "\xEF\xBB\xBFtitle;filepath;alt\nOne;a.jpg;Eins\nTwo;b.jpg;\n");
  settings.separator = ";";
  settings.picture = "filepath";
  settings.captions = {"title", "alt"};
  CHECK(texts_of(*open_table(settings)) == Texts{"One", "Eins", "Two"});
  settings.header = false;
  settings.picture = "1";
  settings.captions = {"0"};
  CHECK(open_table(settings)->size() == 3);
  settings.picture = "3";
  CHECK(contains(error_of([&] { open_table(settings); }).message(), "expected a column '3'"));
  settings.header = true;
  settings.picture = "image";
  const Error error = error_of([&] { open_table(settings); });
  CHECK(error.kind() == ErrorKind::data);
  CHECK(contains(error.message(), "got title, filepath, alt"));
}

TEST_CASE("a TSV takes quotes as they are, unless it is told otherwise") {
  const Folder folder;
  TableSettings settings =
      folder.table("t.tsv", "image\tcaption\na.jpg\t\"a\" b\nb.jpg\t\"c\td\"\n");
  const auto plain = open_table(settings);
  CHECK(plain->read(0).texts == Texts{"\"a\" b"});
  CHECK(contains(error_of([&] { plain->read(1); }).what(), "t.tsv:3: [table] expected 2 fields"));
  settings.quotes = "yes";
  const auto quoted = open_table(settings);
  CHECK(quoted->read(1).texts == Texts{"c\td"});
  CHECK(contains(error_of([&] { quoted->read(0); }).what(), "t.tsv:2"));
}

TEST_CASE("rows of one picture become one sample where that is asked for") {
  const Folder folder;
  TableSettings settings = folder.table(
      "t.jsonl",
      "{\"image\": \"a.jpg\", \"caption\": [\"One\", \"Two\"]}\n{\"image\": \"b.jpg\", "
      "\"caption\": \"Three\"}\nbroken\n{\"image\": \"a.jpg\", \"caption\": \"Four\"}\n");
  CHECK(open_table(settings)->size() == 4);
  settings.group = true;
  const auto source = open_table(settings);
  REQUIRE(source->size() == 2);
  CHECK(source->read(0).texts == Texts{"One", "Two", "Four"});
  CHECK(source->read(1).texts == Texts{"Three"});
  REQUIRE(source->left_out().size() == 1);
  CHECK(source->left_out()[0].where == (folder.dir / "t.jsonl") + ":3");
}

TEST_CASE("a row that cannot be used is a bad sample with its file and line") {
  const Folder folder;
  const struct {
    std::string row, what;
  } cases[] = {{"a.jpg", "2 fields"},
               {"a.jpg,b,c", "2 fields"},
               {"a.jpg,", "caption"},
               {"a.jpg,\"open", "quote"},
               {"a.jpg,\"closed\" more", "separator"},
               {"../a.jpg,out", "'..'"},
               {"/a.jpg,out", "absolute"},
               {",no name", "empty name"},
               {"none.jpg,missing", "none.jpg"},
               {std::string("a.jpg,z\0ero", 11), "NUL"},
               {"a.jpg,\xC0\xAF", "UTF-8"},
               {std::string("a.jpg,") + std::string(3 << 20, 'x'), "bytes"}};
  for (const auto& one : cases) {
    const auto source =
        open_table(folder.table("t.csv", "image,caption\nb.jpg,good\n" + one.row + "\n"));
    REQUIRE(source->size() == 2);
    CHECK(source->read(0).texts == Texts{"good"});
    const Error error = error_of([&] { source->read(1); });
    INFO(error.what());
    CHECK(error.kind() == ErrorKind::data);
    CHECK(error.where() == (folder.dir / "t.csv") + ":3");
    CHECK(contains(error.message(), one.what));
  }
}

TEST_CASE("a quote that never ends spoils its own line and no other") {
  const Folder folder;
  std::string text = "image,caption\na.jpg,\"never ends\n";
  for (int i = 0; i < 90'000; ++i) text += "b.jpg,row " + std::to_string(i) + "\n";
  const auto source = open_table(folder.table("t.csv", text));
  REQUIRE(source->size() == 90'001);
  CHECK(error_of([&] { source->read(0); }).where() == (folder.dir / "t.csv") + ":2");
  CHECK(source->read(1).texts == Texts{"row 0"});
  CHECK(source->read(90'000).texts == Texts{"row 89999"});
  CHECK(source->read(90'000).id == (folder.dir / "t.csv") + ":90002");
}

TEST_CASE("whole paths are read where the folder is /") {
  const Folder folder;
  TableSettings settings =
      folder.table("t.csv", "image,caption\n" + (folder.dir / "a.jpg") + ",x\n");
  CHECK(contains(error_of([&] { open_table(settings)->read(0); }).hint(), "pictures: /"));
  settings.pictures = "/";
  CHECK(open_table(settings)->read(0).texts == Texts{"x"});
}

TEST_CASE("a table's fingerprint tells its bytes and its columns") {
  const Folder folder;
  TableSettings settings = folder.table("t.csv", "image,caption,other\na.jpg,x,y\n");
  const std::string first = open_table(settings)->fingerprint();
  CHECK(open_table(settings)->fingerprint() == first);
  settings.captions = {"other"};
  CHECK(open_table(settings)->fingerprint() != first);
  settings = folder.table("t.csv", "image,caption,other\na.jpg,z,y\n");
  CHECK(open_table(settings)->fingerprint() != first);
}

TEST_CASE("tables without rows, of an unknown kind or in UTF-16 are refused") {
  const Folder folder;
  for (const std::string text : {"", "image,caption\n", "\n\n", "\xFF\xFEi\0"}) {
    CHECK(error_of([&] { open_table(folder.table("t.csv", text)); }).kind() == ErrorKind::data);
  }
  const Error error = error_of([&] { open_table(folder.table("t.dat", "x")); });
  CHECK(contains(error.hint(), "kind"));
}

TEST_CASE("Conceptual Captions: rows of caption and URL, whose pictures may be missing") {
  const TempDir dir;
  dir.write("pictures/0.jpg", "zero");
  dir.write("pictures/2.jpg", "two");
  dir.write("padded/000000002.jpg", "two");
  ConceptualCaptionsSettings settings;
  settings.path = dir.write(
      "Train_GCC-training.tsv",
      "a very typical bus station\thttp://lh6.ggpht.com/-IvRtNLNcG8o/TpFyrudaT6I/0.jpg?imgmax=800\n"
      "sierra looked \"stunning\" in this "
      "top\thttp://78.media.tumblr.com/3b133294bdc7c7784b/1.jpg\n"
      "young confused girl standing in front of a wardrobe\thttps://media.gettyimages.com/2.jpg\n");
  settings.pictures = dir / "pictures";
  auto source = open_conceptual_captions(settings);
  REQUIRE(source->size() == 2);
  CHECK(source->read(0).texts == Texts{"a very typical bus station"});
  CHECK(source->read(1).texts == Texts{"young confused girl standing in front of a wardrobe"});
  REQUIRE(source->left_out().size() == 1);
  CHECK(contains(source->left_out()[0].where, "Train_GCC-training.tsv:2"));
  CHECK(contains(source->left_out()[0].what, "1.jpg"));

  settings.pictures = dir / "padded";
  settings.name = "{row:09}.jpg";
  source = open_conceptual_captions(settings);
  CHECK(source->size() == 1);
  settings.path = dir.write("cc12m.tsv",
                            "https://a.org/0.jpg\tno\nhttps://a.org/1.jpg\tno\n"
                            "https://a.org/2.jpg\tyes\n");
  CHECK(open_conceptual_captions(settings)->read(0).texts == Texts{"yes"});
  settings.path = dir.write("x.tsv", "no tab\n");
  CHECK(error_of([&] { open_conceptual_captions(settings); }).where() == (dir / "x.tsv") + ":1");
}

TEST_CASE("plain text gives a sample a line or a paragraph") {
  const TempDir dir;
  dir.write("0.txt", "First line\r\nsecond line\n\n\nSecond paragraph\n");
  dir.write("1.txt", "\nThird \xC3\xA9 text");
  TextSettings settings;
  settings.path = dir / "{0..1}.txt";
  const auto lines = open_text(settings);
  CHECK(texts_of(*lines) ==
        Texts{"First line", "second line", "Second paragraph", "Third \xC3\xA9 text"});
  CHECK(lines->read(3).id == (dir / "1.txt") + ":2");
  CHECK(lines->read(0).pictures.empty());
  settings.unit = "paragraph";
  CHECK(texts_of(*open_text(settings)) ==
        Texts{"First line\nsecond line", "Second paragraph", "Third \xC3\xA9 text"});
  settings.path = dir.write("blank.txt", "  \n\xFF\n");
  const auto blank = open_text(settings);
  CHECK(error_of([&] { blank->read(0); }).kind() == ErrorKind::data);
  settings.path = dir.write("empty.txt", "\n\n");
  CHECK(error_of([&] { open_text(settings); }).kind() == ErrorKind::data);
}

}  // namespace table_test
