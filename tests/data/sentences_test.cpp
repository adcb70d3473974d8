// NLVR2, SNLI-VE and RefCOCO in the layouts of their releases.
#include "support.h"
#include "tandem/data/nlvr2.h"
#include "tandem/data/refcoco.h"
#include "tandem/data/snli_ve.h"

namespace sentences_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::test;

namespace {

std::string bytes_of(const Picture& picture) {
  return {picture.encoded.begin(), picture.encoded.end()};
}

std::array<double, 4> numbers_of(const Box& box) { return {box.x0, box.y0, box.x1, box.y1}; }

using Numbers = std::array<double, 4>;

}  // namespace

TEST_CASE("NLVR2's lines give two pictures and a sentence, in the order of the lines") {
  const TempDir dir;
  Nlvr2Settings settings;
  settings.path = dir.write(
      "dev.json",
      R"({"validation": {"2": "True"}, "sentence": "The right image shows a curving walkway of dark glass circles embedded in dirt and flanked by foliage.", "left_url": "https://h1/1.jpg", "writer": "57", "right_url": "https://h2/2.jpg", "synset": "bottle", "query": "bottles1", "identifier": "dev-850-0-0", "label": "True"})"
      "\n"
      R"({"sentence": "An image shows bottles.", "identifier": "dev-850-0-1", "label": "False", "writer": "57"})"
      "\n"
      R"({"sentence": "Something.", "identifier": "dev-851-3-0", "label": "maybe"})"
      "\n{\n");
  settings.pictures = dir / "dev";
  const std::string left = jpeg_of(pattern(10, 10, 1)), right = jpeg_of(pattern(12, 8, 2));
  dir.write("dev/dev-850-0-img0.png", left);  // many of the release's .png are JPEG files
  dir.write("dev/dev-850-0-img1.png", right);
  const auto source = open_nlvr2(settings);
  REQUIRE(source->size() == 2);
  const Sample first = source->read(0), second = source->read(1);
  CHECK(first.id == "dev-850-0-0");
  CHECK(first.label == 1);
  CHECK(first.texts.at(0).starts_with("The right image shows a curving walkway"));
  REQUIRE(first.pictures.size() == 2);
  CHECK(bytes_of(first.pictures[0]) == left);
  CHECK(bytes_of(first.pictures[1]) == right);
  CHECK(second.label == 0);
  CHECK(second.picture_id == first.picture_id);
  REQUIRE(source->left_out().size() == 2);
  CHECK(source->left_out()[0].where == (dir / "dev.json") + ":3");
  CHECK(source->left_out()[1].where == (dir / "dev.json") + ":4");
}

TEST_CASE("NLVR2's training pictures lie in numbered folders") {
  const TempDir dir;
  Nlvr2Settings settings;
  settings.path = dir.write(
      "train.json",
      R"({"sentence": "One.", "identifier": "train-10171-0-0", "directory": 37, "label": "True"})"
      "\n"
      R"({"sentence": "Two.", "identifier": "train-10172-0-0", "directory": 37, "label": "False"})");
  settings.pictures = dir.path();
  for (const std::string name : {"37/train-10171-0-img0.png", "37/train-10171-0-img1.png",
                                 "train-10172-0-img0.png", "train-10172-0-img1.png"}) {
    dir.write(name, png_of(pattern(6, 6, 1)));
  }
  const auto source = open_nlvr2(settings);
  CHECK(source->read(0).pictures.size() == 2);
  CHECK(source->read(1).pictures.size() == 2);
}

TEST_CASE("an identifier cannot lead out of the folder") {
  const TempDir dir;
  Nlvr2Settings settings;
  settings.path = dir.write(
      "dev.json", R"({"sentence": "One.", "identifier": "../dev-1-0-0", "label": "True"})");
  settings.pictures = dir.path();
  const Error error = error_of([&] { open_nlvr2(settings); });
  CHECK(error.kind() == ErrorKind::data);
  CHECK(contains(error.message(), "dev.json:1"));
}

TEST_CASE("SNLI-VE's lines give a picture and a hypothesis with ALBEF's labels") {
  const TempDir dir;
  const auto line = [](const std::string& gold, const std::string& id) {
    return R"json({"annotator_labels": ["neutral", "entailment"], "captionID": ")json" + id +
           R"json(.jpg#2", "gold_label": ")json" + gold + R"json(", "pairID": ")json" + id +
           R"json(.jpg#2r1n", "sentence1": "Two women are embracing.", )json"
           R"json("sentence1_binary_parse": "( Two women )", "sentence2": "The sisters are )json" +
           gold + R"json(.", "Flickr30K_ID": ")json" + id + "\"}\n";
  };
  SnliVeSettings settings;
  settings.path = dir.write("snli_ve_dev.jsonl",
                            line("neutral", "4705552913") + line("entailment", "4705552913") +
                                line("-", "4705552913") + line("contradiction", "1000092795"));
  settings.pictures = dir.path();
  const std::string picture = jpeg_of(pattern(10, 10, 1));
  dir.write("4705552913.jpg", picture);
  const auto source = open_snli_ve(settings);
  REQUIRE(source->size() == 3);
  const Sample first = source->read(0);
  CHECK(first.id == "4705552913.jpg#2r1n");
  CHECK(first.texts == std::vector<std::string>{"The sisters are neutral."});
  CHECK(first.label == 1);
  REQUIRE(first.pictures.size() == 1);
  CHECK(bytes_of(first.pictures[0]) == picture);
  CHECK(source->read(1).label == 2);
  CHECK(contains(error_of([&] { source->read(2); }).where(), "1000092795.jpg"));
  REQUIRE(source->left_out().size() == 1);
  CHECK(source->left_out()[0].where == (dir / "snli_ve_dev.jsonl") + ":3");
}

