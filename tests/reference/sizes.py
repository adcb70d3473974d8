#!/usr/bin/env python3
"""Makes sizes.safetensors: what the originals say of 10,000 random sizes and videos.

Usage: sizes.py UTILS TRANSFORMERS [OUT]: vision_process.py of qwen-vl-utils 0.0.11 and
models/qwen2_vl/image_processing_qwen2_vl.py of transformers 5.17.0 (`pip download --no-deps`; neither
is part of this repository). Of these files only functions are run, so that no package is needed.

rows, int32 [10000, 10]: height, width; sides by transformers (2), by qwen-vl-utils (2), -1 where there
are none; frames of a video, its and the wanted rate in thousandths, how many frames are seen (-1).
limits, int32 [4, 2]: least and most pixels; row i has those of i % 4.
"""
import array
import ast
import json
import logging
import math
import pathlib
import random
import struct
import sys

ROWS = 10_000
LIMITS = [(3136, 1003520), (4 * 784, 16384 * 784), (256 * 784, 1280 * 784), (784, 16 * 784)]
RATES = [1000, 5000, 8000, 10000, 12500, 15000, 23976, 24000, 25000, 29970, 30000, 50000, 59940]


def functions(path):
    """The functions of a file and its constants that are numbers."""
    kept = []
    for node in ast.parse(pathlib.Path(path).read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name in (
                "smart_resize", "smart_nframes", "round_by_factor", "ceil_by_factor",
                "floor_by_factor"):
            kept.append(node)
        elif isinstance(node, ast.Assign) and node.targets[0].id.isupper() and all(
                isinstance(part, (ast.Constant, ast.BinOp, ast.Mult))
                for part in ast.walk(node.value)):
            kept.append(node)
    scope = {"math": math, "logger": logging.getLogger("silent")}
    scope["logger"].setLevel(logging.CRITICAL)
    # Annotations may name what is not imported.
    future = ast.parse("from __future__ import annotations").body
    exec(compile(ast.Module(future + kept, []), str(path), "exec"), scope)
    return scope


def sides(resize, height, width, limits):
    try:
        made = resize(height, width, factor=28, min_pixels=limits[0], max_pixels=limits[1])
    except ValueError:
        return -1, -1
    return made if min(made) >= 28 else (-1, -1)


def main():
    utils, theirs = functions(sys.argv[1]), functions(sys.argv[2])
    rng = random.Random(10_000)
    rows = array.array("i")
    refused = 0
    for i in range(ROWS):
        height, width = (round(math.exp(rng.uniform(math.log(4), math.log(8000)))) for _ in "hw")
        if i % 5 == 0:  # halves of a cell, which Python rounds to even
            height, width = 14 * rng.randint(1, 120), 14 * rng.randint(1, 120)
        limits = LIMITS[i % len(LIMITS)]
        frames = round(math.exp(rng.uniform(0, math.log(60_000))))
        rate, wanted = rng.choice(RATES), rng.choice([250, 500, 1000, 1500, 2000, 4000, 30000])
        try:
            seen = utils["smart_nframes"]({"fps": wanted / 1000}, frames, rate / 1000)
        except ValueError:
            seen = -1
        row = [height, width, *sides(theirs["smart_resize"], height, width, limits),
               *sides(utils["smart_resize"], height, width, limits), frames, rate, wanted, seen]
        refused += row.count(-1)
        rows.extend(row)
    limits = array.array("i", [n for pair in LIMITS for n in pair])
    if sys.byteorder == "big":
        rows.byteswap()
        limits.byteswap()
    data = limits.tobytes() + rows.tobytes()
    split = len(limits) * 4
    header = json.dumps({
        "__metadata__": {"script": "tests/reference/sizes.py", "transformers": "5.17.0",
                         "qwen-vl-utils": "0.0.11"},
        "limits": {"dtype": "I32", "shape": [len(LIMITS), 2], "data_offsets": [0, split]},
        "rows": {"dtype": "I32", "shape": [ROWS, 10], "data_offsets": [split, len(data)]},
    }, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    out = pathlib.Path(sys.argv[3] if len(sys.argv) > 3
                       else pathlib.Path(__file__).parent / "sizes.safetensors")
    out.write_bytes(struct.pack("<Q", len(header)) + header + data)
    print(out.name, out.stat().st_size // 1024, "KiB,", refused, "numbers are refusals")


if __name__ == "__main__":
    main()
