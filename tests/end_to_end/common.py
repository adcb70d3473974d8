"""What the tests from outside share: run the binary, read what a run leaves behind.

Python's standard library only. The first argument of each test is the path of the binary.
"""

import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

HERE = pathlib.Path(__file__).resolve().parent
CONFIG = HERE / "tiny.yaml"
BINARY = ""
LIMIT = 240  # seconds for one command: a hang is a failure, not a stuck suite


def main():
    """Runs the cases of the test file that calls it."""
    global BINARY
    BINARY = os.path.abspath(sys.argv.pop(1))
    result = unittest.main(verbosity=2, exit=False).result
    if not result.wasSuccessful():
        sys.exit(1)
    # Where nothing could be tried, ctest counts the file as skipped.
    sys.exit(77 if result.testsRun and len(result.skipped) == result.testsRun else 0)


def tandem(*arguments, folder="."):
    """Any verb: (exit code, stdout, stderr)."""
    done = subprocess.run([BINARY, *map(str, arguments)], cwd=folder, timeout=LIMIT,
                          capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


class RunTest(unittest.TestCase):
    """A test with a folder of its own, in which runs stand side by side."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tandem-test."))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def command(self, name, *arguments, config=CONFIG):
        return [BINARY, "train", str(config), "--out", str(self.folder / name),
                *map(str, arguments)]

    def start(self, name, *arguments, config=CONFIG, environment=None):
        return subprocess.Popen(
            self.command(name, *arguments, config=config), stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, cwd=self.folder,
            env={**os.environ, **(environment or {})})

    def end(self, process):
        """Waits; gives (exit code, stderr)."""
        try:
            error = process.communicate(timeout=LIMIT)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            self.fail("still running after %d s: %s" % (LIMIT, process.communicate()[1][-3000:]))
        return process.returncode, error

    def train(self, name, *arguments, code=0, config=CONFIG):
        """Trains into the folder `name`, expects the exit code, gives stderr."""
        got, error = self.end(self.start(name, *arguments, config=config))
        self.assertEqual(got, code, error[-3000:])
        return error

    def losses(self, name):
        return [row["loss"] for row in metrics(self.folder / name)]

    def assert_close(self, a, b, relative, what):
        self.assertEqual(len(a), len(b), what)
        for step, (x, y) in enumerate(zip(a, b), 1):
            self.assertLessEqual(abs(x - y), relative * max(abs(x), abs(y)),
                                 "%s: step %d: %r and %r" % (what, step, x, y))

    def assert_same_end(self, a, b):
        """Byte-identical weights and optimizer, metrics equal but for the clock's."""
        a, b = self.folder / a, self.folder / b
        for file in ("model.safetensors", "optimizer.safetensors"):
            one, other = newest(a) / file, newest(b) / file
            self.assertEqual(one.parent.name, other.parent.name)
            self.assertTrue(one.read_bytes() == other.read_bytes(), "%s differ" % file)
        self.assertEqual(metrics(a), metrics(b))

    def wait_for_step(self, name, step, process):
        """Until the run has written the row of this step; fails when it ends before."""
        limit = time.monotonic() + LIMIT
        path = self.folder / name / "metrics.jsonl"
        while not (path.exists() and path.read_bytes().count(b"\n") >= step):
            if process.poll() is not None or time.monotonic() > limit:
                self.fail("no step %d: %s" % (step, self.end(process)[1][-3000:]))
            time.sleep(0.01)

    def assert_nobody_left(self, name):
        left = processes_of(self.folder / name)
        self.assertEqual(left, {}, "processes are left")


def metrics(run):
    """The rows of a run, without what the clock says."""
    rows = []
    for line in (run / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        rows.append({key: row[key] for key in row if not key.startswith("time.")})
    return rows


def rows_of(run):
    """How many rows its metrics have; 0 before there is a file."""
    path = run / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for(condition):
    """Until it holds; at most LIMIT seconds."""
    limit = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < limit, "waited for too long"
        time.sleep(0.005)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def newest(run):
    """Its newest checkpoint."""
    return max(path for path in (run / "checkpoints").iterdir()
               if re.fullmatch(r"step-\d+", path.name))


def tensors(path):
    """name -> (dtype, shape, bytes) of a safetensors file."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    return {name: (entry["dtype"], entry["shape"],
                   data[8 + size + entry["data_offsets"][0]:8 + size + entry["data_offsets"][1]])
            for name, entry in header.items()}


def place_of(path, name):
    """(first, end): where a tensor's bytes stand in a safetensors file."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    return [8 + size + offset for offset in json.loads(data[8:8 + size])[name]["data_offsets"]]


def floats(entry):
    dtype, _, data = entry
    assert dtype == "F32", dtype
    return struct.unpack("<%df" % (len(data) // 4), data)


def write_tensors(path, entries):
    """The reverse of tensors()."""
    header, body = {}, b""
    for name, (dtype, shape, data) in sorted(entries.items()):
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def processes_of(run):
    """pid -> RANK ("" for a launcher) of the processes that train into this folder."""
    found = {}
    for folder in pathlib.Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if str(run).encode() not in words:
                continue
            state = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # it has gone
            continue
        if state != "Z":
            ranks = [v[5:].decode() for v in variables if v.startswith(b"RANK=")]
            found[int(folder.name)] = ranks[0] if ranks else ""
    return found


def png(seed, width=40, height=36):
    """The bytes of a picture whose colours depend on the seed."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data))

    rows = b"".join(
        b"\0" + bytes((x * (3 + seed % 7) + y * (seed // 7 % 5) + 83 * seed + 90 * c) % 256
                      for x in range(width) for c in range(3))
        for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" +
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


WORDS = "red green blue small large old new round square tree house boat cat dog bird fish".split()


def caption(number):
    """One of 256, in 256 * 3 phrasings."""
    phrase = ("a %s %s", "the %s %s", "one %s %s here")[number // 256 % 3]
    return phrase % (WORDS[number % 16], WORDS[number // 16 % 16])


def make_pictures(folder, number):
    """NNNN.png with NNNN.txt; gives the names of the pictures."""
    folder.mkdir()
    names = []
    for i in range(number):
        names.append("%04d.png" % i)
        (folder / names[-1]).write_bytes(png(i))
        (folder / ("%04d.txt" % i)).write_text(caption(i) + "\n")
    return names


def config_of(test, source, config=CONFIG, stage="contrast"):
    """A config of one stage with one source of its own, as a file of the test's folder."""
    path = test.folder / "own.yaml"
    # JSON is YAML. Maps merge, so `mix` names the source, and the world's are never opened.
    path.write_text("include: [%s]\ndata: {sources: {own: %s}}\neval: {every: 0, tasks: []}\n"
                    "stages: [{name: %s, data: {mix: {own: 1, train: null}}}]\n" %
                    (config, json.dumps(source), stage))
    return path
