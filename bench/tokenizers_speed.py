"""Tokenizing against the package `tokenizers` (versions: scripts/reference.txt), one thread and two.

tokenizers_speed.py BENCH_TOKENIZE [TEXTS [ROUNDS]]: trains a byte-level vocabulary (GPT-2's and Qwen2's
pattern), CLIP's and a WordPiece one on the lines of a file (or on generated captions), then runs both
sides in turn, each until about a second has passed, and prints a line of JSON for each kind: how many
times faster one thread is, what a second thread gives, and our speed. The package's side is
encode_batch_fast, its fastest call. Ids of both sides are counted and must agree.
"""
import json
import os
import random
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "reference"))


def theirs(path, texts, seconds):
    from tokenizers import Tokenizer
    made = Tokenizer.from_file(path)
    lines = open(texts, encoding="utf-8", newline="\n").read().rstrip("\n").split("\n")
    best, count, passes, cpu, begin = 1e30, 0, 0, 0.0, time.perf_counter()
    while best > 1e29 or time.perf_counter() - begin < seconds:
        at, used = time.perf_counter(), time.process_time()
        made_ids = made.encode_batch_fast(lines, add_special_tokens=False)
        best = min(best, time.perf_counter() - at)
        cpu += time.process_time() - used
        passes += 1
        count = sum(len(e.ids) for e in made_ids)
    print(best, 0, count, cpu / passes)


def captions(count):
    from tokenizers_diff import ENGLISH
    rng = random.Random(3)
    words = ENGLISH + [a + b for a in "st br cl wh tr fl gr".split() for b in "one ead ick ale amp ound ing er".split()]
    return [" ".join(rng.choices(words, k=rng.randint(6, 20))) + "." for _ in range(count)]


def run(command, threads):
    environment = dict(os.environ, RAYON_NUM_THREADS=str(threads), TOKENIZERS_PARALLELISM="true" if threads > 1 else "false")
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout.split()


def main():
    if sys.argv[1] == "--theirs":
        return theirs(sys.argv[2], sys.argv[3], float(sys.argv[4]))
    from tokenizers_diff import QWEN2, bert, byte_level, clip, gpt2
    tool, rounds = sys.argv[1], int(sys.argv[3]) if len(sys.argv) > 3 else 5
    with tempfile.TemporaryDirectory() as folder:
        texts = os.path.join(folder, "texts.txt")
        lines = open(sys.argv[2], encoding="utf-8").read().split("\n") if len(sys.argv) > 2 and sys.argv[2] else captions(40000)
        lines = [line.replace("\r", " ").strip() for line in lines if line.strip()]
        with open(texts, "w", encoding="utf-8", newline="\n") as file:
            file.write("\n".join(lines) + "\n")
        kinds = {"gpt2": gpt2(lines, False), "qwen2": byte_level(lines, QWEN2), "clip": clip(lines), "bert": bert(lines)}
        for name, made in kinds.items():
            path = os.path.join(folder, name + ".json")
            made.save(path)
            ratios, scaling, speeds = [], [], []
            for _ in range(rounds):
                ours = run([tool, path, texts, "1", "1"], 1)
                other = run([sys.executable, __file__, "--theirs", path, texts, "1"], 1)
                two = run([tool, path, texts, "2", "1"], 2)
                assert ours[2] == other[2] == two[2], (name, ours, other, two)
                ratios.append(float(other[0]) / float(ours[0]))
                scaling.append(float(ours[0]) / float(two[0]))
                speeds.append(float(ours[1]) / float(ours[0]) / 1e6)
            print(json.dumps({"kind": name, "faster": ratios, "scaling": scaling, "mb_per_second": speeds}),
                  flush=True)


if __name__ == "__main__":
    main()
