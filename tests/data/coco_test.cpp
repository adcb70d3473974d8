#include "tandem/data/coco.h"

#include "support.h"

namespace coco_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::test;

namespace {

using Texts = std::vector<std::string>;

CocoSettings settings_of(const std::string& path, const std::string& pictures) {
  CocoSettings settings;
  settings.path = path;
  settings.pictures = pictures;
  return settings;
}

// As in annotations_trainval2014.zip: all on one line.
constexpr const char* captions_train2014 =
    R"({"info": {"description": "COCO 2014 Dataset", "url": "http://cocodataset.org", )"
    R"("version": "1.0", "year": 2014, "contributor": "COCO Consortium", )"
    R"("date_created": "2017/09/01"}, "images": [{"license": 5, )"
    R"("file_name": "COCO_train2014_000000057870.jpg", )"
    R"("coco_url": "http://images.cocodataset.org/train2014/COCO_train2014_000000057870.jpg", )"
    R"("height": 480, "width": 640, "date_captured": "2013-11-14 16:28:13", )"
    R"("flickr_url": "http://farm4.staticflickr.com/3153/2970773875_164f0c0b83_z.jpg", )"
    R"("id": 57870}, {"license": 5, "file_name": "COCO_train2014_000000384029.jpg", )"
    R"("height": 429, "width": 640, "id": 384029}], "licenses": [{"url": )"
    R"("http://creativecommons.org/licenses/by-nc-sa/2.0/", "id": 1, "name": "A licence"}], )"
    R"("annotations": [{"image_id": 384029, "id": 48, "caption": "A bike by a door."}, )"
    R"({"image_id": 57870, "id": 129, "caption": "A restaurant has modern wooden tables."}, )"
    R"({"image_id": 57870, "id": 219, "caption": "A long table with \"rattan\" chairs. "}]})";

constexpr const char* dataset_coco =
    R"({"images": [{"filepath": "val2014", "sentids": [770337, 771687], )"
    R"("filename": "COCO_val2014_000000391895.jpg", "imgid": 0, "split": "test", "sentences": )"
    R"([{"tokens": ["a", "man"], "raw": "A man with a red helmet.", "imgid": 0, "sentid": 770337}, )"
    R"({"tokens": ["man"], "raw": "Man riding a moped.", "imgid": 0, "sentid": 771687}], )"
    R"("cocoid": 391895}, {"filepath": "train2014", "sentids": [1], "filename": )"
    R"("COCO_train2014_000000000009.jpg", "imgid": 1, "split": "train", "sentences": [{"tokens": )"
    R"(["food"], "raw": "Food.", "imgid": 1, "sentid": 1}], "cocoid": 9}, {"filepath": "val2014", )"
    R"("sentids": [2], "filename": "COCO_val2014_000000000042.jpg", "imgid": 2, "split": )"
    R"("restval", "sentences": [{"tokens": ["shoes"], "raw": "Shoes.", "imgid": 2, "sentid": 2}], )"
    R"("cocoid": 42}], "dataset": "coco"})";

}  // namespace

TEST_CASE("COCO's captions are all captions of a picture, in the file's order") {
  const TempDir dir;
  dir.write("train2014/COCO_train2014_000000057870.jpg", jpeg_of(pattern(8, 6, 1)));
  const auto source = open_coco(
      settings_of(dir.write("captions_train2014.json", captions_train2014), dir / "train2014"));
  REQUIRE(source->size() == 2);
  const Sample first = source->read(0);
  CHECK(first.id == "COCO_train2014_000000057870.jpg");
  CHECK(first.texts ==
        Texts{"A restaurant has modern wooden tables.", "A long table with \"rattan\" chairs."});
  CHECK(first.pictures.at(0).encoded.size() == jpeg_of(pattern(8, 6, 1)).size());
  const Error missing = error_of([&] { source->read(1); });
  CHECK(missing.kind() == ErrorKind::data);
  CHECK(missing.where() == "COCO_train2014_000000384029.jpg");
  CHECK(source->left_out().empty());
}

