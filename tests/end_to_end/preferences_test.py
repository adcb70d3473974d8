"""Preferences against a frozen copy: where they begin, what a resumed run gives, what is exported."""

import math

import common
from common import main, metrics, newest, tandem, tensors

CONFIG = common.HERE.parent.parent / "configs/qwen25_vl/dpo_tiny.yaml"


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


if __name__ == "__main__":
    main()
