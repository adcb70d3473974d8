"""docs/results.md from the record."""
import statistics

from .runs import root

NONE = "not run"


def figure(values, digits=3):
    """Of one seed the value; of several the mean and the range."""
    if not values:
        return NONE
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{statistics.mean(values):.{digits}f} [{min(values):.{digits}f}, {max(values):.{digits}f}]"


def shares(values, floor):
    """The part of the way from `floor` to 1."""
    return [(value - floor) / (1 - floor) for value in values]


def share(values, floor):
    return NONE if not values else f"{figure(values)} ({figure(shares(values, floor), 2)})"


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


HEAD = """# Results

Written by `scripts/results` from docs/results.json, where its runs are recorded; what is said of other
runs says so. All is learned on the built-in world: training scenes hold no (shape, colour) pair with
(shape + colour) % 5 == 0, every test scene holds at least one, scenes hold one or two objects. Runs
take one thread each; minutes are of one core, steps alone, the median step times their number. Where
there are several seeds, mean and [range]. Where it says "not run", the command would run it and
nobody has.
"""


def write(record, groups):
    sections = [section for group in groups for section in group.sections(record)]
    (root / "docs/results.md").write_text("\n".join([HEAD, *sections]))
