// Captions written and judged by a model that is told what to say.

#include "tandem/jobs/capfilt.h"

#include <ATen/ops/full.h>
#include <ATen/ops/where.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "../eval/support.h"
#include "../support/temporary.h"
#include "tandem/base/files.h"
#include "tandem/data/judged.h"
#include "tandem/data/webdataset.h"
#include "tandem/data/written_shard.h"
#include "tandem/vision/decode.h"
#include "tandem/vision/encode.h"

namespace capfilt_test {

using namespace tandem;
using namespace tandem::jobs;

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// Texts are told by the number in the sample's id; "wrong" ones match with 0.2, others with 0.9.
class TellingModel final : public eval::AbleModel {
 public:
  models::Abilities abilities() override {
    models::Abilities can;
    can.generate = [this](const Batch& prompts, const models::GenerateOptions& options) {
      ++calls;
      std::vector<std::vector<std::int64_t>> ids;
      for (std::int64_t i = 0; i < prompts.text->ids.size(0); ++i) {
        // A draw under the row's key: the same however the work is shared.
        const auto drawn = Random(options.keys.at(static_cast<std::size_t>(i))).below(100);
        ids.push_back(
            {prompts.text->ids[i][0].item<std::int64_t>(), static_cast<std::int64_t>(drawn)});
      }
      return ids;
    };
    can.match = [](const Batch& batch) {
      return at::where(batch.text->ids.select(1, 0).eq(1), at::full({}, 0.2), at::full({}, 0.9));
    };
    return can;
  }
  int calls = 0;
};

struct Setting {
  TellingModel model{};
  models::Processor processor{};
  dist::Mesh mesh{};
  testing::TemporaryDirectory temporary{};
  std::shared_ptr<eval::GivenSource> web{};

  Setting() {
    std::vector<data::Sample> samples;
    for (int i = 0; i < 7; ++i) {
      samples.push_back(eval::coloured(i == 3 ? "broken" : "s" + std::to_string(i), i, "0000ff",
                                       {i % 2 == 0 ? "true words" : "wrong words"}, i % 2 == 0));
      samples.back().kind = i % 2 == 0 ? "true" : i == 1 ? "another scene" : "one change";
    }
    web = std::make_shared<eval::GivenSource>(std::move(samples));
    processor.prompt = [](const data::Sample& sample, const std::string&) {
      return row_of(sample.id == "broken" ? 0 : std::stoll(sample.id.substr(1)));
    };
    processor.prepare = [](const data::Sample& sample, Key, bool) {
      return row_of(sample.texts.at(0).starts_with("wrong") ? 1 : 0);
    };
    processor.decode = [](const std::vector<std::int64_t>& ids) {
      return ids.at(0) == 5 ? " "
                            : "picture " + std::to_string(ids[0]) + " " + std::to_string(ids[1]);
    };
  }

  static Batch row_of(std::int64_t number) {
    Batch batch;
    batch.text = Tokens{};
    batch.text->ids = at::full({1, 1}, number, at::kLong);
    batch.text->mask = at::full({1, 1}, 1, at::kLong);
    return batch;
  }

  fs::path folder(const std::string& name) const { return temporary.path() / name; }

  CapfiltJob job(const std::string& name) {
    CapfiltJob job;
    job.name = name;
    job.model = &model;
    job.processor = &processor;
    job.inputs = {{"web", web}};
    job.folder = folder(name);
    job.batch = 2;
    job.part = 3;  // two batches
    job.threads = 1;
    job.mesh = &mesh;
    job.generate.sample = true;
    return job;
  }
};

std::map<std::string, std::string> files_of(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    files[entry.path().filename().string()] = read_file(entry.path(), 1 << 20);
  }
  return files;
}

std::vector<Json> lines_of(const fs::path& folder) {
  std::vector<Json> lines;
  for (const auto& [name, text] : files_of(folder)) {
    if (!name.ends_with(".jsonl")) continue;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(Json::parse(line));
  }
  return lines;
}

}  // namespace

