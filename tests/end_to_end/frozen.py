"""What the stages of a run froze is what it was, to the bit.

The rules are read from the run's resolved.yaml and matched here once more; the weights are those of
the ends of its stages, which `checkpoint.stages=true` keeps.
"""

import json
import re

import common
from common import newest, tensors

KEEP = "checkpoint.stages=true"


def unquoted(text):
    return json.loads(text) if text.startswith('"') else text


def stages_of(run):
    """Of resolved.yaml, in order: {name, kind, init, losses, rules}; a rule is (pattern, freezes)."""
    stages, inside, block = [], False, ""
    for line in (run / "resolved.yaml").read_text().splitlines():
        if not line.startswith(" "):
            inside = line == "stages:"
            continue
        if not inside:
            continue
        if line.startswith("  - name: "):
            stages.append({"name": unquoted(line[10:]), "kind": "train", "init": "", "losses": [],
                           "rules": []})
            continue
        depth = len(line) - len(line.lstrip())
        key, _, value = line.strip().partition(": ")
        if depth == 4:
            block = line.strip().rstrip(":")
            if key in ("kind", "init"):
                stages[-1][key] = unquoted(value)
            elif key == "train":
                stages[-1]["rules"] = {"all": [("*", False)], "none": []}[value]
        elif block == "losses":
            stages[-1]["losses"].append(unquoted(key))
        elif block == "train" and line.startswith("      - "):
            stages[-1]["rules"].append((unquoted(value if key == "- match" else line[8:]), False))
        elif block == "train" and depth == 8 and key == "freeze":
            stages[-1]["rules"][-1] = (stages[-1]["rules"][-1][0], value == "true")
    return stages


def matches(pattern, name):
    if len(pattern) > 1 and pattern[0] == pattern[-1] == "/":
        return re.search(pattern[1:-1], name) is not None
    glob = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern)
    return re.fullmatch(glob, name) is not None


def freezes(stage, name):
    """The first rule that matches decides; what none matches is frozen."""
    return next((frozen for pattern, frozen in stage["rules"] if matches(pattern, name)), True)


def ends_of(run):
    """stage -> the checkpoint at its end."""
    ends = json.loads((newest(run) / "state.json").read_text())["ends"]
    return {name: run / "checkpoints" / ("step-%06d" % step) for name, step in ends}


def weights(checkpoint):
    return tensors(checkpoint / "model.safetensors")


def initial(test, name, config, stage):
    """The weights that the first stage begins with, but for what it trains: one step too small to
    change anything."""
    start = name + " initial"
    test.train(start, "--stop-after", 1, "eval.tasks=[]", "stages.%s.optimizer.lr=1e-30" % stage,
               config=config, code=75)
    return weights(newest(test.folder / start))


def check(test, name, config):
    """Of the run `name`, which kept the ends of its stages: {stage: names of frozen tensors}."""
    run = test.folder / name
    ends, stages = ends_of(run), stages_of(run)
    test.assertEqual(sorted(ends), sorted(stage["name"] for stage in stages))
    found = {}
    for i, stage in enumerate(stages):
        # Codes are no parameters: the first stage that asks for them makes them.
        state = ("codes.",) if "mim" in stage["losses"] else ()
        after = weights(ends[stage["name"]])
        frozen = {n for n in after if freezes(stage, n) and not n.startswith(state)}
        moments = set(tensors(ends[stage["name"]] / "optimizer.safetensors"))
        for n in frozen:
            test.assertNotIn("exp_avg." + n, moments, stage["name"])
        found[stage["name"]] = frozen
        if not frozen or stage["init"] == "scratch":
            continue
        if stage["init"] or i:
            before = weights(ends[stage["init"] or stages[i - 1]["name"]])
        else:
            before = initial(test, name, config, stage["name"])
        # A part that is new or has another shape was not there before the stage.
        same = {n for n in after if n in before and before[n][:2] == after[n][:2]}
        for n in sorted(frozen & same):
            test.assertTrue(after[n] == before[n], "%s: stage %s changed %s" %
                            (name, stage["name"], n))
        if same - frozen:  # else all that is trained is new
            test.assertTrue(any(after[n] != before[n] for n in same - frozen),
                            "%s: stage %s changed nothing" % (name, stage["name"]))
    return found
