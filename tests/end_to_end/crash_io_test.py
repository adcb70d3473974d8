"""A run that ends at any I/O call of its saves, or whose disk is full there, loses nothing."""

import os
import shutil

import common
from common import main, newest

EXITED = 86  # of TANDEM_IO_EXIT_AT (include/tandem/base/files.h)
# Two saves, the second of which removes the first checkpoint.
RUN = ["stages.contrast.until.steps=4", "checkpoint.every=2", "checkpoint.keep=1", "eval.tasks=[]"]
MARKS = ("begin", "end")


def calls_of(trace):
    """The records of a trace as lists of fields, marks included; a write's bytes left out."""
    records, data, at = [], trace.read_bytes(), 0
    while at < len(data):
        end = data.index(b"\n", at)
        fields = data[at:end].decode().split("\t")
        at = end + 1
        if fields[0] == "write":
            at += int(fields[3]) + 1
        records.append(fields)
    return records


class CrashIo(common.RunTest):
    def run_with(self, name, code, **variables):
        """From the start, in a new folder."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        got, error = self.end(self.start(name, *RUN, environment=variables))
        self.assertEqual(got, code, error[-3000:])
        return error

    def record(self):
        """The whole run and what it does to the disk."""
        trace = self.folder / "trace"
        self.run_with("whole", 0, TANDEM_IO_TRACE=str(trace))
        return calls_of(trace)

    def goes_on(self, name):
        error = self.train(name, *RUN)
        self.assert_same_end(name, "whole")
        # A run that ended right after its last rename is complete: no later save clears the old.
        left = set(os.listdir(self.folder / name / "checkpoints"))
        if "the run is complete" not in error:
            self.assertEqual(left, {"step-000004"})
        self.assertIn("step-000004", left)
        return error

    def test_the_process_ends_at_every_call(self):
        calls = [record for record in self.record() if record[0] not in MARKS]
        self.assertGreater(len(calls), 70)
        second = next(i for i, c in enumerate(calls, 1) if "step-000004" in c[1])
        for n, call in enumerate(calls, 1):
            # What is half written differs from what is not; one call before is the same otherwise.
            for how in ("", ":partial") if call[0] == "write" else ("",):
                with self.subTest(call=n, how=how, what=call[0]):
                    self.run_with("crashed", EXITED, TANDEM_IO_EXIT_AT="%d%s" % (n, how))
                    error = self.goes_on("crashed")
                    self.assertNotIn("passed over", error)
                    self.assertEqual("resuming after step" in error, n >= second - 1)

    def test_a_full_disk_at_every_call_of_the_second_save(self):
        calls = [record for record in self.record() if record[0] not in MARKS]
        second = next(i for i, c in enumerate(calls, 1) if "step-000004" in c[1])
        durable = max(i for i, c in enumerate(calls, 1) if c[0] == "fsyncdir")
        self.train("base", "--stop-after", 2, *RUN, code=75)
        for n in range(second, len(calls) + 1):
            if calls[n - 1][0] not in ("mkdir", "create", "write", "fsync", "fsyncdir", "rename"):
                continue
            if n > durable:
                break
            with self.subTest(call=n, what=calls[n - 1][0]):
                error = self.run_with("full", 74, TANDEM_IO_FAIL_AT="%d:ENOSPC" % n)
                self.assertIn("No space left on device", error)
                self.assertIn("checkpoints", error)
                left = sorted(os.listdir(self.folder / "full" / "checkpoints"))
                if n < durable:
                    self.assertEqual(left, ["step-000002"])
                for file in ("model.safetensors", "optimizer.safetensors"):
                    self.assertEqual(
                        (self.folder / "full/checkpoints/step-000002" / file).read_bytes(),
                        (self.folder / "base/checkpoints/step-000002" / file).read_bytes())
                self.goes_on("full")

    def test_nothing_is_named_before_it_is_durable_or_removed_before_the_next_is(self):
        synced, named, scopes = set(), [], []
        for call in self.record():
            what, path = call[0], call[1]
            if what == "begin":
                scopes.append(path)
            elif what in ("create", "write", "mkdir"):
                synced.discard(path)
            elif what in ("fsync", "fsyncdir"):
                synced.add(path)
            elif what == "rename" and ".tmp." in path:
                inside = [p for p in synced if p.startswith(path)]
                self.assertIn(path, inside)
                self.assertEqual(len(inside), 8, inside)  # seven files and their folder
                synced.discard(os.path.dirname(path))
                named.append(os.path.basename(call[2]))
            elif what == "rename":  # of an old one, out of the way
                self.assertIn(os.path.dirname(path), synced)
                self.assertEqual(named, ["step-000002", "step-000004"])
            elif what == "end" and path.startswith("commit"):
                self.assertIn(str(self.folder / "whole" / "checkpoints"), synced)
        self.assertEqual(scopes, ["directory", "commit 2", "commit 4"])
        self.assertEqual(newest(self.folder / "whole").name, "step-000004")


if __name__ == "__main__":
    main()
