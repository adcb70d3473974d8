"""Zero-shot classification while a run trains: its numbers are those of the predictions it leaves."""

import common
from common import lines, main, metrics, png, tandem

CLASSES = ["red", "green", "blue", "grey"]
COUNT = 26  # of two classes there is one picture more


class ZeroShot(common.RunTest):
    def setUp(self):
        super().setUp()
        pictures = self.folder / "pictures"
        pictures.mkdir()
        for i in range(COUNT):
            (pictures / ("%02d.png" % i)).write_bytes(png(i))
            (pictures / ("%02d.txt" % i)).write_text(CLASSES[i % 4] + "\n")
        self.config = common.config_of(self, {"format": "folder", "path": "pictures"})
        self.task = ("eval.tasks=[{task: zero_shot, source: own, classes: [%s],"
                     " templates: ['a {} picture', '{}']}]" % ", ".join(CLASSES))

    def recomputed(self, run):
        """The metrics, from the predictions alone."""
        predictions = lines(run / "eval" / "own.zero_shot.jsonl")
        self.assertEqual(len(predictions), COUNT)
        right = {name: [] for name in CLASSES}
        for one in predictions:
            text = (self.folder / "pictures" / one["id"]).with_suffix(".txt").read_text().strip()
            self.assertEqual(one["query"], text)
            self.assertEqual(sorted(one["top"]), sorted(CLASSES))
            self.assertEqual(one["scores"], sorted(one["scores"], reverse=True))
            self.assertEqual(one["top"].index(text), one["place"])
            right[text].append(one["top"][0] == text)
        return {"top1": sum(map(sum, right.values())) / COUNT, "top5": 1.0,
                "mean_per_class": sum(sum(own) / len(own) for own in right.values()) / len(CLASSES)}

    def test_the_numbers_of_a_run_are_those_of_its_predictions(self):
        for ranks in (1, 2):
            name = "run %d" % ranks
            run = self.folder / name
            self.train(name, "--procs", ranks, self.task, "eval.every=10 steps", config=self.config)
            rows = {row["step"]: {key[len("eval.own.zero_shot."):]: row[key] for key in row
                                  if key.startswith("eval.own.zero_shot.")} for row in metrics(run)}
            measured = {step: values for step, values in rows.items() if values}
            self.assertEqual(sorted(measured), [10, 20])
            expected = self.recomputed(run)  # of the last evaluation
            self.assertEqual(set(measured[20]), set(expected))
            for key, value in expected.items():
                self.assertAlmostEqual(measured[20][key], value, 9, key)
            # The same after training.
            out = self.folder / ("out %d" % ranks)
            code, text, error = tandem("eval", run, self.task, "--out", out, folder=self.folder)
            self.assertEqual(code, 0, error)
            shown = dict(line.split() for line in text.splitlines())
            self.assertEqual(self.recomputed(out), expected)
            for key, value in expected.items():
                self.assertEqual(shown["eval.own.zero_shot." + key], "%.4f" % value)

    def test_a_picture_of_no_class_is_left_out_by_its_name(self):
        (self.folder / "pictures" / "07.txt").write_text("purple\n")
        error = self.train("run", self.task, "eval.every=10 steps", config=self.config)
        self.assertRegex(error, "left out 07.png: .*'purple'")
        self.assertEqual(metrics(self.folder / "run")[-1]["eval.own.zero_shot.left_out"], 1)
        predictions = lines(self.folder / "run" / "eval" / "own.zero_shot.jsonl")
        self.assertEqual(len(predictions), COUNT - 1)
        self.assertNotIn("07.png", [one["id"] for one in predictions])


if __name__ == "__main__":
    main()
