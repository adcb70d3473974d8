#include "tandem/data/inspect.h"

#include "support.h"
#include "tandem/data/check.h"
#include "tandem/data/folder.h"
#include "tandem/data/table.h"
#include "tandem/data/world/source.h"

namespace inspect_test {

using namespace tandem;
using namespace tandem::data;
using namespace tandem::test;

namespace {

// Ten pictures in a table, whose rows 3, 5 and 7 (lines 4, 6 and 8) cannot be used.
std::string spoiled_table(const TempDir& dir) {
  std::string text = "image,caption\n";
  for (int i = 0; i < 10; ++i) {
    const std::string name = std::to_string(i) + ".png";
    dir.write(name, png_of(pattern(20 + i, 10, i)));
    text += name + ",caption " + std::to_string(i) + "\n";
  }
  dir.write("2.png", "no picture");
  dir.write("6.png", png_of(pattern(26, 10, 6)).substr(0, 20));
  std::filesystem::remove(dir / "4.png");
  return dir.write("t.csv", text);
}

std::vector<Finding> found_in(const Source& source, CheckReport& report) {
  std::vector<Finding> all;
  report = check_source(source, [&](const Finding& one) { all.push_back(one); });
  return all;
}

}  // namespace

TEST_CASE("a check names what is wrong by file and line, without decoding pixels") {
  const TempDir dir;
  const auto source = open_path(spoiled_table(dir), "");
  CheckReport report;
  const auto findings = found_in(*source, report);
  CHECK(report.samples == 10);
  CHECK(report.pictures == 7);
  CHECK(report.texts == 7);
  CHECK(report.bad == 3);
  CHECK(report.too_many());
  REQUIRE(findings.size() == 3);
  CHECK(findings[0].where == (dir / "t.csv") + ":4");
  CHECK(contains(findings[0].what, "expected a JPEG, PNG or WebP picture"));
  CHECK(findings[1].where == (dir / "t.csv") + ":6");
  CHECK(contains(findings[1].what, "4.png"));
  CHECK(findings[2].where == (dir / "t.csv") + ":8");
  const std::string line = check_line("t", *source, report);
  CHECK(contains(line, "3 samples cannot be used: more than 1 %"));
}

TEST_CASE("rows that were left out on opening are named and counted, and training does not stop") {
  const TempDir dir;
  dir.write("a.png", png_of(pattern(20, 10, 1)));
  TableSettings settings;
  settings.path = dir.write(
      "t.jsonl", "{\"image\": \"a.png\", \"caption\": \"one\"}\nbroken\n{\"image\": \"a.png\"}\n");
  settings.group = true;
  const auto source = open_table(settings);
  CheckReport report;
  const auto findings = found_in(*source, report);
  CHECK(report.samples == 1);
  CHECK(report.left_out == 2);
  CHECK(report.bad == 0);
  REQUIRE(findings.size() == 2);
  CHECK(findings[0].where == (dir / "t.jsonl") + ":2");
  CHECK_FALSE(report.too_many());
  CHECK(contains(check_line("t", *source, report), "; 2 left out"));
}

TEST_CASE("a check reads on where a header is longer than the first bytes") {
  const TempDir dir;
  // Comments of 64 kB in front of the frame's header.
  const std::string jpeg = jpeg_of(pattern(31, 17, 1));
  std::string segment("\xFF\xFE\xFF\xFF", 4);
  segment += std::string(0xFFFF - 2, 'c');
  dir.write("a.jpg", jpeg.substr(0, 2) + segment + segment + jpeg.substr(2));
  dir.write("a.txt", "A caption");
  FolderSettings settings;
  settings.path = dir.path();
  const auto source = open_folder(settings);
  CHECK(source->peek(0).pictures[0].encoded.size() == Source::peek_bytes);
  CheckReport report;
  CHECK(found_in(*source, report).empty());
  CHECK(report.bad == 0);
  CHECK_FALSE(report.too_many());
  CHECK(inspect("a", *source, {}).sizes.at("31 x 17") == 1);
}

TEST_CASE("a drawn source has nothing to check") {
  world::WorldSettings settings;
  settings.size = 1'000'000'000;
  CheckReport report;
  CHECK(found_in(*world::open_world(settings), report).empty());
  CHECK(report.samples == 1'000'000'000);
}

TEST_CASE("an inspection counts sizes, words, tokens, twins and what is bad") {
  const TempDir dir;
  std::string text = "image\tcaption\n";
  for (int i = 0; i < 4; ++i) {
    const std::string name = std::to_string(i) + ".png";
    dir.write(name, png_of(pattern(10 + 10 * (i % 2), 12, i == 3 ? 1 : i)));
    text += name + "\t" + (i == 0 ? "one" : "one two  three") + "\n";
  }
  text += "none.png\tgone\n";
  const auto source = open_path(dir.write("t.tsv", text), "");
  InspectOptions options;
  options.tokens = [](const std::string& caption) {
    return static_cast<std::int64_t>(caption.size());
  };
  options.view = plain_view();
  const Inspection found = inspect("t", *source, options);
  CHECK(found.samples == 5);
  CHECK(found.pictures == 4);
  CHECK(found.bad == 1);
  CHECK(found.sizes.at("10 x 12") == 2);
  CHECK(found.sizes.at("20 x 12") == 2);
  CHECK(found.encodings.at("png") == 4);
  CHECK(found.width.least == 10);
  CHECK(found.width.most == 20);
  CHECK(found.words.least == 1);
  CHECK(found.words.most == 3);
  CHECK(found.words.mean == Approx(2.5));
  CHECK(found.tokens.most == 14);
  CHECK(found.same_pictures == 1);
  CHECK(found.same_texts == 2);
  REQUIRE(found.findings.size() == 1);
  CHECK(contains(found.findings[0].where, "t.tsv:6"));
  CHECK(found.shown.size() == 5);
  const std::string lines = inspection_text(found);
  CHECK(contains(lines, "bad samples    1"));
  CHECK(contains(lines, "t.tsv:6: "));
}

TEST_CASE("the page holds its pictures, shows captions as text and needs no network") {
  const TempDir dir;
  dir.write("a.png", png_of(pattern(600, 300, 1)));
  dir.write("a.txt", "<script>alert(\"x\")</script> & more");
  const auto source = open_path(dir.path(), "");
  InspectOptions options;
  options.view = plain_view();
  const std::string page = inspection_page({inspect("a <folder>", *source, options)});
  CHECK_FALSE(contains(page, "<script"));
  CHECK(contains(page, "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; more"));
  CHECK(contains(page, "a &lt;folder&gt;"));
  CHECK(contains(page, "600 x 300, png"));
  std::size_t pictures = 0;
  for (std::size_t at = page.find("data:image/png;base64,iVBOR"); at != std::string::npos;
       at = page.find("data:image/png;base64,iVBOR", at + 1)) {
    ++pictures;
  }
  CHECK(pictures == 2);
  CHECK_FALSE(contains(page, "http"));
  CHECK(inspection_page({inspect("a <folder>", *source, options)}) == page);
}

TEST_CASE("a path says by its look what it holds") {
  const TempDir dir;
  dir.write("a.jpg", jpeg_of(pattern(8, 8, 1)));
  dir.write("a.txt", "A");
  CHECK(open_path(dir.path(), "")->size() == 1);
  CHECK(open_path(dir / "a.txt", "")->size() == 1);
  CHECK(open_path(dir.write("r.csv", "image_name| comment_number| comment\na.jpg| 0| A\n"), "")
            ->size() == 1);
  CHECK(open_path(dir.write("r.token", "a.jpg#0\tA\n"), "")->read(0).texts[0] == "A");
  CHECK(open_path(dir.write("c.json", R"([{"image": "a.jpg", "caption": "A"}])"), "")->size() == 1);
  CHECK(open_path("table:" + dir.write("d.csv", "image,caption\na.jpg,A\n"), "")->size() == 1);
  CHECK(open_path("world", "")->is_drawn());
  const Error error = error_of([&] { open_path(dir.write("x.dat", ""), ""); });
  CHECK(error.kind() == ErrorKind::config);
  CHECK(contains(error.hint(), "FORMAT:PATH"));
}

}  // namespace inspect_test
