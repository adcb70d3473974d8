"""ScienceQA from outside: a LLaVA is fine-tuned on a small release and scored by letters."""

import json

import common
from common import HERE, main, metrics

TINY = HERE.parent.parent / "configs" / "llava" / "tiny.yaml"
CONFIG = """
include: [%s]
name: science
model: {max_tokens: 512}
data:
  sources:
    science: {format: science_qa, path: release, split: [train]}
    science_test: {format: science_qa, path: release, split: [test]}
stages:
  - name: instruct
    data: {mix: {science: 1, questions: null}}
    until: {steps: 24}
eval: {every: 0, batch: 4, tasks: [{task: letters, source: science_test, max_length: 64, stages: [instruct]}]}
"""
THINGS = ["rain", "the sun", "a river", "a stone"]


def problem(number, split):
    """Every other one has a picture, every third one no lecture."""
    count = 2 + number % 3
    return {"question": "Which of these is number %d?" % number, "choices": THINGS[:count],
            "answer": number % count, "hint": "Look." if number % 4 == 0 else "",
            "image": "image.png" if number % 2 == 0 else None,
            "lecture": "" if number % 3 == 0 else "Things have numbers.",
            "solution": "It is %s." % THINGS[number % count], "split": split,
            "subject": "natural science"}


class Science(common.RunTest):
    def release(self, train, test):
        folder = self.folder / "release"
        splits = {"train": [], "val": [], "test": []}
        problems = {}
        for number in range(train + test):
            split = "train" if number < train else "test"
            name = str(number + 1)
            problems[name] = problem(number, split)
            splits[split].append(name)
            if problems[name]["image"]:
                place = folder / "images" / split / name
                place.mkdir(parents=True)
                (place / "image.png").write_bytes(common.png(number))
        (folder / "problems.json").write_text(json.dumps(problems))
        (folder / "pid_splits.json").write_text(json.dumps(splits))
        config = self.folder / "science.yaml"
        config.write_text(CONFIG % TINY)
        return config

    def test_it_is_learned_and_scored_by_letters(self):
        config = self.release(train=48, test=12)
        error = self.train("run", config=config)
        rows = metrics(self.folder / "run")
        losses = [row["loss"] for row in rows if row["stage"] == "instruct"]
        self.assertEqual(len(losses), 24)
        self.assertLess(sum(losses[-4:]), 0.85 * sum(losses[:4]))
        # Lecture, explanation and answer are learned, the question is not.
        self.assertRegex(error, r"(?s)Options: \(A\).*ASSISTANT:\[\[.*The answer is [A-E]\..*\]\]")
        row = rows[-1]
        accuracy, failed = (row["eval.science_test.letters." + key]
                            for key in ("accuracy", "failed"))
        self.assertTrue(0 <= accuracy <= 1 and 0 <= failed <= 1, row)
        self.assertLessEqual(accuracy + failed, 1 + 1e-9)
        lines = common.lines(self.folder / "run" / "eval" / "science_test.letters.jsonl")
        self.assertEqual(len(lines), 12)
        self.assertFalse((self.folder / "run" / "bad_samples.jsonl").exists())

    def test_a_run_goes_on_to_the_same_bytes(self):
        config = self.release(train=20, test=4)
        self.train("whole", config=config)
        self.train("stopped", "--stop-after", 17, config=config, code=75)
        self.train("stopped", config=config)
        self.assert_same_end("stopped", "whole")


if __name__ == "__main__":
    main()
