"""TensorBoard's own reader on the event files of a run."""

import json
import pathlib
import subprocess
import unittest

import common
from common import main

PYTHON = common.HERE.parents[1] / ".deps" / "reference" / "bin" / "python"
READ = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator, SCALARS
events = EventAccumulator(sys.argv[1], size_guidance={SCALARS: 0})
events.Reload()
print(json.dumps({tag: [[e.step, e.value] for e in events.Scalars(tag)]
                  for tag in events.Tags()["scalars"]}))
"""


def has_tensorboard():
    return PYTHON.exists() and subprocess.run(
        [str(PYTHON), "-c", "import tensorboard.backend.event_processing.event_accumulator"],
        capture_output=True).returncode == 0


@unittest.skipUnless(has_tensorboard(), "scripts/setup_reference installs TensorBoard's reader")
class TensorBoard(common.RunTest):
    def scalars(self, name):
        done = subprocess.run([str(PYTHON), "-c", READ, str(self.folder / name)],
                              capture_output=True, text=True, timeout=common.LIMIT)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        self.assertNotIn("corrupt", done.stderr.lower())
        return json.loads(done.stdout)

    def assert_holds_the_metrics(self, name):
        scalars = self.scalars(name)
        rows = [json.loads(line)
                for line in (self.folder / name / "metrics.jsonl").read_text().splitlines()]
        keys = {key for row in rows for key in row} - {"step", "stage"}
        self.assertEqual(set(scalars), {key.replace(".", "/", 1) for key in keys})
        for key in keys:
            expected = [[row["step"], row[key]] for row in rows if key in row]
            got = scalars[key.replace(".", "/", 1)]
            self.assertEqual([step for step, _ in got], [step for step, _ in expected], key)
            for (_, a), (_, b) in zip(got, expected):
                self.assertLessEqual(abs(a - b), 1e-6 * max(1, abs(b)), key)

    def test_every_number_of_a_run_is_read_back(self):
        self.train("run")
        self.assert_holds_the_metrics("run")

    def test_steps_that_come_again_after_a_stop_are_read_once(self):
        self.train("run", "--stop-after", 7, code=75)
        checkpoints = self.folder / "run" / "checkpoints"
        for folder in sorted(pathlib.Path(checkpoints).iterdir()):
            if folder.name != "step-000005":  # so that 6 and 7 are made again
                common.shutil.rmtree(folder)
        self.train("run")
        self.assertGreater(len(list((self.folder / "run").glob("events.out.tfevents.*"))), 1)
        self.assert_holds_the_metrics("run")

    def test_both_can_be_switched_off(self):
        self.train("run", "report.tensorboard=false", "report.csv=false",
                   "stages.contrast.until.steps=2", "eval.tasks=[]")
        self.assertEqual(list((self.folder / "run").glob("events.*")), [])
        self.assertFalse((self.folder / "run" / "metrics.csv").exists())


if __name__ == "__main__":
    main()
