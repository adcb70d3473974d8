"""SIGINT and SIGTERM: a checkpoint after the last finished step, and the same command goes on."""

import os
import signal

import common
from common import main, metrics, newest

RUN = ["stages.contrast.until.steps=120", "checkpoint.every=0", "eval.tasks=[]"]


class Signals(common.RunTest):
    def test_saved_after_the_last_finished_step(self):
        self.train("whole", *RUN)
        for number, code, after in ((signal.SIGINT, 130, 5), (signal.SIGTERM, 143, 11)):
            with self.subTest(signal=number.name):
                name = number.name
                process = self.start(name, *RUN)
                self.wait_for_step(name, after, process)
                process.send_signal(number)
                got, error = self.end(process)
                self.assertEqual(got, code, error)
                done = len(metrics(self.folder / name))
                self.assertGreaterEqual(done, after)
                self.assertLess(done, 120)
                self.assertEqual(newest(self.folder / name).name, "step-%06d" % done)
                self.assertIn("stopped after step %d; the same command goes on" % done, error)
                error = self.train(name, *RUN)
                self.assertIn("resuming after step %d\n" % done, error)
                self.assert_same_end(name, "whole")

    def test_before_the_first_step(self):
        self.train("whole")
        process = self.start("early")
        for line in process.stderr:
            if "stage contrast" in line:
                break
        process.send_signal(signal.SIGINT)
        got, error = self.end(process)
        self.assertEqual(got, 130, error)
        self.train("early")
        self.assert_same_end("early", "whole")

    def save_that_hangs(self, name):
        """A process inside its save after a first SIGINT: nobody reads on from its trace."""
        fifo = self.folder / (name + " trace")
        os.mkfifo(fifo)
        process = self.start(name, *RUN, environment={"TANDEM_IO_TRACE": str(fifo)})
        trace = open(fifo, "rb", buffering=0)
        self.addCleanup(trace.close)
        self.wait_for_step(name, 3, process)
        process.send_signal(signal.SIGINT)
        seen = b""
        while b"begin\tcommit" not in seen:
            more = trace.read(1000)
            self.assertTrue(more, "no save before the end")
            seen += more
        return process

    def test_a_second_sigint_ends_a_save_at_once(self):
        self.train("whole", *RUN)
        for first_checkpoint in (False, True):
            with self.subTest(first_checkpoint=first_checkpoint):
                name = "twice, %s" % first_checkpoint
                if first_checkpoint:
                    self.train(name, "--stop-after", 2, *RUN, code=75)
                process = self.save_that_hangs(name)
                process.send_signal(signal.SIGINT)
                got, error = self.end(process)
                self.assertEqual(got, 130, error)
                committed = [path.name for path in (self.folder / name / "checkpoints").iterdir()
                             if ".tmp." not in path.name]
                self.assertEqual(committed, ["step-000002"] if first_checkpoint else [])
                self.train(name, *RUN)
                self.assert_same_end(name, "whole")


if __name__ == "__main__":
    main()
