#include "tandem/data/webdataset.h"

#include <sys/stat.h>

#include <set>

#include "support.h"
#include "tandem/vision/decode.h"

namespace webdataset_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::test;
namespace fs = std::filesystem;

namespace {

std::string picture(int seed) { return png_of(pattern(9, 7, seed)); }

// Samples first..first+count of pictures (PNG and JPEG in turn) with captions.
std::string shard(int first, int count) {
  std::string tar;
  for (int i = first; i < first + count; ++i) {
    const std::string key = std::to_string(100 + i);
    if (i % 2 == 0) {
      tar += tar_member(key + ".jpg", jpeg_of(pattern(16, 8, i)));
    } else {
      tar += tar_member(key + ".png", picture(i));
    }
    tar += tar_member(key + ".txt", "caption " + std::to_string(i) + "\n");
  }
  return tar + tar_end();
}

WebdatasetSettings settings_of(const std::string& path) {
  WebdatasetSettings settings;
  settings.path = path;
  return settings;
}

std::string text_of(const std::vector<std::uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

// Opening a tar of these bytes fails; the message and place.
Error refusal(const std::string& tar) {
  const TempDir dir;
  const std::string path = dir.write("bad.tar", tar);
  const Error error = error_of([&] { open_webdataset(settings_of(path)); });
  CHECK(error.kind() == ErrorKind::data);
  CHECK(contains(error.where(), "bad.tar"));
  CHECK_FALSE(fs::exists(path + ".index"));
  return error;
}

}  // namespace

TEST_CASE("a webdataset's samples are its shards' in order, read back byte by byte") {
  const TempDir dir;
  dir.write("a-00.tar", shard(0, 3));
  dir.write("a-01.tar", shard(3, 2));
  const auto source = open_webdataset(settings_of(dir / "a-{00..01}.tar"));
  REQUIRE(source->size() == 5);
  std::set<std::int64_t> pictures;
  for (int i = 0; i < 5; ++i) {
    const Sample sample = source->read(i);
    CHECK(sample.id == std::string(i < 3 ? "a-00.tar/" : "a-01.tar/") + std::to_string(100 + i));
    CHECK(sample.texts == std::vector<std::string>{"caption " + std::to_string(i)});
    REQUIRE(sample.pictures.size() == 1);
    const std::string bytes = text_of(sample.pictures[0].encoded);
    CHECK(bytes == (i % 2 == 0 ? jpeg_of(pattern(16, 8, i)) : picture(i)));
    if (i % 2 == 1) CHECK(vision::decode(sample.pictures[0].encoded) == pattern(9, 7, i));
    CHECK(sample.picture_id >= 0);
    pictures.insert(sample.picture_id);
  }
  CHECK(pictures.size() == 5);
}

TEST_CASE("a tar made by the system's tar, with long names and folders, is read") {
  const TempDir dir;
  const std::string deep = "in/" + std::string(90, 'd') + "/" + std::string(120, 'n');
  for (int i = 0; i < 3; ++i) {
    dir.write("in/" + std::to_string(i) + ".png", picture(i));
    dir.write("in/" + std::to_string(i) + ".txt", "short " + std::to_string(i));
  }
  dir.write(deep + ".png", picture(9));
  dir.write(deep + ".txt", "long");
  for (const std::string format : {"gnu", "posix", "ustar", "v7"}) {
    // ustar holds names of 100 bytes behind a prefix, v7 none of more than 100
    const bool all = format == "gnu" || format == "posix";
    const std::string out = dir / (format + ".tar");
    const std::string command = "cd '" + dir.path() + "' && tar --format=" + format +
                                " --sort=name" + (all ? "" : " --exclude='ddd*'") + " -cf '" + out +
                                "' ./in";
    REQUIRE(std::system(command.c_str()) == 0);
    const auto source = open_webdataset(settings_of(out));
    REQUIRE(source->size() == (all ? 4 : 3));
    CHECK(source->read(1).id == format + ".tar/in/1");
    CHECK(source->read(1).texts[0] == "short 1");
    CHECK(text_of(source->read(2).pictures[0].encoded) == picture(2));
    if (all) {
      CHECK(source->read(3).id == format + ".tar/" + deep);
      CHECK(source->read(3).texts[0] == "long");
    }
  }
}

TEST_CASE("names behind a ustar prefix, in pax records and in GNU's long names are whole") {
  std::string prefixed = tar_member("a.png", picture(0));
  std::memcpy(&prefixed[345], "folder/of", 9);
  sign_tar_header(prefixed);
  const std::string name = "pax/" + std::string(150, 'x') + ".png";
  const std::string record = " path=" + name + "\n";
  const std::string pax = std::to_string(record.size() + 3) + record;
  const std::string gnu = "gnu/" + std::string(300, 'y') + ".png";
  const TempDir dir;
  const std::string path = dir.write(
      "n.tar",
      prefixed + tar_member("folder/of/a.txt", "1") + tar_member("PaxHeaders/x", pax, 'x') +
          tar_member("cut.png", picture(1)) + tar_member("pax/" + std::string(92, 'x'), "?") +
          tar_member("././@LongLink", gnu + '\0', 'L') + tar_member("cut.png", picture(2)) +
          tar_member("././@LongLink", "gnu/" + std::string(300, 'y') + ".TXT" + '\0', 'L') +
          tar_member("cut", "3") + tar_end());
  const auto source = open_webdataset(settings_of(path));
  REQUIRE(source->size() == 2);  // the one of pax has no caption
  CHECK(source->read(0).id == "n.tar/folder/of/a");
  CHECK(source->read(1).id == "n.tar/" + gnu.substr(0, gnu.size() - 4));
  CHECK(source->read(1).texts[0] == "3");
  const auto shards = index_webdataset(settings_of(path));
  REQUIRE(shards.size() == 1);
  CHECK(shards[0].samples == 3);
  CHECK(shards[0].members == 5);
}

TEST_CASE("a member's size may be octal, binary or of pax") {
  std::string binary = tar_member("a.png", picture(0));
  const auto size = static_cast<std::uint32_t>(picture(0).size());
  std::memset(&binary[124], 0, 12);
  binary[124] = '\x80';
  for (int i = 0; i < 4; ++i)
    binary[135 - static_cast<std::size_t>(i)] = static_cast<char>(size >> 8 * i);
  sign_tar_header(binary);
  std::string of_pax = tar_member("a.txt", "hello");
  std::memcpy(&of_pax[124], "00000000000", 11);
  sign_tar_header(of_pax);
  const TempDir dir;
  const std::string path =
      dir.write("s.tar", binary + tar_member("pax", "10 size=5\n", 'x') + of_pax + tar_end());
  const auto source = open_webdataset(settings_of(path));
  REQUIRE(source->size() == 1);
  CHECK(text_of(source->read(0).pictures[0].encoded) == picture(0));
  CHECK(source->read(0).texts[0] == "hello");
}

TEST_CASE("captions come from a text, else from a json's entry") {
  const TempDir dir;
  const std::string tar =
      tar_member("a.jpeg", jpeg_of(pattern(8, 8, 1))) +
      tar_member("a.json", R"({"caption": ["one", "two"]})") + tar_member("b.png", picture(1)) +
      tar_member("b.json", R"({"caption": "x"})") + tar_member("b.txt", "  of the text \n") +
      tar_member("c.png", picture(2)) + tar_member("c.json", R"({"other": "x"})") +
      tar_member("d.png", picture(3)) + tar_member("d.json", "{") +
      tar_member("e.png", picture(4)) + tar_member("e.json", R"({"caption": []})") +
      tar_member("f.png", picture(5)) + tar_member("f.txt", " \n") +
      tar_member("g.png", picture(6)) + tar_member("g.json", R"({"caption": [7]})") + tar_end();
  const auto source = open_webdataset(settings_of(dir.write("j.tar", tar)));
  REQUIRE(source->size() == 7);
  CHECK(source->read(0).texts == std::vector<std::string>{"one", "two"});
  CHECK(source->read(1).texts == std::vector<std::string>{"of the text"});
  for (int i = 2; i < 7; ++i) {
    const Error error = error_of([&] { source->read(i); });
    CHECK(error.kind() == ErrorKind::data);
    CHECK(error.where() == "j.tar/" + std::string(1, static_cast<char>('a' + i)));
  }
}

TEST_CASE("img2dataset's shards are read as it writes them") {
  const TempDir dir;
  const auto note = [](const std::string& key, const std::string& caption) {
    return R"({"url": "http://a.org/1.jpg", "caption": ")" + caption + R"(", "key": ")" + key +
           R"(", "status": "success", "error_message": null, "width": 256, "height": 171, )"
           R"("original_width": 640, "original_height": 427, "exif": "{}", "sha256": "0b"})";
  };
  std::string tar;
  for (const std::string key : {"000000000", "000000002"}) {  // the second one's link was dead
    tar += tar_member(key + ".jpg", jpeg_of(pattern(16, 8, 1))) +
           tar_member(key + ".json", note(key, "caption of " + key)) +
           tar_member(key + ".txt", "caption of " + key);
  }
  dir.write("cc3m/00000.tar", tar + tar_end());
  dir.write("cc3m/00000_stats.json", R"({"count": 3, "successes": 2})");
  dir.write("cc3m/00000.parquet", "PAR1");
  const auto source = open_webdataset(settings_of(dir / "cc3m/{00000..00000}.tar"));
  REQUIRE(source->size() == 2);
  CHECK(source->read(1).texts == std::vector<std::string>{"caption of 000000002"});
  WebdatasetSettings settings = settings_of(dir / "cc3m/00000.tar");
  settings.texts.clear();  // from the .json
  CHECK(open_webdataset(settings)->read(1).texts ==
        std::vector<std::string>{"caption of 000000002"});
}

