"""Data that is broken: replaced and recorded where it is rare, refused with its name where not."""

import io
import re
import tarfile

import common
from common import caption, config_of, lines, main, make_pictures, metrics, newest, png


def spoil(folder, names):
    """Breaks these pictures in turn, each in another way; gives name -> how."""
    ways = {
        "truncated": lambda data: data[:len(data) // 2],
        "empty": lambda data: b"",
        "a text": lambda data: b"this is no picture\n",
        "a flipped byte": lambda data: data[:60] + bytes([data[60] ^ 0x55]) + data[61:],
    }
    told = {}
    for i, name in enumerate(names):
        how = list(ways)[i % len(ways)]
        path = folder / name
        path.write_bytes(ways[how](path.read_bytes()))
        told[name] = how
    return told


def member(tar, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


class BadFolder(common.RunTest):
    def folder_of(self, good, bad):
        """Pictures of which `bad` are spoiled, spread over the folder; (config, name -> how)."""
        folder = self.folder / "pictures"
        names = make_pictures(folder, good + bad)
        apart = len(names) // bad
        told = spoil(folder, names[apart // 3::apart])
        self.assertEqual(len(told), bad)
        return config_of(self, {"format": "folder", "path": "pictures"}), told

    def test_a_few_bad_pictures_are_named_and_replaced_the_same_way_every_time(self):
        config, told = self.folder_of(156, 4)  # twenty steps see all of them twice
        error = self.train("one", "loader.threads=1", config=config)
        self.assertIn("bad_samples.jsonl", error)
        path = self.folder / "one" / "bad_samples.jsonl"
        rows = lines(path)
        self.assertEqual({row["sample"] for row in rows}, set(told))
        names = {p.name for p in (self.folder / "pictures").glob("*.png")}
        for row in rows:
            self.assertEqual(set(row), {"step", "position", "sample", "reason", "replacement"})
            self.assertEqual(row["step"], row["position"] // 16 + 1)
            self.assertGreater(len(row["reason"]), 10)
            self.assertIn(row["replacement"], names - set(told))
        reasons = {told[row["sample"]]: row["reason"] for row in rows}
        self.assertEqual(set(reasons), {"truncated", "empty", "a text", "a flipped byte"})
        self.assertEqual(len(metrics(self.folder / "one")), 20)

        self.train("four", "loader.threads=4", config=config)
        self.assert_same_end("four", "one")
        self.train("stopped", "--stop-after", 11, config=config, code=75)
        self.train("stopped", config=config)
        self.assert_same_end("stopped", "one")
        self.train("ranks", "--procs", 2, config=config)
        self.assert_close(self.losses("ranks"), self.losses("one"), 1e-5, "2 ranks")
        for name in ("four", "stopped", "ranks"):
            self.assertEqual((self.folder / name / "bad_samples.jsonl").read_bytes(),
                             path.read_bytes(), name)

    def test_an_evaluation_leaves_bad_pictures_out(self):
        config, told = self.folder_of(46, 2)
        for ranks in (1, 2):
            error = self.train("%d ranks" % ranks, "--procs", ranks, "eval.batch=8",
                               "eval.tasks=[{task: retrieval, source: own, size: 48}]",
                               "stages.contrast.until.steps=2", config=config)
            for name in told:
                self.assertRegex(error, r"\[eval\] left out %s: .+" % re.escape(name))
            found = [metrics(self.folder / ("%d ranks" % ranks))[-1][key] for key in (
                "eval.own.retrieval.text_to_image.r10", "eval.own.retrieval.image_to_text.r10")]
            for value in found:  # shares of 46
                self.assertAlmostEqual(46 * value, round(46 * value), places=9)

    def test_more_than_one_in_a_hundred_ends_the_run(self):
        config, told = self.folder_of(150, 10)
        ends = set()
        for ranks in (1, 2):
            name = "%d ranks" % ranks
            error = self.train(name, "--procs", ranks, "checkpoint.every=1", config=config, code=65)
            got = re.search(r"expected at most 1 % bad samples; got (\d+) of (\d+)", error)
            self.assertTrue(got, error)
            bad, seen = map(int, got.groups())
            self.assertGreater(bad, 10)  # the first 1000 count as 1000
            rows = lines(self.folder / name / "bad_samples.jsonl")
            self.assertEqual(len(rows), bad)
            self.assertEqual(len(metrics(self.folder / name)), seen // 16 - 1)
            self.assertIn("bad_samples.jsonl", error)
            self.assert_nobody_left(name)
            ends.add((bad, seen))
            # The count is a part of the checkpoint.
            self.assertIn(got.group(), self.train(name, "--procs", ranks, "checkpoint.every=1",
                                                  config=config, code=65))
        self.assertEqual(len(ends), 1, "the limit depends on the number of ranks")

    def test_no_good_picture_at_all_is_refused(self):
        config, _ = self.folder_of(0, 40)
        for ranks in (1, 2):
            error = self.train("%d ranks" % ranks, "--procs", ranks, config=config, code=65)
            self.assertRegex(error, r"tandem: \d{4}\.png: .*expected a good sample among 8")

    def test_pictures_that_are_missing_or_absent_are_told(self):
        config = config_of(self, {"format": "folder", "path": "pictures"})
        # A path that the config states wrongly is the config's mistake, told with its line.
        error = self.train("missing", config=config, code=64)
        self.assertRegex(error, r"own\.yaml:2:\d+: data\.sources\.own\.path: .*pictures")
        (self.folder / "pictures").mkdir()
        error = self.train("none", config=config, code=65)
        self.assertRegex(error, r"pictures: \[folder\] expected pictures with captions; got none")


class Webdataset(common.RunTest):
    def shards(self, spoiled=()):
        for shard in range(2):
            with tarfile.open(self.folder / ("s-%d.tar" % shard), "w") as tar:
                for i in range(40):
                    key = 40 * shard + i
                    data = png(key)
                    member(tar, "%04d.png" % key, data[:90] if key in spoiled else data)
                    member(tar, "%04d.txt" % key, caption(key).encode())
        return config_of(self, {"format": "webdataset", "path": "s-{0..1}.tar"})

    def test_shards_that_tar_made_train(self):
        config = self.shards(spoiled=[50])
        self.train("run", config=config)
        self.assertEqual(len(metrics(self.folder / "run")), 20)
        rows = lines(self.folder / "run" / "bad_samples.jsonl")
        self.assertEqual(len(rows), 4)  # once in each epoch of 80 samples
        for row in rows:
            self.assertRegex(row["sample"], r"s-1\.tar.*0050")
        self.assertTrue(list(self.folder.glob("s-*.tar.index")))
        self.train("again", "--procs", 2, config=config)
        self.assert_close(self.losses("again"), self.losses("run"), 1e-5, "2 ranks")

    def test_a_truncated_shard_is_named_with_the_byte(self):
        config = self.shards()
        path = self.folder / "s-1.tar"
        data = path.read_bytes()
        for cut in (len(data) // 2, 700, 0):
            with self.subTest(cut=cut):
                path.write_bytes(data[:cut])
                error = self.train("cut at %d" % cut, config=config, code=65)
                found = re.search(r"s-1\.tar:(\d+): ", error) or re.search(
                    r"s-1\.tar.*byte (\d+)", error)
                self.assertTrue(found, error)
                self.assertLessEqual(int(found.group(1)), cut)
        error = self.train("ranks", "--procs", 2, config=config, code=65)
        self.assertIn("s-1.tar", error)


if __name__ == "__main__":
    main()