TEST_CASE("a job writes a caption for every picture and says of each what became of it") {
  Setting setting;
  write_captions(setting.job("own"));
  const std::vector<Json> lines = lines_of(setting.folder("own"));
  REQUIRE(lines.size() == 7);
  for (std::size_t i = 0; i < 7; ++i) {
    CHECK(lines[i].at("source") == "web");
    CHECK(lines[i].at("index") == i);
    CHECK(lines[i].at("from") == "own");
    CHECK(lines[i].at("kept") == (i != 3 && i != 5));
  }
  CHECK(lines[2].at("text").get<std::string>().starts_with("picture 2 "));
  CHECK(lines[2].at("why") == "written");
  CHECK(lines[5].at("why") == "no words");
  CHECK(lines[3].at("why").get<std::string>().find("cannot be read") != std::string::npos);
  const Json summary = Json::parse(read_file(setting.folder("own") / "summary.json", 1 << 20));
  CHECK(summary.at("own").at("captions") == 7);
  CHECK(summary.at("own").at("kept") == 5);
  CHECK(is_finished(setting.folder("own")));
  const int calls = setting.model.calls;
  write_captions(setting.job("own"));
  CHECK(setting.model.calls == calls);  // nothing is done twice
}

TEST_CASE("a job that was stopped goes on and ends in the same bytes") {
  Setting setting;
  write_captions(setting.job("whole"));
  struct Stop {};
  CapfiltJob stopped = setting.job("whole");  // the name stands in the lines
  stopped.folder = setting.folder("stopped");
  int parts = 0;
  stopped.between = [&] {
    if (parts++ == 1) throw Stop{};
  };
  CHECK_THROWS_AS(write_captions(stopped), Stop);
  CHECK_FALSE(is_finished(stopped.folder));
  CHECK(files_of(stopped.folder).size() == 1);
  write_captions(stopped);
  CHECK(files_of(stopped.folder) == files_of(setting.folder("whole")));
}

TEST_CASE("what is kept stands in tar files, too, as pictures with their captions") {
  Setting setting;
  CapfiltJob job = setting.job("whole");
  job.shards = true;
  write_captions(job);
  std::vector<Json> kept;
  for (const Json& line : lines_of(job.folder)) {
    if (line.at("kept").get<bool>()) kept.push_back(line);
  }
  data::WebdatasetSettings settings;
  settings.path = (job.folder / "{000000..000001}.tar").string();
  settings.index = setting.folder("indices").string();
  const auto shards = data::open_webdataset(settings);
  REQUIRE(shards->size() == 5);
  REQUIRE(kept.size() == 5);
  for (std::int64_t i = 0; i < 5; ++i) {
    const data::Sample sample = shards->read(i);
    const Json& line = kept[static_cast<std::size_t>(i)];
    CHECK(sample.texts == std::vector<std::string>{line.at("text").get<std::string>()});
    const vision::Image own =
        setting.web->read(line.at("index").get<std::int64_t>()).pictures.at(0).pixels;
    CHECK(vision::decode(sample.pictures.at(0).encoded).rgb == own.rgb);
  }
  CHECK(shards->read(3).id == "000001.tar/000001_000000");

  // A part whose tar is not there was cut off: it is made again, to the same bytes.
  const auto whole = files_of(job.folder);
  CHECK(whole.size() == 5);  // two parts and the summary
  fs::remove(job.folder / "summary.json");
  fs::remove(job.folder / "000000.tar");
  const int calls = setting.model.calls;
  write_captions(job);
  CHECK(setting.model.calls == calls + 2);
  CHECK(files_of(job.folder) == whole);
}