TEST_CASE("the settings choose among a sample's members, and what lacks one is left out") {
  const TempDir dir;
  const std::string tar = tar_member("a.png", picture(1)) + tar_member("a.seg.png", picture(2)) +
                          tar_member("a.txt", "plain") + tar_member("a.alt", "other") +
                          tar_member("b.txt", "no picture") + tar_member("c.png", picture(3)) +
                          tar_member("__meta__/x.png", "") + tar_member("noextension", "x") +
                          tar_member(".hidden.png", "x") + tar_member("dir", "", '5') + tar_end();
  auto settings = settings_of(dir.write("m.tar", tar));
  settings.pictures = {"webp", "seg.png"};
  settings.texts = {"alt"};
  const auto source = open_webdataset(settings);
  REQUIRE(source->size() == 1);
  CHECK(text_of(source->read(0).pictures[0].encoded) == picture(2));
  CHECK(source->read(0).texts[0] == "other");
  settings.pictures = {"gif"};
  const Error error = error_of([&] { open_webdataset(settings); });
  CHECK(error.kind() == ErrorKind::data);
  CHECK(contains(error.message(), "got none of 3"));
}

TEST_CASE("a truncated tar is refused wherever it was cut") {
  const std::string tar = shard(0, 2);
  const std::size_t end = tar.size() - 1024;
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, std::size_t{511},
                                 std::size_t{512}, std::size_t{600}, end - 512, end - 500, end}) {
    INFO(size);
    const Error error = refusal(tar.substr(0, size));
    CHECK(contains(error.message(), "truncated"));
    CHECK(contains(error.where(), "at byte "));
  }
  const TempDir dir;  // one block of the end mark is enough
  CHECK(open_webdataset(settings_of(dir.write("a.tar", tar.substr(0, end + 512))))->size() == 2);
}