TEST_CASE("RefCOCO's JSON export gives a sample an expression, its box in pixels") {
  const TempDir dir;
  RefcocoSettings settings;
  settings.path = dir.write("refs.json", R"([
    {"sent_ids": [0, 1, 2], "file_name": "COCO_train2014_000000581857_16.jpg", "ann_id": 1719310,
     "ref_id": 0, "image_id": 581857, "split": "train", "category_id": 1,
     "bbox": [103.93, 299.99, 134.22, 177.42],
     "sentences": [{"tokens": ["navy", "blue", "shirt"], "raw": "navy blue shirt", "sent_id": 0,
                    "sent": "navy blue shirt"},
                   {"raw": "woman back in Blue", "sent": "woman back in blue"}]},
    {"ref_id": 1, "image": "COCO_train2014_000000581857.jpg", "split": "testA",
     "sentences": ["with umbrella"], "bbox": [10, 20, 30, 40]},
    {"ref_id": 2, "file_name": "COCO_train2014_000000581857.jpg", "split": "val",
     "sentences": ["no box"]}])");
  settings.pictures = dir.path();
  const std::string picture = jpeg_of(pattern(40, 50, 1));
  dir.write("COCO_train2014_000000581857.jpg", picture);
  const auto source = open_refcoco(settings);
  REQUIRE(source->size() == 3);
  const Sample first = source->read(0);
  CHECK(first.id == "0/0");
  CHECK(first.texts == std::vector<std::string>{"navy blue shirt"});
  CHECK(first.kind == "train");
  REQUIRE(first.boxes.size() == 1);
  CHECK(first.boxes[0].x0 == Approx(103.93));
  CHECK(first.boxes[0].x1 == Approx(238.15));
  CHECK(first.boxes[0].y1 == Approx(477.41));
  CHECK(bytes_of(first.pictures.at(0)) == picture);
  CHECK(source->read(1).texts[0] == "woman back in blue");
  CHECK(source->read(2).id == "1/0");
  CHECK(numbers_of(source->read(2).boxes.at(0)) == Numbers{10, 20, 40, 60});
  REQUIRE(source->left_out().size() == 1);
  CHECK(contains(source->left_out()[0].where, "refs.json: [2]"));

  settings.split = {"testA"};
  CHECK(open_refcoco(settings)->size() == 1);
}

TEST_CASE("ALBEF's lists take boxes from the refs and proposals from its detections") {
  const TempDir dir;
  RefcocoSettings settings;
  settings.path = dir.write("refcoco+_val.json", R"([
    {"image": "train2014/COCO_train2014_000000581857.jpg", "text": "navy blue shirt", "ref_id": 7},
    {"image": "train2014/COCO_train2014_000000581857.jpg", "text": "nobody", "ref_id": 8}])");
  settings.boxes = dir.write("refs.json", R"({"refs": [
    {"ref_id": 7, "image_id": 581857, "split": "testB", "bbox": [1, 2, 3, 4],
     "file_name": "COCO_train2014_000000581857_16.jpg", "sentences": []}]})");
  settings.proposals =
      dir.write("dets.json", R"({"581857": [[0, 0, 5, 5, 0.9], [1, 2, 3, 4, 0.8]], "9": []})");
  settings.pictures = dir.path();
  dir.write("train2014/COCO_train2014_000000581857.jpg", jpeg_of(pattern(10, 10, 1)));
  const auto source = open_refcoco(settings);
  REQUIRE(source->size() == 2);
  const Sample first = source->read(0);
  CHECK(first.texts.at(0) == "navy blue shirt");
  CHECK(first.kind == "testB");
  CHECK(numbers_of(first.boxes.at(0)) == Numbers{1, 2, 4, 6});
  REQUIRE(first.proposals.size() == 2);
  CHECK(numbers_of(first.proposals[1]) == Numbers{1, 2, 4, 6});
  CHECK(first.pictures.size() == 1);
  CHECK(source->read(1).boxes.empty());
}

TEST_CASE("RefCOCO's files that hold nothing of use are refused") {
  const TempDir dir;
  for (const std::string text : {"", "3", "[]", "[{}]", R"([{"ref_id": 1, "sentences": ["a"]}])",
                                 R"([{"ref_id": 1, "image": "../a.jpg", "text": "a"}])",
                                 R"([{"ref_id": 1, "image": "a.jpg", "bbox": [0, 0, 0, 4],
                                      "sentences": ["a"]}])"}) {
    RefcocoSettings settings;
    settings.path = dir.write("refs.json", text);
    settings.pictures = dir.path();
    const Error error = error_of([&] { open_refcoco(settings); });
    CHECK(error.kind() == ErrorKind::data);
    CHECK(contains(error.where() + error.message(), "refs.json"));
  }
}

}  // namespace sentences_test
