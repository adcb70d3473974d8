"""Steps whose loss or gradient is not finite: recorded, without effect, and ended after ten."""

import json
import shutil

import common
from common import HERE, config_of, floats, lines, main, make_pictures, metrics, newest, tensors

# The first update throws the weights out of all bounds; every step after it is broken.
DIVERGES = ["stages.contrast.optimizer.lr=1e38", "stages.contrast.optimizer.warmup=1",
            "stages.contrast.optimizer.schedule=constant", "stages.contrast.optimizer.clip=0",
            "eval.tasks=[]"]


class Numerics(common.RunTest):
    def data_of(self, name, step, file):
        return tensors(self.folder / name / "checkpoints" / ("step-%06d" % step) / file)

    def test_ten_broken_steps_in_a_row_end_the_run_on_all_ranks(self):
        for ranks in (1, 2):
            with self.subTest(ranks=ranks):
                name = "%d ranks" % ranks
                arguments = ["--procs", ranks, "checkpoint.every=1", "checkpoint.keep=20",
                             *DIVERGES]
                error = self.train(name, *arguments, code=77)
                self.assertRegex(error, r"\[numerics\].*10 steps in a row")
                self.assertRegex(error, r"smaller learning rate.*warm-up.*clipping")
                self.assert_nobody_left(name)
                rows = metrics(self.folder / name)
                self.assertEqual([row["step"] for row in rows], list(range(1, 12)))
                self.assertIsInstance(rows[0]["loss"], float)
                for row in rows[1:]:
                    self.assertIn("nan", (row["loss"], row["grad_norm"]))
                broken = lines(self.folder / name / "broken_steps.jsonl")
                self.assertEqual([(one["step"], one["rank"]) for one in broken],
                                 [(step, rank) for step in range(2, 12) for rank in range(ranks)])
                for one in broken:
                    self.assertEqual(len(set(one["samples"])), 16 // ranks)
                # The step before the first broken one, and the last that was saved.
                for file in ("model.safetensors", "optimizer.safetensors"):
                    self.assertEqual(self.data_of(name, 1, file), self.data_of(name, 10, file))
                # The same command goes on from its checkpoint and comes to the same end.
                self.train(name, *arguments, code=77)
                self.assertEqual(lines(self.folder / name / "broken_steps.jsonl"), broken)
        one, two = ([[id for one in lines(self.folder / name / "broken_steps.jsonl")
                      if one["step"] == 5 for id in one["samples"]]
                     for name in ("1 ranks", "2 ranks")])
        self.assertEqual(one, two)

    def poisoned_model(self, caption, rows, tiny=common.CONFIG, stage="contrast"):
        """A model with NaN in the rows of its tables that only the caption of one of the 64 pictures
        comes to. rows: by table, from its tokenizer's vocabulary."""
        names = make_pictures(self.folder / "pictures", 64)
        (self.folder / "pictures" / "0040.txt").write_text(caption + "\n")
        config = config_of(self, {"format": "folder", "path": "pictures"}, tiny, stage)
        self.train("first", "stages.%s.until.steps=1" % stage, config=config)
        model = newest(self.folder / "first")
        vocabulary = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"]
        path = model / "model.safetensors"
        entries = tensors(path)
        for name, which in rows.items():
            dtype, shape, data = entries[name]
            row = 4 * shape[1] * which(vocabulary)
            poison = b"\0\0\xc0\x7f" * shape[1]
            entries[name] = (dtype, shape, data[:row] + poison + data[row + len(poison):])
        pretrained = self.folder / "poisoned"
        pretrained.mkdir()
        common.write_tensors(pretrained / "model.safetensors", entries)
        for file in ("config.json", "tokenizer.json"):
            (pretrained / file).write_bytes((model / file).read_bytes())
        own = ["model.pretrained=%s" % pretrained, "model.vocabulary=0", "checkpoint.every=1",
               "checkpoint.keep=50"]
        return config, own, names[40]

    def test_a_broken_step_is_not_in_the_queues_and_moves_no_copy(self):
        # The 31st place of a text; a word's row would be among the words that MLM tells apart.
        last = lambda _: 30
        table = "text_encoder%s.embeddings.position_embeddings.weight"
        for family, part in (("albef", "%s.bert"), ("blip", "%s")):
            with self.subTest(family):
                rows = {table % (part % suffix): last for suffix in ("", "_m")}
                tiny = HERE.parent.parent / "configs" / family / "tiny.yaml"
                config, own, guilty = self.poisoned_model("a boat " * 20, rows, tiny, "pretrain")
                self.train("run", *own, config=config)
                broken = lines(self.folder / "run" / "broken_steps.jsonl")
                steps = [one["step"] for one in broken]
                self.assertEqual([(step - 1) // 4 for step in steps], list(range(5)))
                for one in broken:
                    self.assertIn(guilty, one["samples"])
                for row in metrics(self.folder / "run"):
                    self.assertEqual(row["loss"] == "nan", row["step"] in steps)
                for step in steps:
                    now = self.data_of("run", step, "model.safetensors")
                    copies = {name for name in now if name.split(".")[0].endswith("_m")}
                    self.assertTrue(copies)
                    if step > 1:
                        before = self.data_of("run", step - 1, "model.safetensors")
                        for name in set(now) - copies:  # the queues and their place, too
                            self.assertEqual(now[name], before[name], name)
                    if step < 20 and step + 1 not in steps:
                        after = self.data_of("run", step + 1, "model.safetensors")
                        for name in copies:
                            self.assertEqual(after[name], now[name], name)
                        self.assertNotEqual(after["image_queue"], now["image_queue"])
                # A run that goes on behind a broken step still knows of it.
                self.train("stopped", "--stop-after", steps[1], *own, code=75, config=config)
                self.train("stopped", *own, config=config)
                self.assert_same_end("stopped", "run")
                for folder in ("run", "stopped", "first", "poisoned", "pictures"):
                    shutil.rmtree(self.folder / folder)

    def test_single_broken_steps_change_nothing_and_the_run_goes_on(self):
        name = "text_model.embeddings.token_embedding.weight"
        config, own, guilty = self.poisoned_model("a boat 7", {name: lambda words: words["7</w>"]})
        self.train("alone", *own, config=config)
        broken = lines(self.folder / "alone" / "broken_steps.jsonl")
        # Twenty steps are five epochs of 64 samples: the guilty one comes once in each.
        self.assertEqual(len(broken), 5)
        self.assertEqual([(one["step"] - 1) // 4 for one in broken], list(range(5)))
        for one in broken:
            self.assertIn(guilty, one["samples"])
            if one["step"] > 1:
                for file in ("model.safetensors", "optimizer.safetensors"):
                    self.assertEqual(self.data_of("alone", one["step"], file),
                                     self.data_of("alone", one["step"] - 1, file))
        steps = tensors(newest(self.folder / "alone") / "optimizer.safetensors")["step"]
        self.assertEqual(floats(steps), (15.0,))
        for row in metrics(self.folder / "alone"):
            self.assertEqual(row["loss"] == "nan", row["step"] in [one["step"] for one in broken])

        # The NaN is on one rank; both skip the step.
        self.train("two", "--procs", 2, *own, config=config)
        self.assertEqual({one["step"] for one in lines(self.folder / "two" / "broken_steps.jsonl")},
                         {one["step"] for one in broken})
        finite = lambda name: [x for x in self.losses(name) if x != "nan"]
        self.assert_close(finite("two"), finite("alone"), 1e-5, "losses")
        steps = tensors(newest(self.folder / "two") / "optimizer.safetensors")["step"]
        self.assertEqual(floats(steps), (15.0,))


if __name__ == "__main__":
    main()