TEST_CASE("a flipped bit in a header is a wrong checksum, with the shard and the byte") {
  const std::string tar = shard(0, 2);
  const std::size_t second = tar_member("100.jpg", jpeg_of(pattern(16, 8, 0))).size();
  for (const std::size_t at : {std::size_t{3}, std::size_t{128}, std::size_t{150}, second + 300}) {
    std::string flipped = tar;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    const Error error = refusal(flipped);
    CHECK(contains(error.message(), "checksum"));
    CHECK(contains(error.where(), at >= second ? "byte " + std::to_string(second) : "byte 0"));
  }
}

TEST_CASE("a size that lies, overflows or is no number is refused") {
  const auto with_size = [](const std::string& field) {
    std::string tar = tar_member("a.png", "1234");
    std::memcpy(&tar[124], field.data(), field.size());
    sign_tar_header(tar);
    return tar + tar_member("a.txt", "x") + tar_end();
  };
  CHECK(contains(refusal(with_size("00000010000")).message(), "truncated"));
  CHECK(contains(refusal(with_size("77777777777")).message(), "truncated"));
  CHECK(contains(
      refusal(with_size(std::string("\x80\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12)))
          .message(),
      "size"));
  CHECK(contains(
      refusal(with_size(std::string("\x80\0\0\0\0\x7f\xff\xff\xff\xff\xff\xff", 12))).message(),
      "truncated"));
  CHECK(contains(refusal(with_size(std::string(12, '\xff'))).message(), "size"));
  CHECK(contains(refusal(with_size("0000000x004")).message(), "size"));
  // Smaller than the data: what follows is no header.
  CHECK(contains(refusal(tar_member("a.png", std::string(600, 'x'))
                             .substr(0, 512)
                             .replace(124, 11, "00000000000") +
                         std::string(1024, 'x'))
                     .message(),
                 "checksum"));
}

TEST_CASE("samples whose members do not stand together, and members twice, are refused") {
  const Error apart = refusal(tar_member("a.png", picture(1)) + tar_member("b.png", picture(2)) +
                              tar_member("a.txt", "x") + tar_member("b.txt", "y") + tar_end());
  CHECK(contains(apart.message(), "stand together"));
  CHECK(contains(apart.message(), "a.txt"));
  const Error twice =
      refusal(tar_member("a.png", picture(1)) + tar_member("a.PNG", picture(2)) + tar_end());
  CHECK(contains(twice.message(), "twice"));
}

TEST_CASE("members that a tar cannot hold or that point outside it are refused") {
  const std::string good = tar_member("a.png", picture(1)) + tar_member("a.txt", "x");
  for (const char type : {'1', '2', '3', '4', '6', 'S', 'M', '?'}) {
    const Error error = refusal(good + tar_member("b.png", "", type) + tar_end());
    CHECK(contains(error.message(), "b.png"));
    CHECK(contains(error.where(), "at byte " + std::to_string(good.size())));
  }
  for (const std::string name : {"../b.png", "x/../../b.png", "/b.png", "x/.."}) {
    CHECK(contains(refusal(good + tar_member(name, "x") + tar_end()).message(), "below the tar"));
  }
  CHECK(contains(refusal(good + tar_member("", "x") + tar_end()).message(), "without a name"));
}

TEST_CASE("broken extended headers are refused") {
  const std::string good = tar_member("a.png", picture(1)) + tar_member("a.txt", "x");
  for (const std::string records :
       {"abc", "5 a=", "999 path=x\n", "9 pathxx\n", "10 size=x\n", "12 size=-5\n\n", "4 =\n5"}) {
    INFO(records);
    refusal(tar_member("pax", records, 'x') + good + tar_end());
  }
  CHECK(contains(
      refusal(tar_member("pax", "22 GNU.sparse.major=1\n", 'x') + good + tar_end()).message(),
      "sparse"));
  CHECK(contains(refusal(good + tar_member("long", "name", 'L') + tar_end()).message(),
                 "without its member"));
  std::string huge = tar_member("long", "", 'L');
  std::memcpy(&huge[124], "77777777777", 11);
  sign_tar_header(huge);
  CHECK(contains(refusal(huge + good + tar_end()).message(), "extended header"));
  CHECK(contains(refusal(shard(0, 1) + shard(1, 1)).message(), "behind the end mark"));
}

TEST_CASE("an index is kept beside the tar and used while the tar stays as it is") {
  const TempDir dir;
  const std::string path = dir.write("a.tar", shard(0, 3));
  const auto settings = settings_of(path);
  auto shards = index_webdataset(settings);
  REQUIRE(shards.size() == 1);
  CHECK(shards[0].built);
  CHECK(shards[0].index == path + ".index");
  CHECK(shards[0].samples == 3);
  CHECK(shards[0].members == 6);
  CHECK_FALSE(index_webdataset(settings)[0].built);
  CHECK(index_webdataset(settings, true)[0].built);
  int files = 0;  // nothing temporary is left
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(dir.path())) ++files;
  CHECK(files == 2);

  const std::string fingerprint = open_webdataset(settings)->fingerprint();
  dir.write("a.tar", shard(0, 4));
  CHECK(index_webdataset(settings)[0].built);
  CHECK(open_webdataset(settings)->size() == 4);
  CHECK(open_webdataset(settings)->fingerprint() != fingerprint);

  // The same size at another time.
  dir.write("a.tar", shard(1, 4));
  fs::last_write_time(path, fs::last_write_time(path) + std::chrono::seconds(5));
  CHECK(index_webdataset(settings)[0].built);
  CHECK(open_webdataset(settings)->read(0).texts[0] == "caption 1");
}

TEST_CASE("a truncated or flipped index is made anew") {
  const TempDir dir;
  const std::string path = dir.write("a.tar", shard(0, 2));
  const auto settings = settings_of(path);
  index_webdataset(settings);
  const std::string good = testing::bytes_of_file(path + ".index");
  for (std::size_t at = 0; at < good.size(); at += 7) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 4);
    dir.write("a.tar.index", bad);
    CHECK(index_webdataset(settings)[0].built);
    dir.write("a.tar.index", good.substr(0, at));
    CHECK(index_webdataset(settings)[0].built);
  }
  CHECK(testing::bytes_of_file(path + ".index") == good);
}

