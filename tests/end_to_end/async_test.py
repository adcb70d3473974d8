"""Checkpoints that are written in the background keep every promise of those that are not."""

import shutil
import signal

import common
from common import main, metrics, newest
from crash_io_test import EXITED, MARKS, calls_of

ASYNC = ["checkpoint.async=true"]
CRASH = ["stages.contrast.until.steps=4", "checkpoint.every=2", "checkpoint.keep=1",
         "eval.tasks=[]", *ASYNC]


class Async(common.RunTest):
    def test_the_same_bytes_as_without(self):
        self.train("whole")
        for ranks in (1, 2):
            name = "async %d" % ranks
            self.train(name, "--procs", ranks, "checkpoint.every=1", *ASYNC)
            if ranks == 1:
                self.assert_same_end(name, "whole")
            for step in (1, 6, 19):
                self.train("stopped %d" % ranks, "--procs", ranks, "--stop-after", step,
                           "checkpoint.every=1", *ASYNC, code=75)
                self.assertEqual(newest(self.folder / ("stopped %d" % ranks)).name,
                                 "step-%06d" % step)
            self.train("stopped %d" % ranks, "--procs", ranks, *ASYNC)
            self.assert_same_end("stopped %d" % ranks, name)

    def test_each_saved_state_is_that_of_its_step(self):
        """Training goes on while it is written: what is written is what was handed over."""
        many = ["checkpoint.every=1", "checkpoint.keep=100", "eval.tasks=[]"]
        self.train("sync", *many)
        self.train("async", *many, *ASYNC)
        for step in range(1, 21):
            for file in ("model.safetensors", "optimizer.safetensors"):
                one, other = (self.folder / run / "checkpoints" / ("step-%06d" % step) / file
                              for run in ("sync", "async"))
                self.assertEqual(one.read_bytes(), other.read_bytes(), (step, file))

    def run_with(self, name, code, *arguments, **variables):
        shutil.rmtree(self.folder / name, ignore_errors=True)
        got, error = self.end(self.start(name, *arguments, environment=variables))
        self.assertEqual(got, code, error[-3000:])
        return error

    def test_the_process_ends_at_calls_of_a_save(self):
        trace = self.folder / "trace"
        self.run_with("whole", 0, *CRASH, TANDEM_IO_TRACE=str(trace))
        calls = [record for record in calls_of(trace) if record[0] not in MARKS]
        for n in range(3, len(calls) + 1, 4):
            with self.subTest(call=n, what=calls[n - 1]):
                self.run_with("crashed", EXITED, *CRASH, TANDEM_IO_EXIT_AT=str(n))
                error = self.train("crashed", *CRASH)
                self.assertNotIn("passed over", error)
                self.assert_same_end("crashed", "whole")

    def test_a_failed_save_ends_the_run_at_the_next_step(self):
        trace = self.folder / "trace"
        self.run_with("whole", 0, *CRASH, TANDEM_IO_TRACE=str(trace))
        calls = [record for record in calls_of(trace) if record[0] not in MARKS]
        first = next(i for i, c in enumerate(calls, 1) if c[0] == "write")
        long = ["stages.contrast.until.steps=100000", "checkpoint.every=2", "eval.tasks=[]", *ASYNC]
        error = self.run_with("full", 74, *long, TANDEM_IO_FAIL_AT="%d:ENOSPC" % first)
        self.assertIn("No space left on device", error)
        # The save of step 2 fails; that of step 4, at the latest, waits for it and says so.
        self.assertLessEqual(len(metrics(self.folder / "full")), 4)
        error = self.run_with("two", 74, "--procs", 2, *long,
                              TANDEM_IO_FAIL_AT="%d:ENOSPC" % first)
        self.assertEqual(error.count("No space left on device"), 1, error)
        self.assertLessEqual(len(metrics(self.folder / "two")), 4)
        # The last save of a run is waited for.
        second = next(i for i, c in enumerate(calls, 1) if "step-000004" in c[1])
        error = self.run_with("end", 74, *CRASH, TANDEM_IO_FAIL_AT="%d:ENOSPC" % second)
        self.assertEqual(newest(self.folder / "end").name, "step-000002")
        self.train("end", *CRASH)
        self.assert_same_end("end", "whole")

    def test_killed_while_it_saves_all_the_time(self):
        run = ["stages.contrast.until.steps=60", "checkpoint.every=1", "eval.tasks=[]", *ASYNC]
        self.train("whole", *run)
        for after in (5, 17, 33):
            process = self.start("killed", *run)
            self.wait_for_step("killed", after, process)
            process.kill()
            self.end(process)
        process = self.start("killed", *run)
        self.wait_for_step("killed", 40, process)
        process.send_signal(signal.SIGINT)
        code, error = self.end(process)
        self.assertIn(code, (130, 0), error)
        self.assertEqual(newest(self.folder / "killed").name,
                         "step-%06d" % len(metrics(self.folder / "killed")))
        self.train("killed", *run)
        self.assert_same_end("killed", "whole")


if __name__ == "__main__":
    main()
