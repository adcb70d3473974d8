// Phrases, their balance, and the list for pre-training that is made of them.

#include "tandem/data/pretrain_list.h"

#include <nlohmann/json.hpp>
#include <set>

#include "data/noun_phrases.h"
#include "support.h"
#include "tandem/base/files.h"
#include "tandem/data/coco.h"
#include "tandem/data/dialogue.h"
#include "tandem/data/world/source.h"
#include "tandem/text/pretrain_recipe.h"

namespace pretrain_list_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::test;

namespace {

using Json = nlohmann::json;
using Phrases = std::vector<std::string>;

std::vector<std::int64_t> kept_of(const std::vector<std::string>& captions,
                                  const BalanceRules& rules) {
  ConceptBalance balance;
  for (const std::string& caption : captions) balance.add(caption);
  return balance.balanced(rules).kept;
}

// A list of captioned pictures N.png, of which every third shares its picture's bytes.
std::unique_ptr<Source> captioned(const TempDir& dir, const std::vector<std::string>& captions) {
  Json list = Json::array();
  for (std::size_t i = 0; i < captions.size(); ++i) {
    const std::string name = "set/" + std::to_string(i) + ".png";
    dir.write("pictures/" + name, png_of(pattern(4, 4, static_cast<int>(i))));
    list.push_back({{"image", name}, {"caption", captions[i]}});
  }
  CocoSettings settings;
  settings.path = dir.write("captions.json", list.dump());
  settings.pictures = dir / "pictures";
  return open_coco(settings);
}

PretrainListJob job_of(const TempDir& dir, std::shared_ptr<const Source> source) {
  PretrainListJob job;
  job.inputs = {{"web", std::move(source)}};
  job.folder = dir / "out";
  const auto& requests = text::llava_pretrain.requests;
  job.requests.assign(requests.begin(), requests.end());
  return job;
}

}  // namespace

TEST_CASE("phrases are what is left between determiners, prepositions, verbs and punctuation") {
  CHECK(noun_phrases("A man riding a brown horse on the beach") ==
        Phrases{"beach", "brown horse", "man"});
  CHECK(noun_phrases("the old church, covered with snow; it's winter") ==
        Phrases{"old church", "snow", "winter"});
  CHECK(noun_phrases("a swimming pool in the building") == Phrases{"building", "swimming pool"});
  CHECK(noun_phrases("woman dressed in red standing near a painted wall") ==
        Phrases{"painted wall", "woman"});
  CHECK(noun_phrases("a view of the city 's skyline") == Phrases{"city 's skyline", "view"});
  CHECK(noun_phrases("Dogs and dogs and DOGS") == Phrases{"dogs"});
  CHECK(noun_phrases("two of the 3 red") == Phrases{});
  CHECK(noun_phrases("three dogs slowly walking") == Phrases{"three dogs"});
  CHECK(noun_phrases("Caf\xc3\xa9 \xc3\x89toile, a family-owned caf\xc3\xa9") ==
        Phrases{"caf\xc3\xa9 \xc3\xa9toile", "family-owned caf\xc3\xa9"});
  CHECK(noun_phrases("the child\xe2\x80\x99s toy") == Phrases{"child's toy"});
  CHECK(noun_phrases("") == Phrases{});
}

TEST_CASE("captions stay with a phrase that is common enough; of a frequent one some are drawn") {
  // "dog" 3, "tree" 2, "cat" 6.
  const std::vector<std::string> captions{"a dog", "the tree", "a cat", "a dog",
                                          "a cat", "the tree", "a cat", "a dog by a cat",
                                          "a cat", "a cat",    "and of"};
  CHECK(kept_of(captions, {3, 100, 0}) == std::vector<std::int64_t>{0, 2, 3, 4, 6, 7, 8, 9});
  CHECK(kept_of(captions, {4, 100, 0}) == std::vector<std::int64_t>{2, 4, 6, 7, 8, 9});
  CHECK(kept_of(captions, {7, 100, 0}).empty());
  const auto some = kept_of(captions, {4, 2, 0});
  CHECK(some.size() == 2);
  CHECK(some == kept_of(captions, {4, 2, 0}));
  std::set<std::vector<std::int64_t>> drawn;
  for (std::uint64_t seed = 0; seed < 20; ++seed) drawn.insert(kept_of(captions, {4, 2, seed}));
  CHECK(drawn.size() > 5);  // of 15
  ConceptBalance balance;
  for (const std::string& caption : captions) balance.add(caption);
  const Balance made = balance.balanced({3, 5, 0});
  CHECK(made.phrases == 3);
  CHECK(made.rare == 1);
  CHECK(made.frequent == 1);
  // All dogs, and five of the cats, of which one may be the dog's.
  CHECK((made.kept.size() == 7 || made.kept.size() == 8));
}

