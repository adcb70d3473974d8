"""Preferences against a frozen copy: where they begin, what a resumed run gives, what is exported and
measured."""

import math

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
                # A file of weights names no reference.
                self.assertEqual(set(found), {key for key in trained if "reward" not in key
                                              and not key.endswith(".kl")})
                for key, value in found.items():
                    self.assertLess(abs(trained[key] - value), 1e-4 * max(1, abs(value)), key)


def has_preference(row):
    return "eval.preferences_test.preference.accuracy" in row


if __name__ == "__main__":
    main()
