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
THREADS = {**os.environ, "OMP_NUM_THREADS": os.environ.get("THREADS", "2")}
CLIP = dict(make="make_clip", losses="itc", memory=0.60)
LANGUAGE = dict(make="make_language", losses="lm", width=384, hidden=1024, layers=6, heads=6, kv_heads=2,
                words=8192, batch=16, warmup=1, steps=3, rounds=6)
# name: how the model is made (bench/models.py), and against which opponents with which marks.
TRAIN = {
    "train_small": [dict(CLIP, side=64, patch=8, width=128, heads=4, layers=4, batch=64, steps=50, rounds=10,
                         against={"default": 1.20, "fused": 1.12})],
    "train_large": [dict(CLIP, side=112, patch=16, width=384, heads=6, layers=6, batch=32, steps=12, rounds=8,
                         against={"default": 1.10, "fused": 1.04})],
    "train_vilt": [dict(make="make_vilt", losses="mlm", side=224, width=384, heads=6, layers=6, batch=16,
                        steps=8, rounds=8, against={"fused": 1.05})],
    "train_blip": [dict(make="make_blip", losses="lm", side=112, width=384, heads=6, layers=6, batch=16,
                        steps=8, rounds=8, against={"fused": 1.05})],
    "vilt_packed": [dict(make="make_vilt_mixed", losses="mlm", width=384, heads=6, layers=6, batch=12,
                         warmup=2, steps=4, rounds=6, against={"fused": 1.3})],
    "train_qwen2_vl": [dict(LANGUAGE, lengths=(30, 300), against={"fused": 1.6}),
                       dict(LANGUAGE, lengths=(165, 165), against={"fused": 1.05})],
}