TEST_CASE("indices go to the folder that is named, where two shards of one name differ") {
  const TempDir dir;
  dir.write("x/a.tar", shard(0, 2));
  dir.write("y/a.tar", shard(2, 3));
  auto settings = settings_of(dir / "{x,y}/a.tar");
  settings.index = dir / "new/indices";
  const auto shards = index_webdataset(settings);
  REQUIRE(shards.size() == 2);
  CHECK(shards[0].index != shards[1].index);
  CHECK(fs::path(shards[0].index).parent_path() == settings.index);
  CHECK_FALSE(fs::exists(dir / "x/a.tar.index"));
  CHECK_FALSE(index_webdataset(settings)[1].built);
  CHECK(open_webdataset(settings)->size() == 5);

  dir.write("file", "");
  settings.index = dir / "file";
  CHECK(error_of([&] { open_webdataset(settings); }).kind() == ErrorKind::io);
}

TEST_CASE("an index goes to the user's cache when the tar's folder cannot be written") {
  const TempDir dir;
  const std::string path = dir.write("a.tar", shard(0, 2));
  fs::create_directories(dir / "a.tar.index");  // in the way, for root as well
  const char* old = std::getenv("XDG_CACHE_HOME");
  const std::string kept = old != nullptr ? old : "";
  ::setenv("XDG_CACHE_HOME", (dir / "cache").c_str(), 1);
  const auto shards = index_webdataset(settings_of(path));
  const bool again = index_webdataset(settings_of(path))[0].built;
  if (old != nullptr) {
    ::setenv("XDG_CACHE_HOME", kept.c_str(), 1);
  } else {
    ::unsetenv("XDG_CACHE_HOME");
  }
  CHECK(contains(shards[0].index, dir / "cache"));
  CHECK_FALSE(again);
}

