"""Preferences against a frozen copy: where they begin, what a resumed run gives, what is exported and
measured."""

import math
import shutil

import common
from common import main, metrics, newest, tandem, tensors

CONFIGS = common.HERE.parent.parent / "configs"
CONFIG = CONFIGS / "qwen25_vl/dpo_tiny.yaml"


class Preferences(common.RunTest):
    def test_they_begin_at_the_reference_and_resume_in_the_same_bytes(self):
        self.train("whole", config=CONFIG)
        rows = [row for row in metrics(self.folder / "whole") if row["stage"] == "dpo"]
        self.assertAlmostEqual(rows[0]["loss.dpo"], math.log(2), places=4)
        self.assertLess(min(row["loss.dpo"] for row in rows[1:]), math.log(2))
        steps = len(metrics(self.folder / "whole"))
        for step in (steps - len(rows), steps - 3):  # at its begin, and in it
            self.train("stopped", "--stop-after", step, config=CONFIG, code=75)
        self.train("stopped", config=CONFIG)
        self.assert_same_end("stopped", "whole")

    def test_an_export_leaves_the_copy(self):
        self.train("whole", config=CONFIG)
        kept = tensors(newest(self.folder / "whole") / "model.safetensors")
        self.assertTrue(any(name.startswith("reference.") for name in kept))
        code, _, error = tandem("export", self.folder / "whole", self.folder / "out")
        self.assertEqual(code, 0, error)
        own = {name: value for name, value in kept.items() if not name.startswith("reference.")}
        self.assertEqual(tensors(self.folder / "out" / "model.safetensors"), own)

    def test_what_is_measured_does_not_depend_on_ranks_and_batches(self):
        for family in ("qwen25_vl", "llava"):
            name = family + "_run"
            self.train(name, "eval.tasks=[{task: preference, source: preferences_test, size: 41,"
                       " stages: [instruct, dpo]}]", config=CONFIGS / family / "dpo_tiny.yaml")
            rows = metrics(self.folder / name)
            before = [row for row in rows if row["stage"] != "dpo" and has_preference(row)][-1]
            trained = {key: value for key, value in rows[-1].items()
                       if key.startswith("eval.preferences_test.")}
            self.assertNotIn("eval.preferences_test.preference.kl", before)
            self.assertGreater(trained["eval.preferences_test.preference.kl"], 0)
            for ranks, batch in ((1, 64), (2, 5), (1, 7)):
                code, out, error = tandem("eval", self.folder / name, "--procs", ranks,
                                          "eval.batch=%d" % batch)
                self.assertEqual(code, 0, error[-3000:])
                found = {key: float(value) for key, value in map(str.split, out.splitlines())}
                self.assertEqual(set(found), set(trained))  # the copy is in the checkpoint
                for key, value in found.items():
                    self.assertLess(abs(trained[key] - value), 1e-4 * max(1, abs(value)), key)
            code, _, error = tandem("export", self.folder / name, self.folder / (name + "_out"))
            self.assertEqual(code, 0, error)
            code, out, error = tandem(
                "eval", self.folder / (name + "_out"), CONFIGS / family / "dpo_tiny.yaml")
            self.assertEqual(code, 0, error[-3000:])
            self.assertIn("preference.accuracy", out)
            self.assertNotIn("reward", out)  # a file of weights names no reference

    def test_adapters_are_what_a_run_is_compared_without(self):
        self.train("run", "stages.dpo.model.preference.reference=adapters",
                   "stages.dpo.train=[{match: \"model.layers.*_proj\", lora: {rank: 4}}]",
                   "stages.dpo.optimizer.lr=1e-2", config=CONFIG)
        trained = {key: value for key, value in metrics(self.folder / "run")[-1].items()
                   if key.startswith("eval.")}
        code, out, error = tandem("eval", self.folder / "run")
        self.assertEqual(code, 0, error[-3000:])
        found = {key: float(value) for key, value in map(str.split, out.splitlines())}
        self.assertEqual(set(found), set(trained))
        self.assertGreater(found["eval.preferences_test.preference.kl"], 0)
        for key, value in found.items():
            self.assertLess(abs(trained[key] - value), 1e-4 * max(1, abs(value)), key)

    def test_kept_values_change_no_bit(self):
        # Sixteen pairs, four steps of eight: two epochs.
        short = ["data.sources.preferences.size=16", "stages.dpo.until.steps=4", "eval.tasks=[]"]
        keep = [*short, "stages.dpo.model.preference.keep=100"]
        alone = "stages.dpo.data.micro_batch=1"  # in batches the reference has rounded otherwise
        self.train("plain", *short, alone, config=CONFIG)
        self.train("kept", *keep, alone, config=CONFIG)
        self.assert_same_end("kept", "plain")
        self.assertEqual(len(list((self.folder / "kept" / "kept").glob("*.reference"))), 1)
        self.train("batches", *short, config=CONFIG)
        for name, more in (("kept_batches", []), ("packs", ["stages.dpo.data.max_tokens=400"])):
            self.train(name, *keep, *more, config=CONFIG)
            self.assert_close(self.losses(name), self.losses("batches"), 1e-4, name)
            steps = len(metrics(self.folder / name))
            for lost in (False, True):
                stopped = "%s_%d" % (name, lost)
                self.train(stopped, *keep, *more, "--stop-after", steps - 1, config=CONFIG, code=75)
                if lost:
                    shutil.rmtree(self.folder / stopped / "kept")
                self.train(stopped, *keep, *more, config=CONFIG)
                self.assert_same_end(stopped, name)


def has_preference(row):
    return "eval.preferences_test.preference.accuracy" in row


if __name__ == "__main__":
    main()
