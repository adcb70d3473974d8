"""Runs that are kept, one folder a config (its hash) and seed, and the record of what came out."""
import collections
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import threading

root = pathlib.Path(__file__).resolve().parents[2]
at_work = collections.defaultdict(threading.Lock)  # by folder: a tower that several begin with is trained once
tandem = os.environ.get("TANDEM", str(root / "scripts/tandem"))


def said(*words):
    """What `tandem WORDS` writes; its complaints go to the terminal."""
    return subprocess.run([tandem, *words], cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout


@dataclasses.dataclass(frozen=True)
class Run:
    """A config with overrides ("key=value"), trained with each of the seeds. `begins` is a setting and
    the run whose last checkpoint it names: that one is trained first, with its own first seed."""

    name: str
    config: str
    overrides: tuple = ()
    seeds: tuple = (1,)
    begins: tuple = ()

    def settings(self, seed):
        return [self.config, *self.overrides, *self.parts(), f"seed={seed}"]

    def parts(self):
        """KEY=FOLDER of what it begins with."""
        if not self.begins:
            return []
        key, run = self.begins
        return [f"{key}={run.weights(run.seeds[0])}"]

    def weights(self, seed):
        """The folder of its last checkpoint, below the project."""
        said_steps = re.findall(r"until:\s+steps: (\d+)", said("config", *self.settings(seed)))
        last = sum(int(steps) for steps in said_steps)
        return (self.folder(seed) / f"checkpoints/step-{last:06}").relative_to(root)

    def folder(self, seed):
        """By what the config says: comments, origins and where the project lies do not count."""
        lines = [line.split("  #")[0].replace(str(root), "") for line in said("config", *self.settings(seed)).splitlines()]
        mark = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]
        return root / f"runs/results/{self.name}_seed{seed}_{mark}"


def train(run, seed):
    """Goes on where it was stopped; the mark says that it is complete. One thread: the bits, and so
    the figures, do not depend on the machine's number of cores."""
    if run.begins:
        first = run.begins[1]
        train(first, first.seeds[0])
    folder = run.folder(seed)
    with at_work[folder]:
        if (folder / "results_complete").exists():
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        print(f"scripts/results: {folder.name}", flush=True)
        with open(str(folder) + ".log", "a") as log:
            subprocess.run([tandem, "train", *run.settings(seed), "threads=1", "--out", str(folder)],
                           cwd=root, check=True, stdout=log, stderr=log)
        (folder / "results_complete").touch()
    return folder


def summary(folder):
    """What docs/results.json keeps of a run: of each stage its steps, samples, minutes and last
    evaluation. Minutes are steps times their median: what else the machine did, and evaluations,
    are not in them."""
    stages, times = {}, {}
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        stage = stages.setdefault(row["stage"], {"steps": 0})
        times.setdefault(row["stage"], []).append(row["time.step"])
        stage["steps"] += 1
        stage["samples"] = row["samples"]
        stage.update({key[len("eval."):]: round(value, 4) for key, value in row.items() if key.startswith("eval.")})
    for name, stage in stages.items():
        stage["minutes"] = round(stage["steps"] * statistics.median(times[name]) / 60, 2)
    if not (folder / "results_complete").exists():
        stages.popitem()  # the one in which it was stopped
    return {"run": folder.name, "stages": stages, **parameters_of(folder / "log.txt")}


def parameters_of(log):
    """As the last stage's plan counts them: momentum copies and queues are not parameters."""
    plans = re.findall(r"in all: (\d+) trained, (\d+) frozen", log.read_text()) if log.exists() else []
    return {"parameters": sum(map(int, plans[-1]))} if plans else {}


class Record:
    """docs/results.json: runs by name and seed, and what reads the world without being trained."""

    path = root / "docs/results.json"

    def __init__(self):
        self.kept = json.loads(self.path.read_text()) if self.path.exists() else {"runs": {}, "readers": []}

    def write(self):
        self.path.write_text(json.dumps(self.kept, indent=1, sort_keys=True) + "\n")

    def add(self, run, seed, folder):
        self.kept["runs"].setdefault(run.name, {})[str(seed)] = summary(folder)
        self.write()

    def read_baselines(self):
        """Of scenes of at most two objects, as all of the world's configs have."""
        lines = said("data", "baselines", "--max-objects", "2") + said("data", "baselines", "--max-objects", "2", "--tasks")
        self.kept["readers"] = [json.loads(line) for line in lines.splitlines()]
        self.write()

    def text_only(self, task):
        """What a reader without pictures gets right: its kinds weighted by their samples."""
        kinds = [one for one in self.kept["readers"] if one.get("task") == task]
        return sum(one["samples"] * one["text_only"] for one in kinds) / sum(one["samples"] for one in kinds)

    def stages(self, name):
        """Of each seed that was trained."""
        return [one["stages"] for one in self.kept["runs"].get(name, {}).values()]

    def values(self, name, stage, key):
        """One a seed that has it."""
        return [one[stage][key] for one in self.stages(name) if key in one.get(stage, {})]

    def minutes(self, name, stages):
        """Of these stages, one a seed."""
        return [sum(one[stage]["minutes"] for stage in stages)
                for one in self.stages(name) if all(stage in one for stage in stages)]
