"""CLIP: retrieval, beside what reads the scene and what only counts words."""
from ..page import figure, table
from ..runs import Run

runs = [Run("clip", "configs/clip/world.yaml", seeds=(1, 2, 3))]

KEYS = {
    "image_to_text.r1": "test.retrieval.image_to_text.r1",
    "text_to_image.r1": "test.retrieval.text_to_image.r1",
    "hard.image_to_text": "hard.hard.image_to_text",
    "hard.text_to_image": "hard.hard.text_to_image",
}


def sections(record):
    rows = [[one["reader"], *(f"{one[key]:.3f}" for key in KEYS), "-"] for one in record.kept["readers"] if "reader" in one]
    for seed, run in sorted(record.kept["runs"].get("clip", {}).items()):
        last = run["stages"]["bindings"]
        minutes = sum(stage["minutes"] for stage in run["stages"].values())
        rows.append([f"CLIP, seed {seed}", *(f"{last[key]:.3f}" for key in KEYS.values()), f"{minutes:.1f}"])
    rows.append(["CLIP", *(figure(record.values("clip", "bindings", key)) for key in KEYS.values()),
                 figure(record.minutes("clip", ["objects", "scenes", "bindings"]), 1)])
    return [f"""## CLIP
`scripts/results clip`; configs/clip/world.yaml. Retrieval is among 500 test pictures; the hard gallery
is 50 groups of 10 pictures that differ in one attribute or in what it is bound to (chance 0.10, wanted
0.50). The oracle reads the caption and compares it with the scene; the bag of attributes counts which
words occur (`tandem data baselines --max-objects 2`).

{table(["", *KEYS, "minutes"], rows)}

The bag of attributes finds every picture among 500: only the hard gallery tells whether a model knows
what is bound to what. There every seed is above the bag, and the wanted 0.50 is missed. Earlier runs of
seed 1 (commits up to 556d55d, not in the record) had there 0.488
and 0.496 on two threads, 0.420 and 0.414 on one: the two differ in threads and build, not in what is
computed, so 0.07 is what chance does to this figure. What moved it: a first stage on single objects
(without it nothing is learned in this time), a second on random scenes of two, patches that are as
large as a place (32 of 96 pixels), and steps on groups of variants. What did not: more such steps,
groups of two objects alone.
"""]
