#include "support.h"
#include "tandem/data/folder.h"
#include "tandem/data/source.h"
#include "tandem/data/webdataset.h"

namespace formats_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::test;

TEST_CASE("every format has settings of its own under its name") {
  const SettingsTable& table = source_formats();
  CHECK(table.names == std::vector<std::string>{"coco", "conceptual_captions", "dialogue",
                                                "flickr30k", "folder", "nlvr2", "pictures",
                                                "refcoco", "science_qa", "snli_ve", "table", "text",
                                                "visual_genome_qa", "vqa", "webdataset", "world"});
  for (const std::string& name : table.names) CHECK(table.make(name) != nullptr);
  CHECK(table.make("nothing") == nullptr);
}

TEST_CASE("an unknown format is refused with those that there are") {
  const auto settings = source_formats().make("world");
  const Error error = error_of([&] { open_source("floder", *settings); });
  CHECK(error.kind() == ErrorKind::config);
  CHECK(contains(error.message(),
                 "folder, nlvr2, pictures, refcoco, science_qa, snli_ve, table, text"));
  CHECK(contains(error.message(), "floder"));
}

TEST_CASE("settings of one format given to another are an error of ours") {
  const auto settings = source_formats().make("world");
  CHECK(error_of([&] { open_source("folder", *settings); }).kind() == ErrorKind::internal);
}

}  // namespace formats_test
