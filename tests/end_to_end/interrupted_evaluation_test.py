"""A signal during an evaluation: the last finished step is saved, and the evaluation made again."""

import json
import shutil
import signal

import common
from common import main, metrics, newest

# Evaluations that take far longer than a step.
RUN = ["stages.contrast.until.steps=6", "eval.every=3", "eval.batch=1", "checkpoint.every=0",
       "eval.tasks=[{task: retrieval, source: train, size: 400}, {task: loss, size: 50}]"]


class InterruptedEvaluation(common.RunTest):
    def interrupt(self, name, number, rows, *extra):
        """Until the signal fell into the evaluation of step rows + 1."""
        for _ in range(20):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            process = self.start(name, *RUN, *extra)
            self.wait_for_step(name, rows, process)
            process.send_signal(number)
            code, error = self.end(process)
            self.assertEqual(code, 128 + number, error)
            state = json.loads((newest(self.folder / name) / "state.json").read_text())
            self.assertEqual(newest(self.folder / name).name, "step-%06d" % state["step"])
            if state["unfinished_row"]:
                self.assertEqual(state["step"], rows + 1)
                self.assertEqual(len(metrics(self.folder / name)), rows)
                return
        self.fail("no signal fell into an evaluation")

    def test_it_is_made_again(self):
        for extra in ([], ["--procs", 2]):
            whole = "whole %s" % extra
            self.train(whole, *RUN, *extra)
            for number, rows in ((signal.SIGINT, 2), (signal.SIGTERM, 5)):
                with self.subTest(signal=number.name, extra=extra):
                    name = "%s %s" % (number.name, extra)
                    self.interrupt(name, number, rows, *extra)
                    error = self.train(name, *RUN, *extra)
                    self.assertIn("resuming after step %d\n" % (rows + 1), error)
                    self.assert_same_end(name, whole)
                    error = self.train(name, *RUN, *extra)
                    self.assertIn("the run is complete: 6 steps in", error)


if __name__ == "__main__":
    main()
