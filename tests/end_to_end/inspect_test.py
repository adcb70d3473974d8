"""`tandem data inspect` and what `tandem check` says of data."""

import html.parser
import re

import common
from common import CONFIG, config_of, main, make_pictures, tandem


class Page(html.parser.HTMLParser):
    """What a page shows, and whether it would fetch anything."""

    def __init__(self, text):
        super().__init__()
        self.pictures, self.fetched, self.text = 0, [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("src", "href"):
                self.pictures += tag == "img" and value.startswith("data:image/png;base64,")
                if not value.startswith("data:"):
                    self.fetched.append(value)
        if tag in ("script", "link", "iframe"):
            self.fetched.append(tag)

    def handle_data(self, data):
        self.text += data


class Inspect(common.RunTest):
    def inspect(self, *arguments, code=0):
        page = self.folder / "page.html"
        got, out, error = tandem("data", "inspect", *arguments, "--out", page)
        self.assertEqual(got, code, error)
        return (out, Page(page.read_text())) if code == 0 else (out, error)

    def table(self):
        names = make_pictures(self.folder / "pictures", 12)
        (self.folder / "pictures" / names[2]).write_bytes(b"no picture")
        (self.folder / "pictures" / names[3]).unlink()
        rows = ["filepath\ttitle"] + ["%s\tcaption of %s" % (n, n) for n in names]
        rows[5] = "no tab"
        path = self.folder / "own.tsv"
        path.write_text("\n".join(rows) + "\n")
        return {"format": "table", "path": "own.tsv", "pictures": "pictures",
                "picture": "filepath", "captions": ["title"]}

    def test_a_configs_sources_are_shown_as_training_sees_them(self):
        text, page = self.inspect(CONFIG, "--samples", 6, "--count", 100,
                                  "model.augment.rand_augment={ops: 2, magnitude: 7}")
        for name in ("train", "test"):
            self.assertRegex(text, r"(?m)^%s$" % name)
        self.assertRegex(text, r"samples +400; what follows is counted over 100 of them")
        self.assertRegex(text, r"width +\d+ to \d+, median \d+")
        self.assertRegex(text, r"tokens +\d+ to \d+, median \d+")
        self.assertEqual(page.pictures, 2 * 2 * 6)  # stored and seen, of two sources
        self.assertEqual(page.fetched, [])
        self.assertIn("world/train/", page.text)
        text, page = self.inspect(CONFIG, "--samples", 6, "--count", 100, "--source", "test")
        self.assertNotIn("train\n", text)
        self.assertEqual(page.pictures, 12)

    def test_a_path_alone_is_enough(self):
        make_pictures(self.folder / "pictures", 5)
        text, page = self.inspect(self.folder / "pictures")
        self.assertRegex(text, r"pictures +5 \(png: 5\)")
        self.assertRegex(text, r"sizes +40 x 36: 5")
        self.assertEqual(page.pictures, 10)
        _, error = self.inspect(self.folder / "nothing.dat", code=64)
        self.assertIn("FORMAT:PATH", error)
        _, error = self.inspect(self.folder / "none.csv", code=65)
        self.assertIn("none.csv", error)

    def test_bad_rows_are_told_by_file_and_line(self):
        config = config_of(self, self.table())
        text, page = self.inspect(config)
        self.assertRegex(text, r"bad samples +3")
        for line in (4, 5, 6):
            self.assertIn("own.tsv:%d: " % line, text)
            self.assertIn("own.tsv:%d: " % line, page.text)

    def test_check_reads_every_row_and_header(self):
        config = config_of(self, self.table())
        code, out, error = tandem("check", config)
        self.assertEqual(code, 65, error)
        told = re.findall(r"own\.tsv:(\d+): (.*)", out)
        self.assertEqual([line for line, _ in told], ["4", "5", "6"])
        self.assertIn("expected a JPEG, PNG or WebP picture", told[0][1])
        self.assertIn("0003.png", told[1][1])
        self.assertIn("expected 2 fields; got 1", told[2][1])
        self.assertIn("source own: 12 samples, 9 pictures, 9 captions; 3 samples cannot be used: "
                      "more than 1 %, training would stop", out)
        code, out, _ = tandem("check", config, "--plan-only")
        self.assertEqual(code, 0)
        self.assertNotIn("source own:", out)

    def test_check_names_the_first_hundred_or_all(self):
        table = self.table()
        path = self.folder / "own.tsv"
        path.write_text(path.read_text() + "".join("none-%d.png\tgone\n" % i for i in range(127)))
        config = config_of(self, table)
        code, out, error = tandem("check", config)
        self.assertEqual(code, 65, error)
        self.assertEqual(len(re.findall(r"own\.tsv:\d+: ", out)), 100)
        self.assertIn("  ... and 30 more: --all names them\n", out)
        code, out, error = tandem("check", config, "--all")
        self.assertEqual(code, 65, error)
        self.assertEqual(len(re.findall(r"own\.tsv:\d+: ", out)), 130)
        self.assertNotIn("more: --all", out)

    def test_check_of_good_data_says_so(self):
        make_pictures(self.folder / "pictures", 20)
        config = config_of(self, {"format": "folder", "path": "pictures"})
        code, out, error = tandem("check", config)
        self.assertEqual(code, 0, error)
        self.assertIn("source own: 20 samples, 20 pictures, 20 captions: all good", out)

    def test_a_mix_by_temperature_trains(self):
        for name, count in (("many", 36), ("few", 4)):
            make_pictures(self.folder / name, count)
        path = self.folder / "own.yaml"
        path.write_text(
            "include: [%s]\n"
            "data: {sources: {many: {format: folder, path: many}, few: {format: folder, path: few}}}\n"
            "eval: {every: 0, tasks: []}\n"
            "stages: [{name: contrast, data: {mix: {train: null, many: 1, few: 1, temperature: 2}}}]\n"
            % CONFIG)
        self.train("run", config=path)
        resolved = (self.folder / "run" / "resolved.yaml").read_text()
        self.assertRegex(resolved, r"temperature: 2")
        self.train("ranks", "--procs", 2, config=path)
        self.assert_close(self.losses("ranks"), self.losses("run"), 1e-5, "2 ranks")

    def test_rand_augment_is_the_same_on_any_number_of_threads(self):
        options = ["model.augment.rand_augment={variant: vilt, ops: 2, magnitude: 9}"]
        self.train("one", *options)
        self.train("four", "loader.threads=4", *options)
        self.assert_same_end("four", "one")
        self.train("plain")
        self.assertNotEqual(self.losses("plain"), self.losses("one"))


if __name__ == "__main__":
    main()