TEST_CASE("a tar that changes while it is in use is named") {
  const TempDir dir;
  const std::string path = dir.write("a.tar", shard(0, 2));
  const auto source = open_webdataset(settings_of(path));
  dir.write("a.tar", shard(0, 3));
  const Error error = error_of([&] { source->read(0); });
  CHECK(error.kind() == ErrorKind::data);
  CHECK(contains(error.message(), "changed"));
}

TEST_CASE("a shard that does not exist is an error with its name") {
  const TempDir dir;
  dir.write("a0.tar", shard(0, 1));
  const Error error = error_of([&] { open_webdataset(settings_of(dir / "a{0..1}.tar")); });
  CHECK(error.kind() == ErrorKind::data);
  CHECK(contains(error.where(), "a1.tar"));
}

TEST_CASE("braces count and list") {
  using Names = std::vector<std::string>;
  CHECK(expand_braces("plain.tar") == Names{"plain.tar"});
  CHECK(expand_braces("a{0..2}{x,y}") == Names{"a0x", "a0y", "a1x", "a1y", "a2x", "a2y"});
  CHECK(expand_braces("{08..11}.tar") == Names{"08.tar", "09.tar", "10.tar", "11.tar"});
  CHECK(expand_braces("{9..11}") == Names{"9", "10", "11"});
  CHECK(expand_braces("{2..0}") == Names{"2", "1", "0"});
  CHECK(expand_braces("{a{1..2},b}.tar") == Names{"a1.tar", "a2.tar", "b.tar"});
  CHECK(expand_braces("{,x}") == Names{"", "x"});
  CHECK(expand_braces("{0000..0999}/{000..999}").size() == 1'000'000);
  for (const std::string bad : {"a{0..2", "a}b", "{x}", "{1..b}", "{-1..2}", "{0..1000001}",
                                "{0..1000}{0..1000}", "a{b}}"}) {
    INFO(bad);
    CHECK(error_of([&] { expand_braces(bad); }).kind() == ErrorKind::config);
  }
}

TEST_CASE("webdataset is a format that a config may name") {
  const TempDir dir;
  auto settings = source_formats().make("webdataset");
  REQUIRE(settings != nullptr);
  dynamic_cast<WebdatasetSettings&>(*settings).path = dir.write("a.tar", shard(0, 2));
  CHECK(open_source("webdataset", *settings)->size() == 2);
}

}  // namespace webdataset_test
