#include "tandem/data/dialogue.h"

#include "../support/video.h"
#include "support.h"
#include "tandem/data/check.h"

namespace dialogue_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::test;

namespace {

// A file beside pictures a.png and b.png.
class Folder {
 public:
  Folder() {
    for (const std::string name : {"a", "b"}) dir.write(name + ".png", png_of(pattern(4, 4, 1)));
    dir.write("clips/c.mp4", "a clip");
  }
  std::unique_ptr<Source> open(const std::string& name, const std::string& text) const {
    DialogueSettings settings;
    settings.path = dir.write(name, text);
    return open_dialogue(settings);
  }
  TempDir dir{};
};

// "user: <0>what?" with pictures as <0>, clips as <c0>.
std::string told(const std::vector<Turn>& turns) {
  std::string all;
  for (const Turn& turn : turns) {
    all += (all.empty() ? "" : "|") + turn.role + ": ";
    for (const text::Part& part : turn.parts) {
      if (part.kind == text::PartKind::text) {
        all += part.text;
      } else {
        all += (part.kind == text::PartKind::clip ? "<c" : "<") + std::to_string(part.index) + ">";
      }
    }
  }
  return all;
}

// What reading a sample throws.
std::string refusal(const Source& source, std::int64_t index) {
  try {
    source.read(index);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::data);
    return error.message() + " at " + error.where();
  }
  return "nothing";
}

}  // namespace

TEST_CASE("conversations with tags, in a JSON list") {
  const Folder folder;
  const auto source = folder.open("list.json", R"([
  {"id": "1", "image": "a.png", "conversations": [
    {"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A <image>."},
    {"from": "human", "value": "Where?"}, {"from": "gpt", "value": "There."}]},
  {"id": "2", "conversations": [
    {"from": "gpt", "value": "Hello!"},
    {"from": "human", "value": "Say \"{\"."}, {"from": "gpt", "value": "{"}]},
  {"id": "3", "image": ["a.png", "b.png"], "video": "clips/c.mp4", "system": "Be short.",
   "conversations": [
    {"from": "human", "value": "<image>and <image> or <video>?"}, {"from": "gpt", "value": "No"}]}
])");
  REQUIRE(source->size() == 3);
  const Sample first = source->read(0);
  CHECK(told(first.turns) ==
        "user: <0>\nWhat?|assistant: A <image>.|user: Where?|assistant: There.");
  CHECK(first.turns[0].parts[1].tagged);
  CHECK_FALSE(first.turns[2].parts[0].tagged);
  CHECK(first.pictures.size() == 1);
  CHECK(first.id == (folder.dir / "list.json") + ":2 [0]");
  CHECK(told(source->read(1).turns) == "user: Say \"{\".|assistant: {");
  const Sample third = source->read(2);
  CHECK(told(third.turns) == "system: Be short.|user: <0>and <1> or <c0>?|assistant: No");
  CHECK(third.pictures.size() == 2);
  CHECK(third.clips.at(0).file == folder.dir / "clips/c.mp4");
  CHECK(third.id == (folder.dir / "list.json") + ":8 [2]");
}

TEST_CASE("JSON Lines, packed samples and pictures written into the text") {
  const Folder folder;
  const auto source = folder.open(
      "lines.jsonl",
      R"({"conversations": [{"from": "user", "value": "Picture 1: <img>a.png</img>\nWhat?"},)"
      R"( {"from": "assistant", "value": "It."}]})"
      "\n\n"
      R"([{"image": "a.png", "conversations": [{"from": "human", "value": "<image>x"},)"
      R"( {"from": "gpt", "value": "y"}]}, {"conversations": [{"from": "human", "value": "1"},)"
      R"( {"from": "gpt", "value": "2"}]}])"
      "\n");
  REQUIRE(source->size() == 3);
  const Sample first = source->read(0);
  CHECK(told(first.turns) == "user: Picture 1: <0>\nWhat?|assistant: It.");
  CHECK_FALSE(first.turns[0].parts[0].tagged);
  CHECK(told(source->read(1).turns) == "user: <0>x|assistant: y");
  CHECK(source->read(2).id == (folder.dir / "lines.jsonl") + ":3");
}

