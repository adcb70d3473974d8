"""LLaVA, Qwen2-VL and Qwen2.5-VL through their stages, and preferences."""
from ..page import figure, share, table
from ..runs import Run

tower = Run("tower", "configs/world/tower.yaml")
runs = [
    tower,
    Run("llava", "configs/llava/world_tower.yaml", begins=("model.vision.pretrained", tower)),
    Run("qwen2_vl", "configs/qwen2_vl/world.yaml"),
    Run("qwen25_vl", "configs/qwen25_vl/world.yaml"),
]

# System, run, its stages, the stage that answers.
SYSTEMS = [
    ("LLaVA", "llava", ("captions", "instruct"), "instruct"),
    ("Qwen2-VL", "qwen2_vl", ("captions", "everything", "instruct"), "instruct"),
    ("Qwen2.5-VL", "qwen25_vl", ("captions", "everything", "instruct"), "instruct"),
]


def answers(record, systems, boxes):
    head = ["", "answers, 0.5", *(["boxes with IoU >= 0.5, 0.5", "mean IoU"] if boxes else []), "samples", "minutes"]
    rows = []
    for name, run, stages, last in systems:
        row = [name, share(record.values(run, last, "test.vqa.accuracy"), record.text_only("vqa"))]
        if boxes:
            row += [figure(record.values(run, last, f"{boxes}.boxes.{key}")) if name != "LLaVA" else "-"
                    for key in ("accuracy", "iou")]
        samples = [sum(one[stage]["samples"] for stage in stages) for one in record.stages(run) if last in one]
        rows.append([*row, figure(samples, 0), figure(record.minutes(run, stages), 1)])
    return table(head, rows)


def preferences(record):
    head = ["Qwen2.5-VL", "answers", "preference accuracy", "KL to the reference, nats a token"]
    rows = []
    for name, stage in (("after instruction tuning", "instruct"), ("after DPO", "dpo")):
        rows.append([name, share(record.values("qwen25_vl", stage, "test.vqa.accuracy"), record.text_only("vqa")),
                     figure(record.values("qwen25_vl", stage, "preferences_test.preference.accuracy")),
                     figure(record.values("qwen25_vl", stage, "preferences_test.preference.kl"), 4)])
    return table(head, rows)


def sections(record):
    return [f"""## Language models that see
`scripts/results language_models`; configs/SYSTEM/world.yaml: a language model and a tower of the
world's size, all stages in one run; LLaVA's is configs/llava/world_tower.yaml, whose frozen tower is that of
configs/world/tower.yaml ({figure(record.minutes("tower", ["objects", "scenes", "bindings"]), 1)} minutes, not in its own). Answers are written, and right when they are the answer to the
letter; in parentheses the share of the way from a reader of the text alone to 1, and in the head what
is wanted of it. Boxes are written as the system writes them and read back.

{answers(record, SYSTEMS, "test_boxes")}

LLaVA tells colours (0.71; by chance 0.12) and places (0.51; 0.11) after 96,000 questions, shapes hardly
(0.24; 0.17), counts not (0.31; 0.33), and its loss was still falling when the schedule ended. The tower that was
trained for nine minutes instead of twenty (hard gallery 0.21 instead of {figure(record.values("tower", "bindings", "hard.hard.image_to_text"), 2)}) gave 0.462: colours 0.73,
places 0.43, shapes 0.15, counts 0.48. So a tower that tells more apart brings places and shapes, and not yet more
answers. Asked up to nine questions of each picture (`task: questions`, 48,000 dialogues, 16 minutes; a run by hand, with
the first tower) it was at 0.456; later questions can be told from earlier answers, which the loss shows and the test
does not. A language model that first learns to answer about scenes that are read to it (`task: reading`) stood at 0.28
nats a token after 22,000 dialogues, where one that reads would be near 0: eight minutes are not enough for that.

Qwen2-VL sees nothing but backgrounds for its first 16,000 single objects, then colours; captions of single objects at
batch 64 and rate 2e-3, mixed with scenes of two, stayed on that plateau for as long as they were tried. After 21
minutes it tells colours (0.65), no places and no shapes; its boxes have the form and not the place. Qwen2.5-VL by
the same recipe, with half of its last stage text, goes the same way (colours 0.51) and takes longer than the twenty
minutes of a core that are allowed. (Qwen2-VL's run is of commit d4138aa, the other two's and the tower's of a76ffcb,
those of the pair models of 0e56799.)

DPO on preferences about pictures (a right answer and a wrong one), on held-out prompts; wanted: + 0.10,
and answers not down by more than 0.02. Both are missed: a model that cannot see which answer is right learns
from 6,400 pairs which answers are liked, at the cost of those that it knew:

{preferences(record)}
"""]