def interval(ratios, draws=10_000):
    """Median and its 95 % interval, by bootstrap."""
    draw = random.Random(1)
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(draws))
    return statistics.median(ratios), medians[draws // 40], medians[-draws // 40]


def shown(ratios):
    middle, low, high = interval(ratios)
    threads = THREADS["OMP_NUM_THREADS"]
    return "%.2f (%.2f to %.2f, n = %d%s)" % (
        middle, low, high, len(ratios), "" if threads == "2" else ", %s thread" % threads)


def rounds(usual):
    return int(os.environ.get("ROUNDS", usual))


def json_of(command):
    done = subprocess.run(list(map(str, command)), env=THREADS, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("%s: exit code %d\n%s" % (command[0], done.returncode, done.stderr[-3000:]))
    return json.loads(done.stdout.splitlines()[-1])


def check_parity(ours, theirs, name):
    for step, (a, b) in enumerate(zip(ours, theirs)):
        # The first step is the same function; later ones drift apart by rounding.
        allowed = 2e-6 if step == 0 else 1e-3
        if abs(a - b) > allowed * abs(b):
            sys.exit("%s: no parity at step %d: %r and %r; nothing was timed" % (name, step, a, b))


def made(folder, size):
    import torch
    import models
    torch.manual_seed(1)
    return getattr(models, size["make"])(folder, size)


def train(name):
    return [row for size in TRAIN[name] for row in train_one(name, size)]


def train_one(name, size):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        told = made(folder, size)
        steps = [size.get("warmup", 3), size["steps"]]
        sides = {"ours": [BUILD / "bench/bench_model", "train", folder, folder / "ours.safetensors",
                          size["losses"], *steps]}
        for kind in size["against"]:
            sides[kind] = [sys.executable, ROOT / "bench/opponent.py", "train", folder,
                           folder / "theirs.safetensors", *steps, kind]
        found = {side: [] for side in sides}
        for turn in range(rounds(size["rounds"])):
            for side, command in sides.items():
                found[side].append(json_of(command))
            for kind in size["against"] if turn == 0 else ():
                check_parity(found["ours"][0]["losses"], found[kind][0]["losses"], name)
    time_of = {side: [statistics.mean(run["ms"]) for run in runs] for side, runs in found.items()}
    peak = {side: statistics.median(run["peak_mib"] for run in runs) for side, runs in found.items()}
    rows = []
    for kind, mark in size["against"].items():
        ratios = [b / a for a, b in zip(time_of["ours"], time_of[kind])]
        rows.append(("%s, %s: against transformers with %s AdamW" % (name, told, kind),
            "%s times as fast; %.0f ms and %.0f ms a step; peak memory %.2f of theirs" % (
                shown(ratios), statistics.median(time_of["ours"]), statistics.median(time_of[kind]),
                peak["ours"] / peak[kind]),
            "lower end >= %.2f" % mark + (", memory <= %.2f" % size["memory"] if "memory" in size else "")))
    return rows


def lm_loss():
    shape = (4096, 152064, 896)

    def run(form):
        return json_of([BUILD / "bench/bench_lm_loss", form, *shape, 1])
    runs = {form: [] for form in ("pieces", "plain", "pieces-eval", "plain-eval")}
    for turn in range(rounds(4)):
        for form in runs if turn < 2 else ("pieces", "plain"):
            runs[form].append(run(form))
        for key in ("loss", "norm"):
            ours, plain = runs["pieces"][-1][key], runs["plain"][-1][key]
            if abs(ours - plain) > 1e-5 * plain:
                sys.exit("lm_loss: no parity of %s: %r and %r" % (key, ours, plain))
    rows = []
    for form, plain, what, mark in (
            ("pieces", "plain", "forward and backward", "<= 300 MiB, not slower"),
            ("pieces-eval", "plain-eval", "without a gradient", "reported")):
        ratios = [b["ms"][0] / a["ms"][0] for a, b in zip(runs[form], runs[plain])]
        above = [statistics.median(run["above_mib"] for run in runs[side]) for side in (form, plain)]
        rows.append(("lm_loss, 4,096 tokens x 152,064 words, width 896, %s: in pieces against linear and "
                     "cross_entropy" % what,
                     "%s times as fast (%.1f s); %.0f MiB above weights, hidden states and their gradients, "
                     "theirs %.0f MiB" % (
                         shown(ratios), statistics.median(run["ms"][0] for run in runs[form]) / 1000, *above),
                     mark))
    return rows


def decode():
    size = dict(make="make_decoder", width=768, hidden=2304, layers=12, heads=12, kv_heads=2, words=32000,
                prompt=32, tokens=96)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        told = made(folder, size)
        rest = [size["tokens"], 4]
        ratios, ours_ms, theirs_ms = [], [], []
        for _ in range(rounds(6)):
            ours = json_of([BUILD / "bench/bench_model", "generate", folder, folder / "ours.safetensors", *rest])
            theirs = json_of([sys.executable, ROOT / "bench/opponent.py", "generate", folder,
                              folder / "theirs.safetensors", *rest])
            if ours["ids"] != theirs["ids"]:
                sys.exit("decode: other tokens; nothing was timed")
            # The first reply of each warms up.
            ours_ms.append(statistics.median(ours["ms"][1:]) / size["tokens"])
            theirs_ms.append(statistics.median(theirs["ms"][1:]) / size["tokens"])
            ratios.append(theirs_ms[-1] / ours_ms[-1])
    return [("decode, %s, greedy, one text: against transformers' generate" % told,
             "%s times as fast, the same tokens; %.1f ms and %.1f ms a token" % (
                 shown(ratios), statistics.median(ours_ms), statistics.median(theirs_ms)), ">= 1.2")]


def blip2_features():
    """Three epochs: ours keep the tower's rows in the first, theirs run the tower in each."""
    size = dict(make="make_blip2", batch=16, batches=3)
    count, epochs = size["batches"], 3
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        told = made(folder, size)
        ours = [BUILD / "bench/bench_model", "train", folder, folder / "ours.safetensors", "itc,itm,lm", 0,
                epochs * count, "train=vision_model.post_layernorm.*", "freeze=vision_model.*"]
        theirs = [sys.executable, ROOT / "bench/opponent.py", "blip2", folder, folder / "theirs.safetensors", 0,
                  epochs * count, "fused"]
        ratios = {"fresh": [], "there": [], "without": []}
        for turn in range(rounds(5)):
            kept = folder / ("kept%d" % turn)
            option = "cache=%s" % kept
            runs = {"fresh": json_of(ours + [option]), "theirs": json_of(theirs),
                    "there": json_of(ours + [option]), "without": json_of(ours)}
            if turn == 0:
                check_first(runs["without"], runs["theirs"])
                check_parity(runs["fresh"]["losses"], runs["without"]["losses"], "blip2_features")
            for side in ratios:
                ratios[side].append(sum(runs["theirs"]["ms"]) / sum(runs[side]["ms"]))
    return [("blip2_features, stage 1, %s, three epochs, tower and Q-Former of the released proportions "
             "(a quarter as wide, a third as deep): against transformers' modules" % told,
             "%s times as fast where the first epoch keeps the tower's rows; %s where they are kept already; "
             "%s without keeping" % tuple(shown(ratios[side]) for side in ("fresh", "there", "without")),
             ">= 3.0")]


def check_first(ours, theirs):
    """Each side draws its own negatives for the matching: that loss is only about the same."""
    for key in ("loss.itc", "loss.lm"):
        if abs(ours["first"][key] - theirs["first"][key]) > 5e-6 * abs(theirs["first"][key]):
            sys.exit("blip2_features: no parity of %s: %r and %r" % (key, ours["first"], theirs["first"]))
    if abs(ours["losses"][0] - theirs["losses"][0]) > 0.02 * theirs["losses"][0]:
        sys.exit("blip2_features: no parity of the sum: %r and %r" % (ours["losses"][0], theirs["losses"][0]))


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
        ratios = {"pil": [], "torchvision": [], "decode": []}
        for _ in range(8):
            speed = {mode: json_of([program, small, 224, 2, mode])["per_second"] for mode in ("view", "decode")}
            for side in ratios:
                theirs = json_of([sys.executable, other, side, small, 224, 2])["per_second"]
                ratios[side].append(speed["decode" if side == "decode" else "view"] / theirs)
        size = statistics.mean(path.stat().st_size for path in small.iterdir()) / 1000
        for side, what, mark in (("pil", "PIL and torchvision", 2.5), ("torchvision", "torchvision's decoder and resize", 1.4)):
            rows.append(("pictures, JPEG 640 x 480 to a crop of 224, one core: against %s" % what,
                         "%s times as fast; %d from PIL's pixels; %.0f a second, files of %.0f KB" % (
                             shown(ratios[side]), off, speed["view"], size), ">= %.1f" % mark))
        rows.append(("pictures, JPEG 640 x 480, one core: decoding alone against torchvision's decoder",
                     "%s times as fast; %.0f a second" % (shown(ratios["decode"]), speed["decode"]), "reported"))
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
    others = {"itc": itc, "lm_loss": lm_loss, "decode": decode, "blip2_features": blip2_features,
              "startup": startup, "pictures": pictures, "loader": loader, "tokenize": tokenize}
    names = sys.argv[2:] or [*others, *TRAIN]
    if os.getloadavg()[0] > 0.3:
        print("the machine is not idle (load %.1f): figures will be rough" % os.getloadavg()[0])
    for name in names:
        rows = train(name) if name in TRAIN else others[name]()
        for row in rows:
            print("%s: %s (wanted: %s)" % row)
        record(rows)


main()