TEST_CASE("messages say where pictures stand and how large they may be") {
  const Folder folder;
  const std::string encoded = "data:image/png;base64,AAEC";
  const auto source = folder.open(
      "m.jsonl",
      R"({"messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": [)"
      R"({"type": "image", "image": "file://)" +
          (folder.dir / "a.png") +
          R"(", "min_pixels": 784, "max_pixels": 5000, "resized_height": 28},)"
          R"({"type": "video", "video": "clips/c.mp4", "fps": 2.5, "max_frames": 8},)"
          R"({"type": "video", "video": ["a.png", "b.png"], "fps": 4},)"
          R"({"type": "image_url", "image_url": {"url": ")" +
          encoded +
          R"("}}, {"type": "text", "text": " What?"}]}, {"role": "assistant", "content": "It."}]})"
          "\n"
          R"({"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "x"}]},)"
          R"( {"role": "assistant", "content": "y"}], "images": ["b.png"]})"
          "\n");
  const Sample first = source->read(0);
  CHECK(told(first.turns) == "system: Be short.|user: <0><c0><c1><1> What?|assistant: It.");
  const text::VisionWish& wish = first.turns[1].parts[0].wish;
  CHECK(wish.min_pixels == 784);
  CHECK(wish.max_pixels == 5000);
  CHECK(wish.height == 28);
  CHECK(first.turns[1].parts[1].wish.fps == 2.5);
  CHECK(first.turns[1].parts[1].wish.max_frames == 8);
  CHECK(first.clips.at(1).frames.size() == 2);
  CHECK(first.clips.at(1).fps == 4);
  CHECK(first.pictures.at(1).encoded == std::vector<std::uint8_t>{0, 1, 2});
  CHECK(told(source->read(1).turns) == "user: <0>x|assistant: y");
}

TEST_CASE("preferences with a prompt, with texts, and with the prompt in both") {
  const Folder folder;
  const auto source = folder.open(
      "p.jsonl",
      R"({"prompt": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]}],)"
      R"( "chosen": [{"role": "assistant", "content": "A circle."}],)"
      R"( "rejected": [{"role": "assistant", "content": "No idea."}], "images": ["a.png"]})"
      "\n"
      R"({"prompt": "What?", "chosen": "This.", "rejected": "That.", "image": "a.png"})"
      "\n"
      R"({"chosen": [{"role": "user", "content": "<image>Hm?"}, {"role": "assistant", "content": "1"}],)"
      R"( "rejected": [{"role": "user", "content": "<image>Hm?"}, {"role": "assistant", "content": "2"}],)"
      R"( "images": ["b.png"]})"
      "\n");
  const Sample first = source->read(0);
  CHECK(told(first.turns) == "user: <0>What?|assistant: A circle.");
  CHECK(told(first.rejected) == "assistant: No idea.");
  CHECK(first.prompt_turns == 1);
  const Sample second = source->read(1);
  CHECK(told(second.turns) == "user: <0>What?|assistant: This.");
  CHECK(told(second.rejected) == "assistant: That.");
  const Sample third = source->read(2);
  CHECK(told(third.turns) == "user: <0>Hm?|assistant: 1");
  CHECK(told(third.rejected) == "assistant: 2");
  CHECK(third.pictures.size() == 1);
  CHECK(third.prompt_turns == 1);
}

TEST_CASE("a document is told in its order") {
  const Folder folder;
  const auto source = folder.open("d.jsonl", R"({"texts": ["One", null, "two"],)"
                                             R"( "images": [null, "a.png", null]})");
  CHECK(told(source->read(0).turns) == "user: |assistant: One<0>two");
}

TEST_CASE("a document whose place holds both a text and a picture is a bad sample") {
  const Folder folder;
  const auto source =
      folder.open("d.jsonl", R"({"texts": ["One", "two"], "images": [null, "a.png"]})"
                             "\n"
                             R"({"texts": ["One", ""], "images": [null, "a.png"]})"
                             "\n"
                             R"({"texts": ["One", 2], "images": [null, null]})"
                             "\n");
  CHECK_THAT(refusal(*source, 0), Catch::Contains("place 2 has both") &&
                                      Catch::EndsWith((folder.dir / "d.jsonl") + ":1"));
  CHECK(told(source->read(1).turns) == "user: |assistant: One<0>");
  CHECK_THAT(refusal(*source, 2), Catch::Contains("expected texts or null in `texts`; got 2"));
  CHECK(check_source(*source, [](const Finding&) {}).bad == 2);
}

