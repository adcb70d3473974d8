"""Files made to break a reader: refused with 64 or 65, or recorded; no signal, bounded memory."""

import io
import json
import os
import pathlib
import shutil
import struct
import subprocess
import tarfile
import zlib

import common
from common import caption, config_of, lines, main, make_pictures, png

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "reference/fixtures"
MODEL = FIXTURES / "clip_quick_gelu_argmax"
MEMORY = 600 << 20  # bytes at most, of which LibTorch itself takes about 200 MiB


def run(*arguments, folder="."):
    """(exit code, stderr, largest resident bytes); a signal's code is negative."""
    with subprocess.Popen([common.BINARY, *map(str, arguments)], cwd=folder,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        error = process.stderr.read().decode(errors="replace")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return process.returncode, error, usage.ru_maxrss * 1024


class Attack(common.RunTest):
    def refused(self, code, *arguments, says=None, names=None):
        got, error, memory = run(*arguments, folder=self.folder)
        self.assertEqual(got, code, "%s: %s" % (arguments, error[-2000:]))
        self.assertLess(memory, MEMORY, arguments)
        self.assertLess(len(error), 20000, "an error is read by people")
        if says:
            self.assertRegex(error, says)
        if names:
            self.assertIn(names, error)
        return error


def tensor_file(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


class Safetensors(Attack):
    def check(self, name, data, says):
        path = self.folder / name
        path.write_bytes(data)
        self.refused(65, "verify", MODEL, path, says=says, names=name)
        # The same as a model's weights.
        model = self.folder / ("model " + name)
        model.mkdir()
        shutil.copy(MODEL / "config.json", model)
        (model / "model.safetensors").write_bytes(data)
        self.refused(65, "import", model, self.folder / "out", says=says)
        self.assertFalse((self.folder / "out").exists())

    def test_offsets_that_lie(self):
        two = {"a": entry("F32", [2], 0, 8), "b": entry("F32", [2], 4, 12)}
        self.check("overlap", tensor_file(two, bytes(12)), "overlap")
        hole = {"a": entry("F32", [2], 0, 8), "b": entry("F32", [2], 12, 20)}
        self.check("hole", tensor_file(hole, bytes(20)), "hole")
        self.check("behind", tensor_file({"a": entry("F32", [4], 0, 16)}, bytes(8)), "bytes")
        self.check("more", tensor_file({"a": entry("F32", [1], 0, 4)}, bytes(8)), "bytes")
        self.check("backwards", tensor_file({"a": entry("F32", [1], 8, 4)}, bytes(8)), "data_offsets")
        self.check("negative", tensor_file({"a": entry("F32", [-1], -4, 0)}, bytes(4)), "negative")

    def test_sizes_that_overflow(self):
        for i, shape in enumerate([[1 << 62, 8], [1 << 63], [1 << 32, 1 << 32], [1 << 40]]):
            self.check("overflow %d" % i, tensor_file({"a": entry("F64", shape, 0, 8)}, bytes(8)),
                       "large|bytes")

    def test_headers(self):
        self.check("huge", struct.pack("<Q", 1 << 62) + b"{}", "header")
        self.check("100 MB said", struct.pack("<Q", 100_000_001) + b"{}", "header")
        self.check("short", b"\x02", "expected a safetensors file")
        self.check("empty", b"", "expected a safetensors file")
        self.check("no JSON", tensor_file(b"{\"a\": "), "JSON")
        self.check("deep", tensor_file(b"{\"a\":" + b"[" * 100_000 + b"]" * 100_000 + b"}"), "list")
        self.check("twice", tensor_file(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
                                        b'"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}',
                                        b"xy"), "twice")
        self.check("type", tensor_file({"a": entry("Q3", [1], 0, 1)}, b"x"), "dtype")
        self.check("bytes", bytes(range(256)) * 64, "header")

    def test_a_million_tensors(self):
        body = ",".join('"t%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}' % i
                        for i in range(1_000_000))
        path = self.folder / "many"
        path.write_bytes(tensor_file(("{" + body + "}").encode()))
        got, error, memory = run("verify", MODEL, path)
        self.assertIn(got, (64, 65), error[-2000:])
        self.assertLess(memory, 4 * MEMORY)  # its own header is 60 MB of names
        self.assertLess(len(error), 20000)

    def test_what_is_no_file(self):
        os.mkfifo(self.folder / "pipe")
        self.refused(64, "verify", MODEL, self.folder / "pipe", names="pipe")
        (self.folder / "directory").mkdir()
        self.refused(64, "verify", MODEL, self.folder / "directory", names="directory")
        self.refused(64, "verify", MODEL, self.folder / "missing", names="missing")

    def test_a_file_that_was_cut_at_any_place(self):
        whole = (MODEL / "reference.safetensors").read_bytes()
        path = self.folder / "cut"
        for size in [0, 7, 8, 9, 100, len(whole) // 2, len(whole) - 1]:
            path.write_bytes(whole[:size])
            self.refused(65, "verify", MODEL, path, names="cut")


class Tokenizers(Attack):
    def check(self, text, code=65, says=None):
        path = self.folder / "tokenizer.json"
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        self.refused(code, "check", common.CONFIG, "model.tokenizer=%s" % path,
                     "model.vocabulary=0", says=says)

    @staticmethod
    def bpe(**changes):
        return {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
                "post_processor": None, "decoder": None,
                "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]],
                          **changes}}

    def test_ids_with_gaps_that_would_take_all_memory(self):
        self.check(self.bpe(vocab={"a": 0, "b": (1 << 31) - 1, "ab": 2}))
        self.check(self.bpe(vocab={"a": 0, "b": 1 << 40, "ab": 2}))
        self.check(self.bpe(vocab={"a": 0, "b": -5, "ab": 2}))

    def test_merges_that_lead_nowhere(self):
        self.check(self.bpe(merges=[["a", ""]], vocab={"a": 0, "": 1}))
        self.check(self.bpe(merges=[["a", "a"]]))
        self.check(self.bpe(merges=[["a", "b", "c"]]))

    def test_nesting(self):
        self.check("[" * 100_000 + "]" * 100_000, says="levels")
        self.check("{\"a\":" * 100_000, says="levels|JSON")
        self.check("{\"model\": {}, \"model\": {}}")

    def test_patterns_without_end(self):
        own = self.bpe()
        own["pre_tokenizer"] = {"type": "Split", "pattern": {"Regex": "(a+)+$"},
                                "behavior": "Isolated", "invert": False}
        path = self.folder / "tokenizer.json"
        path.write_text(json.dumps(own))
        pictures = self.folder / "pictures"
        make_pictures(pictures, 64)
        (pictures / "0003.txt").write_text("a" * 5000 + "b\n")
        config = config_of(self, {"format": "folder", "path": "pictures"})
        # Whatever it decides about that caption, it decides within the time of the test.
        got, error, memory = run("train", config, "model.tokenizer=%s" % path,
                                 "model.vocabulary=0", "--out", "run", folder=self.folder)
        self.assertIn(got, (0, 64, 65), error[-2000:])
        self.assertLess(memory, MEMORY)


class Yaml(Attack):
    def check(self, text, says):
        path = self.folder / "attack.yaml"
        path.write_text(text)
        self.refused(64, "check", path, says=says, names="attack.yaml")

    def test_a_bomb_of_aliases(self):
        bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for i in range(1, 12):
            bomb += "a%d: &a%d [%s]\n" % (i, i, ", ".join(["*a%d" % (i - 1)] * 10))
        self.check(bomb, "large|aliases")

    def test_keys_twice(self):
        self.check("name: x\nname: y\n", "twice")

    def test_nesting(self):
        self.check("a: " + "[" * 100_000, "deep|nested")
        self.check("".join(" " * i + "a:\n" for i in range(1200)), "deep|nested")
        self.check("- " * 100_000 + "x", "deep|nested")

    def test_no_text(self):
        path = self.folder / "attack.yaml"
        path.write_bytes(bytes(range(256)) * 100)
        self.refused(64, "check", path, names="attack.yaml")
        self.refused(64, "check", "/dev/zero")
        path.write_bytes(b"a: " + b"x" * (64 << 20))
        self.refused(64, "check", path)


def members(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in entries:
            info = tarfile.TarInfo(name)
            if isinstance(data, bytes):
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            else:
                info.type, info.linkname = data
                tar.addfile(info)
    return out.getvalue()


class Tars(Attack):
    def check(self, data, says=None):
        path = self.folder / "shard.tar"
        path.write_bytes(data)
        self.refused(65, "data", "index", path, says=says, names="shard.tar")
        config = config_of(self, {"format": "webdataset", "path": "shard.tar"})
        self.refused(65, "train", config, "--out", "run", says=says)

    def test_names_that_lead_out(self):
        self.check(members([("../a.jpg", b"x"), ("../a.txt", b"x")]), r"\.\.")
        self.check(members([("b/../../a.jpg", b"x")]), r"\.\.")
        self.check(members([("/etc/a.jpg", b"x")]), "below|/etc")

    def test_links(self):
        self.check(members([("a.jpg", (tarfile.SYMTYPE, "/etc/passwd"))]), "link")
        self.check(members([("a.jpg", (tarfile.LNKTYPE, "b.jpg"))]), "link")
        self.check(members([("a.jpg", (tarfile.FIFOTYPE, ""))]), "pipe")

    def test_samples_that_are_torn_apart(self):
        self.check(members([("a.png", b"x"), ("b.png", b"x"), ("a.txt", b"x"), ("b.txt", b"x")]),
                   "together|interleaved|apart")

    def test_sizes_that_lie(self):
        good = bytearray(members([("a.png", png(1)), ("a.txt", b"hi")]))

        def with_size(text):
            header = bytearray(good[:512])
            header[124:136] = text
            header[148:156] = b" " * 8
            header[148:156] = b"%06o\0 " % sum(header)
            return bytes(header) + bytes(good[512:])

        self.check(with_size(b"77777777777\0"), "truncated|bytes")
        self.check(with_size(b"\x80" + b"\xff" * 11), "size|number")
        self.check(with_size(b"\xff" * 12), "size|number")
        self.check(with_size(b"hello world\0"), "size|number")
        self.check(bytes(good[:700]), "truncated")
        self.check(b"", "truncated|empty")


def bomb_png(width, height):
    """A valid PNG of so many pixels, all black: a few kilobytes for gigabytes."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    packer = zlib.compressobj(9)
    row = bytes(1 + 3 * width)
    rows = b"".join(packer.compress(row) for _ in range(min(height, 2000))) + packer.flush()
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", rows) + chunk(b"IEND", b""))


def bomb_text_png():
    """A small picture with a text chunk that inflates to 1 GiB."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    packer = zlib.compressobj(9)
    text = b"".join(packer.compress(bytes(1 << 20)) for _ in range(1024)) + packer.flush()
    good = png(3)
    return good[:33] + chunk(b"zTXt", b"k\0\0" + text) + good[33:]


def bomb_jpeg():
    """65,500 x 65,500 in its header, and nothing behind it."""
    table = b"\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([1] * 64)
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, 65500, 65500, 3) + bytes(
        [1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])
    return b"\xff\xd8" + table + frame + b"\xff\xd9"


class Pictures(Attack):
    def test_bombs_are_recorded_and_replaced(self):
        pictures = self.folder / "pictures"
        names = make_pictures(pictures, 320)
        bombs = {names[40]: bomb_png(50_000, 50_000), names[150]: bomb_jpeg(),
                 names[270]: bomb_text_png()}
        for name, data in bombs.items():
            (pictures / name).write_bytes(data)
        config = config_of(self, {"format": "folder", "path": "pictures"})
        got, error, memory = run("train", config, "--out", "run", folder=self.folder)
        self.assertEqual(got, 0, error[-2000:])
        self.assertLess(memory, MEMORY)
        recorded = {row["sample"] for row in lines(self.folder / "run" / "bad_samples.jsonl")}
        self.assertEqual(recorded, set(bombs))

    def test_a_tar_that_shrinks_while_it_is_read(self):
        tar = self.folder / "shard.tar"
        tar.write_bytes(members([(name % i, data) for i in range(400) for name, data in (
            ("%04d.png", png(i, 90, 90)), ("%04d.txt", caption(i).encode()))]))
        config = config_of(self, {"format": "webdataset", "path": "shard.tar"})
        process = self.start("run", "stages.contrast.until.steps=400", config=config)
        self.wait_for_step("run", 3, process)
        os.truncate(tar, tar.stat().st_size // 3)
        got, error = self.end(process)
        self.assertEqual(got, 65, error[-2000:])
        self.assertIn("shard.tar", error)
        self.assertIn("changed while it was in use", error)
        self.assert_nobody_left("run")


if __name__ == "__main__":
    main()