TEST_CASE("at most a hundred captions of a phrase, whatever its number") {
  std::vector<std::string> captions(1000, "a dog");
  for (int i = 0; i < 150; ++i) captions.push_back("the lighthouse");
  for (int i = 0; i < 40; ++i) captions.push_back("an owl");
  ConceptBalance balance;
  for (const std::string& caption : captions) balance.add(caption);
  const Balance made = balance.balanced({});
  CHECK(made.kept.size() == 100 + 100 + 40);
  CHECK(made.frequent == 2);
}

TEST_CASE("the list is dialogues of one turn that name the pictures where they are") {
  const TempDir dir;
  const std::vector<std::string> captions{"a dog", "a \"dog\" runs", "an owl", "dogs", "the dog"};
  const std::shared_ptr<const Source> source = captioned(dir, captions);
  const PretrainListJob job = job_of(dir, source);
  const PretrainList made = write_pretrain_list(job);
  CHECK(made.written == 3);
  CHECK(made.samples == 5);
  CHECK(made.bad == 0);
  CHECK_FALSE(made.wrote_pictures);
  const std::string text = read_file(dir / "out/data.json", 1 << 20);
  const Json list = Json::parse(text);
  REQUIRE(list.size() == 3);
  const std::vector<std::size_t> places{0, 1, 4};
  std::set<std::string> requests(job.requests.begin(), job.requests.end());
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(list[i]["id"] == "00000000" + std::to_string(places[i]));
    CHECK(list[i]["image"] == "set/" + std::to_string(places[i]) + ".png");
    const Json& turns = list[i]["conversations"];
    REQUIRE(turns.size() == 2);
    CHECK(turns[0]["from"] == "human");
    std::string asked = turns[0]["value"];
    const bool before = asked.starts_with("<image>\n");
    REQUIRE((before || asked.ends_with("\n<image>")));
    asked = before ? asked.substr(8) : asked.substr(0, asked.size() - 8);
    CHECK(requests.contains(asked));
    CHECK(turns[1]["value"] == captions[places[i]]);
  }
  write_pretrain_list(job);  // again: the same bytes
  CHECK(read_file(dir / "out/data.json", 1 << 20) == text);
  DialogueSettings dialogue;
  dialogue.path = dir / "out/data.json";
  dialogue.pictures = dir / "pictures";
  const auto read = open_dialogue(dialogue);
  REQUIRE(read->size() == 3);
  CHECK(read->read(2).pictures.at(0).encoded == source->read(4).pictures.at(0).encoded);
}

TEST_CASE("pictures that are no files, or are to be copied, are written once") {
  const TempDir dir;
  PretrainListJob job = job_of(dir, captioned(dir, {"a dog", "a dog", "a dog"}));
  job.copy = true;
  CHECK(write_pretrain_list(job).wrote_pictures);
  const std::string path = dir / "out/pictures/web/000000001.png";
  CHECK(read_file(path, 1 << 20) == read_file(dir / "pictures/set/1.png", 1 << 20));
  testing::put_file(path, "kept");
  write_pretrain_list(job);
  CHECK(read_file(path, 1 << 20) == "kept");

  world::WorldSettings settings;
  settings.size = 30;
  PretrainListJob drawn = job_of(dir, world::open_world(settings));
  drawn.folder = dir / "world";
  const PretrainList made = write_pretrain_list(drawn);
  CHECK(made.wrote_pictures);
  DialogueSettings dialogue;
  dialogue.path = dir / "world/data.json";
  dialogue.pictures = dir / "world/pictures";
  const auto read = open_dialogue(dialogue);
  CHECK(read->size() == made.written);
  CHECK(read->read(0).pictures.at(0).encoded.size() > 100);
  // Some are files and some are not.
  drawn.inputs.push_back(job.inputs[0]);
  CHECK(contains(error_of([&] { write_pretrain_list(drawn); }).message(), "got both"));
}

TEST_CASE("what cannot be read, and a list without anything in it") {
  const TempDir dir;
  const std::shared_ptr<const Source> source =
      captioned(dir, {"a dog", "a dog", "a dog", "a dog", "a cat"});
  std::filesystem::remove(dir / "pictures/set/1.png");
  const PretrainList made = write_pretrain_list(job_of(dir, source));
  CHECK(made.written == 3);
  CHECK(made.bad == 1);
  PretrainListJob none = job_of(dir, source);
  none.rules.least = 50;
  const Error error = error_of([&] { write_pretrain_list(none); });
  CHECK(error.kind() == ErrorKind::data);
  CHECK(contains(error.message(), "at least 50"));
}

}  // namespace pretrain_list_test
