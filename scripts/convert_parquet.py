"""Parquet of pictures and captions to webdataset's tars; see scripts/convert_parquet.

A picture is a column of {bytes, path} (the hub's Image) or of bytes; a caption is a text or a list of
texts. Each row becomes KEY.jpg (or .png, .webp, by the picture's first bytes) and KEY.json with
"captions", which a source reads with `format: webdataset` and `json_caption: captions`. Rows that
cannot be used are named with file and row, and left out; all of them left out is an error.
"""
import argparse
import io
import json
import pathlib
import sys
import tarfile

import pyarrow
import pyarrow.parquet

IMAGE_COLUMNS = ("image", "jpg", "png", "img", "picture")
CAPTION_COLUMNS = ("caption", "captions", "text", "txt", "sentences", "sentence", "caption_list")


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/convert_parquet")
    parser.add_argument("inputs", nargs="+", help="Parquet files, or folders of them")
    parser.add_argument("--out", required=True, help="the folder for the tars; new or empty")
    parser.add_argument("--image", help="the column of the pictures (default: found by its name)")
    parser.add_argument("--caption", nargs="+", help="the column or columns of captions")
    parser.add_argument("--shard", type=int, default=10000, help="samples of a tar")
    return parser.parse_args()


def fail(text, code):
    sys.stderr.write("convert_parquet: %s\n" % text)
    sys.exit(code)


def files_of(inputs):
    files = []
    for name in inputs:
        path = pathlib.Path(name)
        found = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
        if not found or not found[0].exists():
            fail("%s: expected a Parquet file or a folder of them" % name, 64)
        files += found
    return files


def columns_of(file, options):
    names = file.schema_arrow.names
    image = options.image or next((c for c in IMAGE_COLUMNS if c in names), None)
    captions = options.caption or [c for c in CAPTION_COLUMNS if c in names][:1]
    missing = [c for c in [image] + captions if c not in names]
    if missing or not image or not captions:
        fail("expected columns of pictures and captions (--image, --caption); got " +
             ", ".join(names), 64)
    return image, captions


def extension(data):
    if data[:3] == b"\xff\xd8\xff":
        return "jpg"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return None


def texts_of(value):
    values = value if isinstance(value, (list, tuple)) else [value]
    texts = []
    for one in values:
        if isinstance(one, dict):  # {"raw": ...} of Karpathy's sentences
            one = one.get("raw") or one.get("caption") or one.get("text")
        if isinstance(one, str) and one.strip():
            texts.append(one.strip())
    return texts


def sample_of(row, image, captions):
    """(extension, bytes, texts); raises ValueError with what is wrong."""
    data = row[image]
    if isinstance(data, dict):
        data = data.get("bytes")
    if not isinstance(data, bytes) or not data:
        raise ValueError("expected the bytes of a picture under '%s'" % image)
    kind = extension(data)
    if kind is None:
        raise ValueError("expected JPEG, PNG or WebP; got bytes that start with %s" %
                         data[:8].hex(" "))
    texts = [text for column in captions for text in texts_of(row[column])]
    if not texts:
        raise ValueError("expected a caption")
    return kind, data, texts


class Shards:
    """Tars of so many samples; each is named only when it is whole."""

    def __init__(self, folder, size):
        self.folder, self.size, self.written, self.tar = folder, size, 0, None

    def add(self, kind, data, texts):
        if self.written % self.size == 0:
            self.close()
            self.name = self.folder / ("%05d.tar" % (self.written // self.size))
            self.tar = tarfile.open(str(self.name) + ".tmp", "w", format=tarfile.USTAR_FORMAT)
        key = "%09d" % self.written
        note = json.dumps({"captions": texts}, ensure_ascii=False).encode()
        for suffix, content in ((kind, data), ("json", note)):
            info = tarfile.TarInfo("%s.%s" % (key, suffix))
            info.size = len(content)
            self.tar.addfile(info, io.BytesIO(content))
        self.written += 1

    def close(self):
        if self.tar is not None:
            self.tar.close()
            pathlib.Path(str(self.name) + ".tmp").rename(self.name)
            self.tar = None


def main():
    options = arguments()
    if options.shard < 1:
        fail("--shard: expected at least 1", 64)
    files = files_of(options.inputs)
    out = pathlib.Path(options.out)
    if out.exists() and any(out.iterdir()):
        fail("%s: expected a new or empty folder" % out, 64)
    out.mkdir(parents=True, exist_ok=True)
    shards, left_out = Shards(out, options.shard), 0
    for path in files:
        number = 0
        try:
            file = pyarrow.parquet.ParquetFile(path)
            image, captions = columns_of(file, options)
            for batch in file.iter_batches(batch_size=64, columns=[image] + captions):
                for row in batch.to_pylist():
                    try:
                        shards.add(*sample_of(row, image, captions))
                    except ValueError as error:
                        left_out += 1
                        if left_out <= 20:
                            sys.stderr.write("convert_parquet: %s, row %d: %s\n" %
                                             (path, number, error))
                    number += 1
        except (pyarrow.ArrowException, OSError) as error:
            fail("%s, from row %d: %s" % (path, number, error), 65)
    shards.close()
    if shards.written == 0:
        fail("no row can be used; %d left out" % left_out, 65)
    last = (shards.written - 1) // options.shard
    name = "00000.tar" if last == 0 else "{00000..%05d}.tar" % last
    print("%d samples, %d rows left out; in a config:" % (shards.written, left_out))
    print('  {format: webdataset, path: "%s", json_caption: captions}' % (out / name))


main()