TEST_CASE("an object that cannot be used is a bad sample, named by file and line") {
  const Folder folder;
  const std::string good =
      R"({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]})";
  const auto turns = [](const std::string& value, const std::string& more = "") {
    return R"({"conversations": [{"from": "human", "value": ")" + value +
           R"("}, {"from": "gpt", "value": "b"}])" + more + "}\n";
  };
  const auto source = folder.open(
      "bad.jsonl", turns("<image>") + turns("a", R"(, "image": "a.png")") + good + "\n" +
                       turns("<image>", R"(, "image": "no.png")") +
                       turns("<image>", R"(, "image": "../a.png")") +
                       turns("<image>", R"(, "image": "https://x.org/a.png")") + "{\"x\": 1\n" +
                       "12\n" + R"({"conversations": [{"from": "robot", "value": "a"}]})" + "\n" +
                       turns("<video>", R"(, "video": "clips/no.mp4")") + "{}\n" + good + "\n");
  REQUIRE(source->size() == 12);
  const std::string file = folder.dir / "bad.jsonl";
  CHECK_THAT(refusal(*source, 0),
             Catch::Contains("as many pictures as tags; got 0") && Catch::EndsWith(file + ":1"));
  CHECK_THAT(refusal(*source, 1), Catch::Contains("1 stand nowhere"));
  CHECK(refusal(*source, 2) == "nothing");
  CHECK_THAT(refusal(*source, 3), Catch::Contains("no.png") && Catch::EndsWith(file + ":4"));
  CHECK_THAT(refusal(*source, 4), Catch::Contains("a name with '..'"));
  CHECK_THAT(refusal(*source, 5), Catch::Contains("an address of the web"));
  CHECK_THAT(refusal(*source, 6), Catch::Contains("no JSON") && Catch::EndsWith(file + ":7"));
  CHECK_THAT(refusal(*source, 7), Catch::Contains("expected an object; got 12"));
  CHECK_THAT(refusal(*source, 8), Catch::Contains("one of 'robot'"));
  CHECK_THAT(refusal(*source, 9), Catch::Contains("no such file: clips/no.mp4"));
  CHECK_THAT(refusal(*source, 10), Catch::Contains("expected conversations, messages"));
  CHECK(refusal(*source, 11) == "nothing");
  std::int64_t found = 0;
  const CheckReport report = check_source(*source, [&](const Finding&) { ++found; });
  CHECK(report.bad == 10);
  CHECK(found == 10);
  CHECK_THROWS_WITH(folder.open("none.jsonl", "\n"), Catch::Contains("expected objects"));
}

TEST_CASE("videos are looked through by the check, frame by frame of the file and of lists") {
  if (lacks_videos()) return;
  const Folder folder;
  REQUIRE(make_video(folder.dir / "clips/good.avi", numbered_frames(12)));
  const std::string bytes = testing::bytes_of_file(folder.dir / "clips/good.avi");
  folder.dir.write("clips/half.avi", bytes.substr(0, bytes.size() / 2));
  const auto about = [](const std::string& video) {
    return R"({"video": )" + video +
           R"(, "conversations": [{"from": "human", "value": "<video>x"},)"
           R"( {"from": "gpt", "value": "y"}]})"
           "\n";
  };
  const auto source =
      folder.open("v.jsonl", about(R"("clips/good.avi")") + about(R"("clips/half.avi")") +
                                 about(R"("clips/c.mp4")"));
  CHECK(source->read(0).clips.at(0).file == folder.dir / "clips/good.avi");
  std::vector<Finding> found;
  const CheckReport report =
      check_source(*source, [&](const Finding& one) { found.push_back(one); });
  CHECK(report.bad == 2);
  REQUIRE(found.size() == 2);
  CHECK(found[0].where == (folder.dir / "v.jsonl") + ":2");
  CHECK_THAT(found[0].what, Catch::Contains("expected 12 frames, as the file says"));
  CHECK_THAT(found[1].what, Catch::Contains("expected AVI, MP4"));
}

}  // namespace dialogue_test