TEST_CASE("pictures that are encoded already go into a tar as they are") {
  testing::TemporaryDirectory temporary;
  data::Picture png, other;
  const std::string bytes =
      vision::encode_png(eval::coloured("a", 0, "00ff00", {"b"}, 1).pictures[0].pixels);
  png.encoded.assign(bytes.begin(), bytes.end());
  other.encoded = {'G', 'I', 'F'};
  replace_file(temporary.path() / "a.tar", 0, [&](FileWriter& file) {
    data::ShardWriter shard(file);
    shard.add("one", png, "a caption", "{}");
    CHECK_THROWS_WITH(shard.add("two", other, "", ""), Catch::Contains("a JPEG, a PNG or a WebP"));
    shard.finish();
  });
  data::WebdatasetSettings settings;
  settings.path = (temporary.path() / "a.tar").string();
  const auto shard = data::open_webdataset(settings);
  REQUIRE(shard->size() == 1);
  CHECK(shard->read(0).pictures.at(0).encoded == png.encoded);
  CHECK(read_file(temporary.path() / "a.tar", 1 << 20).size() % 512 == 0);
}

TEST_CASE("a filter keeps what matches, and its summary knows the kinds of wrong captions") {
  Setting setting;
  write_captions(setting.job("own"));
  CapfiltJob job = setting.job("kept");
  const std::vector<data::NamedSource> bases{{"web", setting.web}};
  const std::shared_ptr<const data::Source> own = data::open_judged(setting.folder("own"), bases);
  CHECK(own->size() == 5);
  job.inputs.push_back({"own", own});
  filter_captions(job);
  const std::vector<Json> lines = lines_of(setting.folder("kept"));
  REQUIRE(lines.size() == 12);
  CHECK(lines[1].at("kept") == false);
  CHECK(lines[1].at("why") == "match 0.200 is not above 0.500");
  CHECK(lines[1].at("kind") == "another scene");
  CHECK(lines[2].at("kept") == true);
  // A caption of the model's own keeps the place of its picture.
  CHECK(lines[11].at("source") == "web");
  CHECK(lines[11].at("from") == "own");
  CHECK(lines[11].at("index") == 6);
  CHECK_FALSE(lines[11].contains("label"));
  const Json summary = Json::parse(read_file(setting.folder("kept") / "summary.json", 1 << 20));
  CHECK(summary.at("web").at("captions") == 7);
  CHECK(summary.at("web").at("kept") == 4);
  CHECK(summary.at("web").at("kinds").at("another scene").at("auc") == 1.0);
  CHECK(summary.at("web").at("kinds").at("true").at("kept") == 1.0);
  CHECK(summary.at("own").at("kept") == 5);

  // Pictures with all their kept captions, in the order of the source.
  const auto kept = data::open_judged(setting.folder("kept"), bases);
  REQUIRE(kept->size() == 5);  // 0, 1 (own), 2, 4, 6
  CHECK(kept->origin(1).index == 1);
  CHECK(kept->read(1).texts.size() == 1);
  CHECK(kept->read(0).texts.size() == 2);
  CHECK(kept->read(0).texts[0] == "true words");
  CHECK(kept->read(0).picture_id == 0);
  CHECK(kept->read(0).pictures.size() == 1);
  CHECK(kept->read(0).label == -1);
}

