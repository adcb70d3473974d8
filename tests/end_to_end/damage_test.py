"""A broken file in the newest checkpoint: the run says so, sets it aside, takes the one before."""

import os
import random
import re
import shutil

import common
from common import main, newest

RUN = ["checkpoint.every=3", "eval.tasks=[]"]
ALBEF = common.HERE.parent.parent / "configs" / "albef" / "tiny.yaml"
FILES = ["config.json", "manifest.json", "model.safetensors", "optimizer.safetensors",
         "preprocessor_config.json", "state.json", "tokenizer.json"]


def cut(path, size):
    os.truncate(path, size)


def flip(path, position, bit):
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << bit
    path.write_bytes(data)


class Broken(common.RunTest):
    """A run of 8 steps, and one that stopped at step 6 with checkpoints of steps 3 and 6."""

    config, stage = common.CONFIG, "contrast"

    def setUp(self):
        super().setUp()
        self.train("whole", *RUN)
        self.train("base", "--stop-after", 6, *RUN, code=75)

    def train(self, name, *arguments, **options):
        return super().train(name, "stages.%s.until.steps=8" % self.stage, *arguments,
                             config=self.config, **options)

    def fresh(self, name):
        shutil.copytree(self.folder / "base", self.folder / name)
        return newest(self.folder / name)

    def goes_on(self, name, broken):
        """From the checkpoint of step 3."""
        error = self.train(name, *RUN)
        self.assertRegex(error, r"checkpoint step-000006 is passed over: .*%s" % re.escape(broken))
        self.assertIn("checkpoint step-000006 is set aside as step-000006.broken-1\n", error)
        self.assertIn("resuming after step 3\n", error)
        self.assertTrue((self.folder / name / "checkpoints" / "step-000006.broken-1").is_dir())
        self.assert_same_end(name, "whole")
        shutil.rmtree(self.folder / name)


class QueuesAndCopies(Broken):
    config, stage = ALBEF, "pretrain"

    def test_every_file_cut_and_bits_flipped_in_queues_and_copies(self):
        for file in FILES:
            with self.subTest(file=file):
                path = self.fresh("cut") / file
                cut(path, path.stat().st_size // 2)
                self.goes_on("cut", file)
        weights = newest(self.folder / "base") / "model.safetensors"
        for name in ("image_queue", "queue_ptr", "text_encoder_m.cls.predictions.bias"):
            with self.subTest(tensor=name):
                first, end = common.place_of(weights, name)
                flip(self.fresh("flipped") / weights.name, (first + end) // 2, 3)
                self.goes_on("flipped", weights.name)


class Damage(Broken):
    def test_the_files_are_those_that_are_damaged_here(self):
        self.assertEqual(sorted(os.listdir(newest(self.folder / "base"))), FILES)

    def test_every_file_cut(self):
        for file in FILES:
            size = (newest(self.folder / "base") / file).stat().st_size
            for length in (0, size // 2, size - 1):
                with self.subTest(file=file, length=length):
                    cut(self.fresh("cut") / file, length)
                    self.goes_on("cut", file)

    def test_every_file_with_a_flipped_bit(self):
        chance = random.Random(6)
        for file in FILES:
            size = (newest(self.folder / "base") / file).stat().st_size
            for position in (0, chance.randrange(size), size - 1):
                with self.subTest(file=file, position=position):
                    flip(self.fresh("flipped") / file, position, chance.randrange(8))
                    # A changed name in the manifest is told as the file that is not there.
                    self.goes_on("flipped", "" if file == "manifest.json" else file)

    def test_every_file_gone_and_the_folder_emptied(self):
        for file in FILES:
            with self.subTest(file=file):
                (self.fresh("gone") / file).unlink()
                self.goes_on("gone", file)
        folder = self.fresh("emptied")
        shutil.rmtree(folder)
        folder.mkdir()
        self.goes_on("emptied", "manifest.json")

    def test_all_checkpoints_broken(self):
        for folder in (self.fresh("all") / "..").resolve().iterdir():
            flip(folder / "model.safetensors", 1000, 0)
        error = self.train("all", *RUN)
        for step in (3, 6):
            self.assertIn("step-%06d is set aside as step-%06d.broken-1\n" % (step, step), error)
        self.assertNotIn("resuming", error)
        self.assert_same_end("all", "whole")

    def test_broken_again_is_set_aside_beside_the_first(self):
        for k in (1, 2):
            if k == 1:
                self.fresh("again")
            else:
                self.train("again", "--stop-after", 6, *RUN, code=75)
            flip(newest(self.folder / "again") / "optimizer.safetensors", 5000, k)
            error = self.train("again", "--stop-after", 5, *RUN, code=75)
            self.assertIn("set aside as step-000006.broken-%d\n" % k, error)
        self.train("again", *RUN)
        self.assert_same_end("again", "whole")

    def test_a_flipped_bit_is_found_by_who_reads_the_weights_alone(self):
        chance = random.Random(7)
        verbs = (("export", "out"), ("eval", "task={task: retrieval, source: test, size: 8}"))
        for file in FILES:
            if file == "optimizer.safetensors":  # nobody reads it there
                continue
            folder = self.fresh("flipped")
            size = (folder / file).stat().st_size
            # In weights, among the numbers: a header that is broken is told as such.
            flip(folder / file, size - 1 - chance.randrange(size // 4), chance.randrange(8))
            for path in (folder, self.folder / "flipped"):
                for verb, argument in verbs:
                    with self.subTest(file=file, verb=verb, path=path.name):
                        code, _, error = common.tandem(verb, path, argument, folder=self.folder)
                        self.assertEqual(code, 65, error)
                        self.assertIn(file, error)
                        self.assertFalse((self.folder / "out").exists())
            if file == "model.safetensors":
                for begins in (["model.pretrained=%s" % folder, "model.vocabulary=0"],
                               ["stages.contrast.init=%s" % folder]):
                    error = self.train("begun", *begins, *RUN, code=65)
                    self.assertIn(file, error)
                    shutil.rmtree(self.folder / "begun", ignore_errors=True)
            shutil.rmtree(self.folder / "flipped")

    def test_a_manifest_of_another_program_is_none(self):
        folder = self.fresh("other")
        (folder / "manifest.json").write_text('{"files": ["model.safetensors"]}\n')
        flip(folder / "model.safetensors", (folder / "model.safetensors").stat().st_size - 2, 0)
        code, _, error = common.tandem("export", folder, self.folder / "out")
        self.assertEqual(code, 0, error)

    def test_one_that_is_named_is_refused_and_stays(self):
        folder = self.fresh("named")
        flip(folder / "state.json", 3, 1)
        error = self.train("named", "--resume", folder, *RUN, code=65)
        self.assertIn("state.json", error)
        self.assertTrue(folder.is_dir())


if __name__ == "__main__":
    main()
