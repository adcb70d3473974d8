"""The bugs of tests/fuzz/planted, a file each: FILE, the text that stands there, the one to put in.

planting.py [ROOT]: names each bug whose text does not stand exactly once in its file, each target without
a bug and each bug without a target; exits 0 when there is none, else 1.
"""

import pathlib
import sys


class Stale(Exception):
    """A bug that cannot be planted."""


def with_bug(root, target, source):
    """The file below `source` that a target's bug goes into, its text, and the text with the bug."""
    parts = (root / "tests/fuzz/planted" / target).read_text().split("\n----\n")
    if len(parts) != 3:
        raise Stale(f"planted/{target}: expected 3 parts with ---- between them; got {len(parts)}")
    name, old, new = parts[0].strip(), parts[1].strip("\n"), parts[2].strip("\n")
    path = source / name
    text = path.read_text() if path.is_file() else ""
    if not old or old == new:
        raise Stale(f"planted/{target}: it changes nothing")
    if text.count(old) != 1:
        raise Stale(f"planted/{target}: its text stands {text.count(old)} times in {name}")
    return path, text, text.replace(old, new)


def problems(root):
    """What is wrong with the bugs, a line each."""
    planted = {path.name for path in (root / "tests/fuzz/planted").iterdir()}
    targets = {path.stem for path in (root / "tests/fuzz/targets").glob("*.cpp")}
    found = [f"planted/{name}: no such target" for name in sorted(planted - targets)]
    found += [f"targets/{name}.cpp: no bug is planted for it" for name in sorted(targets - planted)]
    for target in sorted(planted):
        try:
            with_bug(root, target, root)
        except Stale as error:
            found.append(str(error))
    return found


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parents[2]
    lines = problems(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here)
    for line in lines:
        print(line)
    sys.exit(1 if lines else 0)
