// What no source may fall for: pipes where files should lie, JSON that is nested without a bound.
#include "../support/fifo.h"
#include "support.h"
#include "tandem/data/check.h"
#include "tandem/data/coco.h"
#include "tandem/data/dialogue.h"
#include "tandem/data/folder.h"
#include "tandem/data/nlvr2.h"
#include "tandem/data/refcoco.h"
#include "tandem/data/snli_ve.h"
#include "tandem/data/table.h"
#include "tandem/data/vqa.h"
#include "tandem/data/webdataset.h"

namespace foreign_files_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::test;
using tandem::testing::Fifo;

namespace {

// Lists in lists, closed: valid JSON, whose copy is a recursion of that depth.
std::string nested() {
  constexpr std::size_t depth = 100'000;
  return std::string(depth, '[') + std::string(depth, ']');
}

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

TEST_CASE("a caption nested without a bound is a bad sample of a webdataset and of a table") {
  const TempDir dir;
  const std::string deep = R"({"image": "a.png", "caption": )" + nested() + "}";
  const std::string good = R"({"image": "a.png", "caption": "one"})";
  dir.write("a.png", png_of(pattern(4, 4, 1)));
  WebdatasetSettings shards;
  shards.path = dir.write(
      "s.tar", tar_member("a.png", png_of(pattern(4, 4, 1))) + tar_member("a.json", good) +
                   tar_member("b.png", png_of(pattern(4, 4, 2))) + tar_member("b.json", deep) +
                   tar_member("c.png", png_of(pattern(4, 4, 3))) +
                   tar_member("c.json", R"({"caption": )" + std::string(100'000, '[')) + tar_end());
  TableSettings table;
  table.path = dir.write("t.jsonl", good + "\n" + deep + "\n");
  const auto expect = [](const Source& source) {
    CHECK(source.read(0).texts == std::vector<std::string>{"one"});
    for (std::int64_t i = 1; i < source.size(); ++i) {
      const Error error = error_of([&] { source.read(i); });
      CHECK(error.kind() == ErrorKind::data);
      CHECK(contains(error.message(), "nested at most"));
    }
  };
  const auto shard = open_webdataset(shards), rows = open_table(table);
  CHECK(shard->size() == 3);
  expect(*shard);
  expect(*rows);
}

TEST_CASE("a caption nested without a bound is refused by file and line where it is a folder's") {
  const TempDir dir;
  const std::string file = dir.write("c.jsonl",
                                     "\n"
                                     R"({"image": "a.png", "caption": )" +
                                         nested() + "}\n");
  CHECK(
      contains(refused("c.jsonl:2", [&] { open_folder(folder_of(dir, file)); }), "nested at most"));
}

TEST_CASE("texts nested without a bound are left out of NLVR2 and SNLI-VE") {
  const TempDir dir;
  Nlvr2Settings pairs;
  pairs.pictures = dir.path();
  pairs.path =
      dir.write("dev.json", R"({"identifier": "dev-1-0-0", "label": "True", "sentence": "one"})"
                            "\n"
                            R"({"identifier": "dev-1-0-1", "label": "True", "sentence": )" +
                                nested() + "}\n" +
                                R"({"identifier": "dev-1-0-1", "sentence": "x", "label": )" +
                                nested() + "}\n");
  const auto nlvr2 = open_nlvr2(pairs);
  CHECK(nlvr2->size() == 1);
  CHECK(nlvr2->left_out().size() == 2);

  SnliVeSettings sentences;
  sentences.pictures = dir.path();
  const std::string row = R"({"gold_label": "neutral", "Flickr30K_ID": "1", "sentence2": )";
  sentences.path = dir.write("dev.jsonl", row + "\"one\"}\n" + row + nested() + "}\n");
  const auto snli_ve = open_snli_ve(sentences);
  CHECK(snli_ve->size() == 1);
  CHECK(snli_ve->left_out().size() == 1);
}

TEST_CASE("answers and boxes nested without a bound are refused by the file's name") {
  const TempDir dir;
  for (const std::string& text :
       {"[\"yes\", " + nested() + "]", nested(), R"({"yes": )" + nested() + "}"}) {
    const std::string file = dir.write("answers.json", text);
    refused("answers.json", [&] { read_answer_list(file); });
  }
  RefcocoSettings settings;
  settings.pictures = dir.path();
  const std::string ref = R"([{"ref_id": 1, "image_id": 1, "image": "a.jpg", "text": "one"}])";
  settings.path = dir.write("refs.json", ref);
  settings.proposals = dir.write("dets.json", R"({"1": )" + nested() + "}");
  refused("dets.json", [&] { open_refcoco(settings); });
  settings.proposals.clear();
  settings.path =
      dir.write("refs.json", ref.substr(0, ref.size() - 2) + R"(, "caption": )" + nested() + "}]");
  refused("refs.json", [&] { open_refcoco(settings); });
}

}  // namespace foreign_files_test