TEST_CASE("a filter judges every text of a picture, on any number of parts and resumed") {
  Setting setting;
  std::vector<data::Sample> samples;
  for (int i = 0; i < 5; ++i) {
    const std::string number = std::to_string(i);
    std::vector<std::string> texts{"true " + number, "wrong " + number, "true again " + number};
    if (i == 1) texts.resize(1);
    if (i == 4) texts = {"wrong 4", "wrong once more"};
    samples.push_back(
        eval::coloured(i == 3 ? "broken" : "s" + number, i, "0000ff", std::move(texts)));
  }
  setting.web = std::make_shared<eval::GivenSource>(std::move(samples));
  filter_captions(setting.job("kept"));
  const std::vector<Json> lines = lines_of(setting.folder("kept"));
  const std::vector<std::pair<int, std::string>> expected{
      {0, "true 0"},  {0, "wrong 0"},        {0, "true again 0"}, {1, "true 1"},
      {2, "true 2"},  {2, "wrong 2"},        {2, "true again 2"}, {3, ""},
      {4, "wrong 4"}, {4, "wrong once more"}};
  REQUIRE(lines.size() == expected.size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    CHECK(lines[i].at("index") == expected[i].first);
    CHECK(lines[i].at("text") == expected[i].second);
    CHECK(lines[i].at("kept") == expected[i].second.starts_with("true"));
  }
  CHECK(lines[7].at("why").get<std::string>().find("cannot be read") != std::string::npos);
  const Json summary = Json::parse(read_file(setting.folder("kept") / "summary.json", 1 << 20));
  CHECK(summary.at("web").at("captions") == 10);
  CHECK(summary.at("web").at("kept") == 5);

  const auto kept = data::open_judged(setting.folder("kept"), {{"web", setting.web}});
  REQUIRE(kept->size() == 3);
  CHECK(kept->read(0).texts == std::vector<std::string>{"true 0", "true again 0"});
  CHECK(kept->read(2).texts == std::vector<std::string>{"true 2", "true again 2"});

  // Another job judges what is kept here: again all of it.
  CapfiltJob again = setting.job("again");
  again.inputs = {{"kept", data::open_judged(setting.folder("kept"), {{"web", setting.web}})}};
  filter_captions(again);
  CHECK(lines_of(setting.folder("again")).size() == 5);

  struct Stop {};
  CapfiltJob stopped = setting.job("kept");
  stopped.folder = setting.folder("stopped");
  int parts = 0;
  stopped.between = [&] {
    if (parts++ == 1) throw Stop{};
  };
  CHECK_THROWS_AS(filter_captions(stopped), Stop);
  CHECK(files_of(stopped.folder).size() == 1);
  filter_captions(stopped);
  CHECK(files_of(stopped.folder) == files_of(setting.folder("kept")));

  CapfiltJob shards = setting.job("kept");
  shards.folder = setting.folder("shards");
  shards.shards = true;
  filter_captions(shards);
  data::WebdatasetSettings settings;
  settings.path = (shards.folder / "000000.tar").string();  // of the other nothing is kept
  settings.index = setting.folder("indices").string();
  const auto written = data::open_webdataset(settings);
  REQUIRE(written->size() == 5);
  CHECK(written->read(1).texts == std::vector<std::string>{"true again 0"});
}

TEST_CASE("judged captions: lines of another kind are refused by file and line") {
  Setting setting;
  const fs::path folder = setting.folder("given");
  make_directories(folder);
  const std::vector<data::NamedSource> bases{{"web", setting.web}};
  const auto refused = [&](const std::string& line, const std::string& part) {
    replace_file(folder / "000000.jsonl", line + "\n");
    CHECK_THROWS_WITH(data::open_judged(folder, bases), Catch::Contains(part));
  };
  refused("nonsense", "000000.jsonl:1");
  refused(R"({"source": "web", "index": 0, "text": "a"})", "expected an object with");
  refused(R"({"source": "net", "index": 0, "text": "a", "kept": true})", "net 0");
  refused(R"({"source": "web", "index": 7, "text": "a", "kept": true})", "web 7");
  refused(R"({"source": "web", "index": 0, "text": "a", "kept": false})", "got none");
}

TEST_CASE("jobs need models that can do them") {
  Setting setting;
  eval::ColourModel mute;
  CapfiltJob job = setting.job("none");
  job.model = &mute;
  CHECK_THROWS_WITH(write_captions(job), Catch::Contains("a model that writes"));
  CHECK_THROWS_WITH(filter_captions(job), Catch::Contains("a model that matches"));
}

}  // namespace capfilt_test
