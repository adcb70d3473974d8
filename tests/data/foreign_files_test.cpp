// What no source may fall for: pipes where files should lie.
#include "../support/fifo.h"
#include "support.h"
#include "tandem/data/check.h"
#include "tandem/data/coco.h"
#include "tandem/data/dialogue.h"
#include "tandem/data/folder.h"
#include "tandem/data/table.h"
#include "tandem/data/webdataset.h"

namespace foreign_files_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::test;
using tandem::testing::Fifo;

namespace {

FolderSettings folder_of(const TempDir& dir, const std::string& captions) {
  FolderSettings settings;
  settings.path = dir.path();
  settings.captions = captions;
  return settings;
}

// What opening refuses, naming the file.
std::string refused(const std::string& file, const std::function<void()>& open) {
  const Error error = error_of(open);
  INFO(file);
  CHECK(error.kind() == ErrorKind::data);
  CHECK(contains(error.where(), file));
  return error.message();
}

}  // namespace

TEST_CASE("a pipe where a picture should lie is a bad sample") {
  const TempDir dir;
  dir.write("1.png", png_of(pattern(4, 4, 1)));
  const Fifo pipe(dir / "2.png");
  const auto source = open_folder(folder_of(dir, dir.write("c.tsv", "1.png\tone\n2.png\ttwo\n")));
  REQUIRE(source->size() == 2);
  const Error error = error_of([&] { source->read(1); });
  CHECK(error.kind() == ErrorKind::data);
  CHECK(error.where() == "2.png");
  CHECK(contains(error.message(), "expected a regular file"));
  CHECK_THROWS_AS(source->peek(1), Error);
  const CheckReport report = check_source(*source, [](const Finding&) {});
  CHECK(report.bad == 1);
}

TEST_CASE("a pipe where a table, a tar or a list should lie is refused by its name") {
  const TempDir dir;
  const auto open = [&](const std::string& name) {
    const std::string path = dir / name;
    const Fifo pipe(path);
    return refused(name, [&] {
      if (name == "t.csv") {
        TableSettings settings;
        settings.path = path;
        open_table(settings);
      } else if (name == "t.tar") {
        WebdatasetSettings settings;
        settings.path = path;
        open_webdataset(settings);
      } else if (name == "d.json") {
        DialogueSettings settings;
        settings.path = path;
        open_dialogue(settings);
      } else if (name == "c.json") {
        CocoSettings settings;
        settings.path = path;
        settings.pictures = dir.path();
        open_coco(settings);
      } else {
        open_folder(folder_of(dir, path));
      }
    });
  };
  for (const char* name : {"t.csv", "t.tar", "d.json", "c.json", "c.jsonl"}) {
    CHECK(contains(open(name), "expected a regular file"));
  }
}

}  // namespace foreign_files_test
