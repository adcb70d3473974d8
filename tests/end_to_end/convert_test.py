"""The converters: Parquet to tars (in an environment of its own), pickles to safetensors."""

import json
import os
import pathlib
import pickle
import subprocess
import tarfile
import zipfile

import common
from common import config_of, main, metrics, png, tensors

ROOT = common.HERE.parents[1]


def python_of(name, code, *arguments):
    """Runs code in a converter's own environment, which the converter has made."""
    subprocess.run([ROOT / ".deps" / name / "bin/python", "-c", code, *map(str, arguments)],
                   check=True, timeout=common.LIMIT)


class Converter(common.RunTest):
    def convert(self, name, *arguments, code=0):
        done = subprocess.run([ROOT / "scripts" / name, *map(str, arguments)], timeout=600,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, code, done.stderr[-2000:])
        self.assertNotIn("Traceback", done.stderr)
        return done.stdout + done.stderr


# argv: the file, a folder with pictures.
MAKE_PARQUET = """
import pathlib, sys, pyarrow as pa, pyarrow.parquet as pq
pictures = [p.read_bytes() for p in sorted(pathlib.Path(sys.argv[2]).glob("*.png"))]
image = [{"bytes": b, "path": "%d.png" % i} for i, b in enumerate(pictures)]
captions = [["caption %d" % i, "another of %d" % i] for i in range(len(pictures))]
image[3], captions[5] = {"bytes": b"GIF89a", "path": "3.gif"}, []
pq.write_table(pa.table({"image": image, "caption": captions, "id": list(range(len(pictures)))}),
               sys.argv[1], row_group_size=7)
"""


class Parquet(Converter):
    def test_rows_become_shards_that_train(self):
        self.convert("convert_parquet", "--help")  # makes the environment
        (self.folder / "pictures").mkdir()
        for i in range(40):
            (self.folder / "pictures" / ("%02d.png" % i)).write_bytes(png(i))
        file = self.folder / "train-00000-of-00001.parquet"
        python_of("convert_parquet", MAKE_PARQUET, file, self.folder / "pictures")
        out = self.folder / "shards"
        text = self.convert("convert_parquet", file, "--out", out, "--shard", 16)
        self.assertIn("train-00000-of-00001.parquet, row 3: expected JPEG, PNG or WebP", text)
        self.assertIn("row 5: expected a caption", text)
        self.assertIn("38 samples, 2 rows left out", text)
        self.assertEqual([p.name for p in sorted(out.iterdir())],
                         ["00000.tar", "00001.tar", "00002.tar"])
        with tarfile.open(out / "00000.tar") as tar:
            self.assertEqual(tar.getnames()[:2], ["000000000.png", "000000000.json"])
            self.assertEqual(json.load(tar.extractfile("000000000.json")),
                             {"captions": ["caption 0", "another of 0"]})
            self.assertEqual(tar.extractfile("000000000.png").read(), png(0))
        config = config_of(self, {"format": "webdataset", "path": "shards/{00000..00002}.tar",
                                  "json_caption": "captions"})
        self.train("run", config=config)
        self.assertEqual(len(metrics(self.folder / "run")), 20)

    def test_what_is_no_parquet_is_refused_by_name(self):
        broken = self.folder / "broken.parquet"
        broken.write_bytes(b"PAR1" + os.urandom(100))
        self.assertIn("broken.parquet",
                      self.convert("convert_parquet", broken, "--out", self.folder / "o", code=65))
        self.assertIn("expected a Parquet file", self.convert(
            "convert_parquet", self.folder / "none", "--out", self.folder / "o", code=64))


class Evil:
    """What a pickle that runs code looks like."""

    def __reduce__(self):
        return (os.mkdir, (EVIL,))


EVIL = ""


class Pickle(Converter):
    FIXTURES = ROOT / "tests/reference/pickles"

    def test_weights_become_safetensors_with_the_same_bytes(self):
        expected = {name: (kind, shape, bytes.fromhex(data)) for name, (kind, shape, data) in
                    json.loads((self.FIXTURES / "expected.json").read_text()).items()}
        out = self.folder / "out.safetensors"
        for name, more in (("plain.pt", ()), ("nested.pth", ()), ("old.bin", ()),
                           ("deep.ckpt", ("--key", "x.a.b"))):
            with self.subTest(name):
                text = self.convert("convert_pickle", self.FIXTURES / name, out, *more)
                self.assertIn("%d tensors" % len(expected), text)
                self.assertEqual(tensors(out), expected)
                out.unlink()

    def test_code_in_a_pickle_does_not_run(self):
        global EVIL
        EVIL = str(self.folder / "was_here")
        bad, out = self.folder / "evil.pt", self.folder / "out.safetensors"
        for more in ((), ("--skip-unknown",)):
            bad.write_bytes(pickle.dumps({"w": Evil()}))
            text = self.convert("convert_pickle", bad, out, *more, code=65)
            self.assertIn("evil.pt", text)
            with zipfile.ZipFile(bad, "w") as archive:
                archive.writestr("evil/data.pkl", pickle.dumps({"w": Evil()}))
            text = self.convert("convert_pickle", bad, out, *more, code=65)
            self.assertFalse(pathlib.Path(EVIL).exists())
            self.assertFalse(out.exists())
        self.assertIn("evil.pt", text)

    def test_objects_that_are_no_weights_are_named_or_left_out(self):
        out = self.folder / "out.safetensors"
        text = self.convert("convert_pickle", self.FIXTURES / "args.pt", out, code=65)
        self.assertIn("argparse.Namespace", text)
        self.convert("convert_pickle", self.FIXTURES / "args.pt", out, "--skip-unknown")
        self.assertEqual(list(tensors(out)), ["weight"])

    def test_broken_files_are_refused_by_name(self):
        out, bad = self.folder / "out.safetensors", self.folder / "bad.pt"
        for name in ("plain.pt", "old.bin"):
            whole = (self.FIXTURES / name).read_bytes()
            for size in (0, 10, len(whole) // 3, len(whole) - 30):
                bad.write_bytes(whole[:size])
                self.assertIn("bad.pt", self.convert("convert_pickle", bad, out, code=65))
        self.convert("convert_pickle", self.folder / "none.pt", out, code=64)
        self.convert("convert_pickle", self.FIXTURES / "plain.pt", self.folder / "x.bin", code=64)
        text = self.convert("convert_pickle", self.FIXTURES / "list.pt", out, code=65)
        self.assertIn("expected a dictionary of tensors", text)
        self.assertFalse(out.exists())


if __name__ == "__main__":
    main()
