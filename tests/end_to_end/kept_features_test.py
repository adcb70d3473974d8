"""Kept features from outside (`cache: features` of a stage): the same bits as without, the tower run
once a picture, killed and damaged runs, what is refused, and the room that `check` plans."""

import re

import common
from common import main, newest, tandem

CONFIGS = common.HERE.parents[1] / "configs"

# Two stages with a frozen tower, two epochs of 40 pictures in the first.
FAMILIES = {
    "llava": {
        "config": CONFIGS / "llava" / "tiny.yaml",
        "keys": ["data.sources.captions.size=40", "data.sources.questions.size=40",
                 "stages.connector.until.steps=10", "stages.instruct.until.steps=10",
                 "checkpoint.every=4"],
        "stages": ["connector", "instruct"],
        "runs": ["40 of 80", "37 of 80"],  # three of the questions are about pictures of the first
    },
    "blip2": {
        "config": CONFIGS / "blip2" / "tiny.yaml",
        "keys": ["data.sources.train.size=40", "eval=null", "stages.first.until.steps=5",
                 "stages.words.until.steps=1", "stages.second.until.steps=5", "checkpoint.every=3",
                 "model.augment={min_scale: 1, max_scale: 1, min_ratio: 1, max_ratio: 1, flip: 0}"],
        "stages": ["first", "second"],
        "runs": ["40 of 80", "0 of 80"],  # the same tower and pictures
    },
    "qwen_vl": {
        "config": CONFIGS / "qwen_vl" / "tiny.yaml",
        "keys": ["data.sources.questions.size=20", "data.sources.boxes.size=20", "eval=null",
                 "stages.pretrain.until.steps=1", "stages.multitask.until.steps=1",
                 "stages.instruct.until.steps=10", "checkpoint.every=4"],
        "stages": ["instruct"],
        "runs": ["40 of 80"],
    },
}


def kept(family, value="features"):
    return ["stages.%s.cache=%s" % (stage, value) for stage in FAMILIES[family]["stages"]]


class KeptFeatures(common.RunTest):
    def go(self, family, name, *more, code=0):
        one = FAMILIES[family]
        return self.train(name, *one["keys"], *more, config=one["config"], code=code)

    def one_file(self, folder):
        files = sorted(folder.glob("*.rows"))
        self.assertEqual(len(files), 1, files)
        return files[0]

    def test_the_same_bits_as_without_and_the_tower_once_a_picture(self):
        for family, one in FAMILIES.items():
            plain, cached = family + " plain", family + " kept"
            self.go(family, plain)
            error = self.go(family, cached, *kept(family))
            self.assert_same_end(cached, plain)
            told = re.findall(r"features: the tower was run for (\d+ of \d+) pictures", error)
            self.assertEqual(told, one["runs"], error[-3000:])

    def test_a_killed_run_goes_on_to_the_same_bytes(self):
        for family in ("llava", "blip2"):
            one = FAMILIES[family]
            plain, killed = family + " plain", family + " killed"
            self.go(family, plain)
            process = self.start(killed, *one["keys"], *kept(family), config=one["config"])
            self.wait_for_step(killed, 5, process)
            process.kill()
            self.end(process)
            self.go(family, killed, *kept(family))
            self.assert_same_end(killed, plain)

    def test_damaged_rows_are_computed_again_and_a_cut_file_is_refused(self):
        folder = self.folder / "rows"
        self.go("llava", "plain")
        where = kept("llava", "{folder: %s}" % folder)
        self.go("llava", "first", *where)
        file = self.one_file(folder)
        good = bytearray(file.read_bytes())
        row = 4 * 4 * 32  # bytes of a place: patches, numbers, fp32
        for place in range(len(good) - 10 * row, len(good), row):
            good[place] ^= 1
        file.write_bytes(good)
        error = self.go("llava", "damaged", *where)
        self.assertIn("are damaged", error)
        self.assert_same_end("damaged", "plain")
        error = self.go("llava", "mended", *where)
        self.assertNotIn("are damaged", error)
        self.assertIn("the tower was run for 0 of 80 pictures", error)
        file.write_bytes(file.read_bytes()[:-100])
        error = self.go("llava", "cut", *where, code=65)
        self.assertIn("the file was cut", error)
        self.assertIn("remove the file", error)
        file.unlink()
        self.go("llava", "anew", *where)
        self.assert_same_end("anew", "plain")

    def test_bf16_takes_half_the_room_and_is_near(self):
        full, half = kept("llava"), kept("llava", "{type: bf16}")
        self.go("llava", "full", *full)
        self.go("llava", "half", *half)
        sizes = [self.one_file(self.folder / run / "features").stat().st_size
                 for run in ("full", "half")]
        self.assertLess(sizes[1], 0.75 * sizes[0])  # beside the entries
        self.assert_close(self.losses("half"), self.losses("full"), 0.01, "bf16")
        self.assertNotEqual((newest(self.folder / "half") / "model.safetensors").read_bytes(),
                            (newest(self.folder / "full") / "model.safetensors").read_bytes())

    def test_fixed_views_are_read_again(self):
        keys = [key for key in FAMILIES["blip2"]["keys"] if "augment" not in key]
        keys += ["model.views=1", "stages.second.cache=null", "stages.first.cache=features"]
        error = self.train("views", *keys, config=FAMILIES["blip2"]["config"])
        self.assertIn("the tower was run for 40 of 80 pictures", error)

    def test_what_cannot_be_kept_is_refused(self):
        llava, blip2 = FAMILIES["llava"]["config"], FAMILIES["blip2"]["config"]
        for config, keys, words in (
                (llava, ["stages.connector.train=all", "stages.connector.cache=features"],
                 r"stages\.connector\.cache: expected a frozen tower.*vision_tower"),
                (blip2, ["stages.first.cache=features"],
                 r"stages\.first\.cache: expected pictures that are the same in every epoch.*"
                 r"model\.views"),
                (common.CONFIG, ["stages.contrast.cache=features"],
                 r"stages\.contrast\.cache: expected a family with a tower"),
                (llava, ["stages.connector.cache={type: int8}"], r"cache\.type"),
                (llava, ["stages.connector.cache=pixels"], r"cache: expected features")):
            code, _, error = tandem("check", config, "--plan-only", *keys)
            self.assertEqual(code, 64, error)
            self.assertRegex(error, words)

    def test_check_plans_the_room(self):
        config = FAMILIES["llava"]["config"]
        code, told, error = tandem("check", config, "--plan-only",
                                   "stages.connector.cache={folder: %s, pictures: 100000}"
                                   % (self.folder / "rows"), "stages.instruct.cache=features")
        self.assertEqual(code, 0, error)
        place = 4 * 32 * 4 + 64  # of a picture's rows, and its entry
        wanted = (100000 + 25000 + 16) * place / 2**20
        found = re.search(r"kept features: 100000 pictures x 4 rows x 32 numbers in fp32, (\d+) MiB "
                          r"of disk in \S+/rows \((\d+) MiB are free there", told)
        self.assertTrue(found, told)
        self.assertAlmostEqual(int(found.group(1)), wanted, delta=1.1)
        self.assertIn("kept features: 800 pictures", told)
        self.assertIn("of disk in the run's folder", told)


if __name__ == "__main__":
    main()
