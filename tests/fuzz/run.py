"""Builds and runs the fuzz targets; see scripts/fuzz, which calls it."""

import datetime
import os
import pathlib
import re
import shutil
import subprocess
import sys

import planting

ROOT = pathlib.Path(sys.argv[1])
MINUTES = float(sys.argv[2])
PLANTED = sys.argv[3] == "1"
TARGETS = sys.argv[4:]
CORPUS = ROOT / "tests/fuzz/corpus"
PAGE = ROOT / "docs/fuzzing.md"
LARGEST = 4096  # bytes of an input; what parsers get wrong, they get wrong with little
KEPT = 2048     # bytes of an input that may enter the corpus in git
MOST = 40       # inputs of a target there: every test run replays each in hundreds of changes


def build(source, folder, targets):
    if not (folder / "build.ninja").exists():
        subprocess.run(
            ["cmake", "-G", "Ninja", "-S", source, "-B", folder, "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
             "-DCMAKE_CXX_COMPILER=clang++-14", "-DTANDEM_FUZZ=ON", "-DTANDEM_CUDA=OFF",
             f"-DTANDEM_TORCH_DIR={torch()}"], check=True, stdout=sys.stderr)
    subprocess.run(["ninja", "-C", folder, "-j2", *[f"fuzz_{t}" for t in targets]], check=True,
                   stdout=sys.stderr)


def torch():
    return next((ROOT / ".deps/python/lib").glob("python3*/site-packages/torch"))


def fuzz(program, corpora, seconds, finds):
    """Runs one program. Returns executions, edges covered, and whether something was found."""
    finds.mkdir(parents=True, exist_ok=True)
    for folder in corpora:
        folder.mkdir(parents=True, exist_ok=True)
    ran = subprocess.run(
        [program, f"-max_total_time={seconds:.0f}", f"-max_len={LARGEST}", "-timeout=20",
         "-rss_limit_mb=3000", "-print_final_stats=1", "-verbosity=1",
         f"-artifact_prefix={finds}/", *corpora],
        capture_output=True, text=True, errors="replace",
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1"})
    numbers = re.findall(r"#(\d+)\s.*?cov: (\d+)", ran.stderr)
    runs = re.findall(r"stat::number_of_executed_units: (\d+)", ran.stderr)
    executed = int(runs[-1]) if runs else int(numbers[-1][0]) if numbers else 0
    covered = int(numbers[-1][1]) if numbers else 0
    return executed, covered, ran.returncode != 0, ran.stderr


def keep_small(target, new):
    """Merges what reaches new code into the corpus in git."""
    into = CORPUS / target
    into.mkdir(parents=True, exist_ok=True)
    for path in list(new.iterdir()):
        if path.stat().st_size > KEPT:
            path.unlink()
    subprocess.run([ROOT / f"build/fuzz/tests/fuzz/fuzz_{target}", "-merge=1", into, new],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    drop_the_largest(into)


def drop_the_largest(corpus):
    """Those that somebody named stay; libFuzzer names by a hash."""
    files = list(corpus.iterdir())
    found = sorted((path for path in files if re.fullmatch("[0-9a-f]{40}", path.name)),
                   key=lambda path: (path.stat().st_size, path.name))
    for path in found[max(0, MOST - (len(files) - len(found))):]:
        path.unlink()


def record(target, cells):
    lines = PAGE.read_text().splitlines()
    row = "| " + " | ".join([target, *cells]) + " |"
    for i, line in enumerate(lines):
        if line.startswith(f"| {target} |"):
            lines[i] = row
            break
    else:
        last = max(i for i, line in enumerate(lines) if line.startswith("|"))
        lines.insert(last + 1, row)
    PAGE.write_text("\n".join(lines) + "\n")


def search():
    folder = ROOT / "build/fuzz"
    build(ROOT, folder, TARGETS)
    found_any = False
    for target in TARGETS:
        new = folder / "corpus" / target
        executed, covered, found, log = fuzz(folder / f"tests/fuzz/fuzz_{target}",
                                             [new, CORPUS / target], 60 * MINUTES,
                                             folder / "finds" / target)
        found_any |= found
        if not found:
            keep_small(target, new)
        print(f"{target}: {MINUTES:g} minutes, {executed} executions, {covered} edges, "
              f"{'FOUND, see build/fuzz/finds' if found else 'nothing found'}")
        if found:
            print(log[-3000:])
        record(target, [f"{MINUTES:g}", f"{executed:,}", f"{covered:,}",
                        str(len(list((CORPUS / target).iterdir()))),
                        "something" if found else "nothing",
                        datetime.date.today().isoformat()])
    return 1 if found_any else 0


def try_planted(target, source, folder):
    """Builds a target with its bug and runs it: whether it was found."""
    path, text, bug = planting.with_bug(ROOT, target, source)
    path.write_text(bug)
    try:
        build(source, folder, [target])
    finally:
        path.write_text(text)
    shutil.rmtree(folder / "finds", ignore_errors=True)
    new = folder / "corpus" / target
    shutil.rmtree(new, ignore_errors=True)
    executed, _, found, log = fuzz(folder / f"tests/fuzz/fuzz_{target}",
                                   [new, CORPUS / target], 60 * MINUTES, folder / "finds")
    what = re.search(r"(ERROR: \S+: [\w-]+|runtime error: .*|does not hold: .*|timeout)", log)
    print(f"{target}: planted bug {'found' if found else 'NOT found'} after {executed} "
          f"executions{': ' + what.group(0) if found and what else ''}")
    return found


def search_planted():
    source, folder = ROOT / "build/planted/source", ROOT / "build/planted/build"
    shutil.rmtree(source, ignore_errors=True)
    for part in ["src", "include", "cmake", "bench", "tests", "CMakeLists.txt", "CMakePresets.json"]:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
        source.mkdir(parents=True, exist_ok=True)
        copy(ROOT / part, source / part)
    (source / ".deps").symlink_to(ROOT / ".deps")
    missed = []
    for target in TARGETS:
        try:
            found = try_planted(target, source, folder)
        except (planting.Stale, subprocess.CalledProcessError) as error:  # the others are tried
            print(f"{target}: NOT tried: {error}")
            found = False
        if not found:
            missed.append(target)
    if missed:
        print("missed: " + ", ".join(missed))
    return 1 if missed else 0


sys.exit(search_planted() if PLANTED else search())
