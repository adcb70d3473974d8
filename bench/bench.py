"""Runs the benchmarks of scripts/bench, which explains them."""

import datetime
import json
import os
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(sys.argv[1])
BUILD = ROOT / "build/release"
PAGE = ROOT / "docs/performance.md"
THREADS = {**os.environ, "OMP_NUM_THREADS": "2"}
SIZES = {
    # name: side, patch, width, heads, layers, batch, steps, rounds, marks
    "train_small": dict(side=64, patch=8, width=128, heads=4, layers=4, batch=64, steps=50, rounds=10,
                        marks={"default": 1.20, "fused": 1.12}),
    "train_large": dict(side=112, patch=16, width=384, heads=6, layers=6, batch=32, steps=12, rounds=8,
                        marks={"default": 1.10, "fused": 1.04}),
}


def interval(ratios, draws=10_000):
    """Median and its 95 % interval, by bootstrap."""
    draw = random.Random(1)
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(draws))
    return statistics.median(ratios), medians[draws // 40], medians[-draws // 40]


def shown(ratios):
    middle, low, high = interval(ratios)
    return "%.2f (%.2f to %.2f)" % (middle, low, high)


def json_of(command):
    done = subprocess.run(list(map(str, command)), env=THREADS, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("%s: exit code %d\n%s" % (command[0], done.returncode, done.stderr[-3000:]))
    return json.loads(done.stdout.splitlines()[-1])


def make_clip(folder, size):
    import safetensors.torch
    import torch
    import transformers
    torch.manual_seed(1)
    common = dict(hidden_size=size["width"], intermediate_size=4 * size["width"],
                  num_attention_heads=size["heads"], num_hidden_layers=size["layers"])
    text = dict(vocab_size=1000, max_position_embeddings=32, eos_token_id=999, bos_token_id=998,
                pad_token_id=0, **common)
    vision = dict(image_size=size["side"], patch_size=size["patch"], **common)
    model = transformers.CLIPModel(transformers.CLIPConfig(
        text_config=text, vision_config=vision, projection_dim=size["width"]))
    model.save_pretrained(folder)
    ids = torch.randint(1, 998, (size["batch"], 32))
    ids[:, 0], ids[:, -1] = 998, 999
    pixels = torch.randint(0, 256, (size["batch"], 3, size["side"], size["side"]), dtype=torch.uint8)
    safetensors.torch.save_file({"ids": ids, "pixels": pixels}, folder / "batch.safetensors")
    return sum(p.numel() for p in model.parameters())


def check_parity(ours, theirs, name):
    for step, (a, b) in enumerate(zip(ours, theirs)):
        # The first step is the same function; later ones drift apart by rounding.
        allowed = 2e-6 if step == 0 else 1e-3
        if abs(a - b) > allowed * abs(b):
            sys.exit("%s: no parity at step %d: %r and %r; nothing was timed" % (name, step, a, b))


def train(name):
    size = SIZES[name]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        parameters = make_clip(folder, size)
        rest = [folder, folder / "batch.safetensors", 3, size["steps"]]
        sides = {"ours": [BUILD / "bench/bench_train_step", *rest]}
        for kind in ("default", "fused"):
            sides[kind] = [sys.executable, ROOT / "bench/opponent.py", *rest, kind]
        found = {side: [] for side in sides}
        for _ in range(size["rounds"]):
            for side, command in sides.items():
                found[side].append(json_of(command))
        for kind in ("default", "fused"):
            check_parity(found["ours"][0]["losses"], found[kind][0]["losses"], name)
    time_of = {side: [statistics.median(run["ms"]) for run in runs] for side, runs in found.items()}
    peak = {side: statistics.median(run["peak_mib"] for run in runs) for side, runs in found.items()}
    rows = []
    for kind, mark in size["marks"].items():
        ratios = [b / a for a, b in zip(time_of["ours"], time_of[kind])]
        rows.append(("%s, %.1f M parameters, batch %d: against transformers with %s AdamW" % (
            name, parameters / 1e6, size["batch"], kind),
            "%s times as fast; %.1f ms and %.1f ms a step; peak memory %.2f of theirs" % (
                shown(ratios), statistics.median(time_of["ours"]), statistics.median(time_of[kind]),
                peak["ours"] / peak[kind]),
            "lower end >= %.2f, memory <= 0.60" % mark))
    return rows


def itc():
    def run(pairs, chunk, repeats):
        return json_of([BUILD / "bench/bench_itc", pairs, 512, chunk, repeats])
    ratios = []
    for _ in range(6):
        chunked, plain = run(8192, 1024, 1), run(8192, 0, 1)
        ratios.append(chunked["ms"][0] / plain["ms"][0])
    rows = [("itc, B = 8,192, D = 512: time of the chunked form, forward and backward",
             "%s of the plain one's" % shown(ratios), "<= 1.10")]
    large = run(65536, 512, 1)
    gradients = 2 * 65536 * 512 * 4 / 2**20  # of the features: part of the answer
    rows.append(("itc, B = 65,536, D = 512, chunks of 512: memory above the inputs",
                 "%.0f MiB beside the gradients' %.0f MiB (in %.0f s)" % (
                     large["above_inputs_mib"] - gradients, gradients, large["ms"][0] / 1000),
                 "<= 256 MiB"))
    return rows


def startup():
    script = ("import torch, transformers; from transformers import CLIPModel, CLIPConfig; "
              "m = CLIPModel(CLIPConfig()) if 0 else torch.nn.Linear(64, 64); "
              "o = torch.optim.AdamW(m.parameters()); m(torch.ones(2, 64)).sum().backward(); o.step()")
    ours, theirs = [], []
    for _ in range(10):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            done = subprocess.run([BUILD / "src/tandem", "train", ROOT / "tests/end_to_end/tiny.yaml",
                                   "--out", folder + "/run", "--stop-after", "1", "eval.tasks=[]"],
                                  env=THREADS, capture_output=True, text=True)
            ours.append(time.perf_counter() - start)
            if done.returncode != 75:
                sys.exit(done.stderr[-2000:])
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", script], env=THREADS, check=True)
        theirs.append(time.perf_counter() - start)
    return [("startup: from launch to a first step, its checkpoint and the end (tiny.yaml)",
             "%.2f s; Python with torch and transformers, a step of one linear layer: %.2f s (%s times)" % (
                 statistics.median(ours), statistics.median(theirs),
                 shown([b / a for a, b in zip(ours, theirs)])), "<= 0.5 s")]


def pictures():
    """JPEG to what a model sees, one core; parity with PIL first."""
    program, other = BUILD / "bench/bench_pictures", ROOT / "bench/pictures.py"
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        small, large, dump = (pathlib.Path(folder) / name for name in ("small", "large", "dump"))
        for made, count, width, height in ((small, 100, 640, 480), (large, 12, 2048, 1536)):
            made.mkdir()
            subprocess.run([sys.executable, other, "make", made, str(count), str(width), str(height)], check=True)
        json_of([program, small, 224, 0.1, "view", dump])
        off = json_of([sys.executable, other, "crops", small, 224, dump])["largest"]
        if off > 1:
            sys.exit("pictures: %d from PIL's pixels; nothing was timed" % off)
        ratios = {"pil": [], "torchvision": []}
        for _ in range(8):
            ours = json_of([program, small, 224, 2, "view"])["per_second"]
            for side in ratios:
                theirs = json_of([sys.executable, other, side, small, 224, 2])["per_second"]
                ratios[side].append(ours / theirs)
        for side, what, mark in (("pil", "PIL and torchvision", 2.5), ("torchvision", "torchvision's decoder and resize", 1.4)):
            rows.append(("pictures, JPEG 640 x 480 to a crop of 224, one core: against %s" % what,
                         "%s times as fast; %d from PIL's pixels; %.0f a second" % (shown(ratios[side]), off, ours),
                         ">= %.1f" % mark))
        rows.append(scaled(program, large))
    return rows


def scaled(program, large):
    import numpy
    ratios, views = [], {}
    for _ in range(6):
        speed = {}
        for mode in ("full", "scaled"):
            dump = large.parent / mode
            speed[mode] = json_of([program, large, 224, 1, mode, dump])["per_second"]
            views[mode] = numpy.fromfile(dump, numpy.uint8).astype(int)
        ratios.append(speed["scaled"] / speed["full"])
    error = numpy.abs(views["scaled"] - views["full"])
    return ("pictures, JPEG 2,048 x 1,536 to a training crop of 224: `decode: scaled` against full",
            "%s times as fast; pixels differ by %.2f of 255 in the mean, %d at most" % (
                shown(ratios), error.mean(), error.max()), "reported")


def loader():
    program, other = BUILD / "bench/bench_loader", ROOT / "bench/pictures.py"
    with tempfile.TemporaryDirectory() as folder:
        made, tar = pathlib.Path(folder) / "made", pathlib.Path(folder) / "a.tar"
        made.mkdir()
        subprocess.run([sys.executable, other, "make", made, "200", "640", "480"], check=True)
        subprocess.run([sys.executable, other, "tar", made, tar, "20"], check=True)
        ratios, rates, best = [], [], {}
        for _ in range(5):
            theirs = {}
            for workers in (0, 1, 2):
                run = json_of([sys.executable, other, "loader", tar, 224, 64, 8, workers])
                theirs[workers] = run["pictures"] / run["cpu_seconds"]
            ours = json_of([program, tar, 224, 64, 8, 2])
            rates.append(ours["pictures"] / ours["cpu_seconds"])
            workers = max(theirs, key=theirs.get)
            best[workers] = best.get(workers, 0) + 1
            ratios.append(rates[-1] / theirs[workers])
    return [("loader, JPEG 640 x 480 in a tar to batches of 224: pictures a CPU second against webdataset",
             "%s times; %.0f a CPU second; their best number of workers: %s" % (
                 shown(ratios), statistics.median(rates), max(best, key=best.get)), ">= 2.0")]


def tokenize():
    done = subprocess.run([sys.executable, ROOT / "bench/tokenizers_speed.py", BUILD / "bench/bench_tokenize"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr[-3000:])
    rows = []
    for line in done.stdout.splitlines():
        run = json.loads(line)
        rows.append(("tokenize, captions, %s: against `tokenizers`, one thread" % run["kind"],
                     "%s times as fast; two threads %s times one; %.0f MB/s" % (
                         shown(run["faster"]), shown(run["scaling"]), statistics.median(run["mb_per_second"])),
                     ">= 3.0, two threads >= 1.8"))
    return rows


def record(rows):
    text = PAGE.read_text()
    for what, figure, mark in rows:
        line = "| %s | %s | %s | %s |" % (what, figure, mark, datetime.date.today().isoformat())
        old = re.compile(r"^\| %s \|.*$" % re.escape(what), re.M)
        text = old.sub(lambda _: line, text) if old.search(text) else text.rstrip("\n") + "\n" + line + "\n"
    PAGE.write_text(text)


def main():
    others = {"itc": itc, "startup": startup, "pictures": pictures, "loader": loader, "tokenize": tokenize}
    names = sys.argv[2:] or [*others, *SIZES]
    if os.getloadavg()[0] > 0.3:
        print("the machine is not idle (load %.1f): figures will be rough" % os.getloadavg()[0])
    for name in names:
        rows = train(name) if name in SIZES else others[name]()
        for row in rows:
            print("%s: %s (wanted: %s)" % row)
        record(rows)


main()