TEST_CASE("Karpathy's split of COCO gives the pictures of the splits that are named") {
  const TempDir dir;
  CocoSettings settings = settings_of(dir.write("dataset_coco.json", dataset_coco), dir.path());
  dir.write("train2014/COCO_train2014_000000000009.jpg", "x");
  dir.write("val2014/COCO_val2014_000000000042.jpg", "x");
  dir.write("val2014/COCO_val2014_000000391895.jpg", "x");
  CHECK(open_coco(settings)->size() == 3);
  settings.split = {"train", "restval"};
  const auto train = open_coco(settings);
  REQUIRE(train->size() == 2);
  CHECK(train->read(0).id == "train2014/COCO_train2014_000000000009.jpg");
  CHECK(train->read(1).texts == Texts{"Shoes."});
  settings.split = {"test"};
  CHECK(open_coco(settings)->read(0).texts ==
        Texts{"A man with a red helmet.", "Man riding a moped."});
  settings.split = {"nothing"};
  CHECK(error_of([&] { open_coco(settings); }).kind() == ErrorKind::data);
}

TEST_CASE("Karpathy's split of Flickr30k has no folders in it") {
  const TempDir dir;
  const std::string file = dir.write(
      "dataset_flickr30k.json",
      R"({"images": [{"sentids": [0, 1], "imgid": 0, "sentences": [{"tokens": ["two"], "raw": )"
      R"("Two young guys.", "imgid": 0, "sentid": 0}, {"tokens": ["two"], "raw": "Two men.", )"
      R"("imgid": 0, "sentid": 1}], "split": "train", "filename": "1000092795.jpg"}], )"
      R"("dataset": "flickr30k"})");
  dir.write("flickr30k-images/1000092795.jpg", "x");
  const auto source = open_coco(settings_of(file, dir / "flickr30k-images"));
  CHECK(source->read(0).id == "1000092795.jpg");
  CHECK(source->read(0).texts == Texts{"Two young guys.", "Two men."});
}

TEST_CASE("lists of pictures and captions, with one or several of them, are read") {
  const TempDir dir;
  dir.write("val2014/a.jpg", "x");
  dir.write("val2014/b.jpg", "x");
  const auto source = open_coco(settings_of(
      dir.write("coco_karpathy_train.json",
                R"([{"caption": "One.", "image": "val2014/a.jpg", "image_id": "coco_1"},)"
                "\n"
                R"({"image": "val2014/b.jpg", "caption": ["Two.", "Three."]},)"
                R"({"caption": "Four.", "image": "val2014/a.jpg", "image_id": "coco_1"}])"),
      dir.path()));
  REQUIRE(source->size() == 2);
  CHECK(source->read(0).texts == Texts{"One.", "Four."});
  CHECK(source->read(1).texts == Texts{"Two.", "Three."});
}

TEST_CASE("what cannot be used of a COCO file is left out and named") {
  const TempDir dir;
  const auto source = open_coco(settings_of(
      dir.write("c.json",
                R"({"annotations": [{"image_id": 7, "caption": "Lost."}, {"caption": "No id."},)"
                R"({"image_id": 1, "caption": 5}, {"image_id": 1, "caption": "Good."},)"
                R"({"image_id": 1, "caption": "  "}, {"image_id": 2, "caption": "Out."}],)"
                R"("images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": )"
                R"("../b.jpg"}, {"id": "x", "file_name": "c.jpg"}, {"id": 1, "file_name": "d"}]})"),
      dir.path()));
  CHECK(source->size() == 1);
  CHECK(source->left_out().size() == 7);
  std::string all;
  for (const Finding& one : source->left_out()) all += one.where + " " + one.what + "\n";
  CHECK(contains(all, "c.json: annotations[0] expected the image_id of an image; got 7"));
  CHECK(contains(all,
                 "c.json: annotations[5] expected a picture's name below the folder; got a "
                 "name with '..'"));
  CHECK(contains(all, "c.json: images[3]"));
}

TEST_CASE("files that are no COCO captions are refused with their name") {
  const TempDir dir;
  const std::string deep(100'000, '[');
  for (const std::string& text :
       {std::string("{"), std::string(""), std::string("5"), std::string("{}"), std::string("[]"),
        std::string(R"({"images": {"id": 1}, "annotations": 5})"), deep, R"({"images": )" + deep,
        std::string(R"([{"image": "a.jpg"}])"), std::string("{\"images\": \"\xFF\"}"),
        std::string("[[[[]]]]")}) {
    const std::string file = dir.write("c.json", text);
    const Error error = error_of([&] { open_coco(settings_of(file, dir.path())); });
    INFO(text.substr(0, 40));
    CHECK(error.kind() == ErrorKind::data);
    CHECK(contains(error.where(), "c.json"));
  }
  CocoSettings settings = settings_of(dir.write("d.json", captions_train2014), dir.path());
  settings.split = {"train"};
  CHECK(error_of([&] { open_coco(settings); }).kind() == ErrorKind::config);
}

}  // namespace coco_test
