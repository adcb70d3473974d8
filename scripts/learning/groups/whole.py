"""One table over all systems, of what the other groups trained; nothing of its own."""
from ..page import NONE, figure, table

runs = []

# System, run, all stages of its main line in order, and by column (stage, key). What a system cannot do is left out;
# "-" stands there.
SYSTEMS = [
    ("CLIP", "clip", ("objects", "scenes", "bindings"), {
        "retrieval": ("bindings", "test.retrieval.text_to_image.r1"), "hard": ("bindings", "hard.hard.text_to_image")}),
    ("ViLT", "vilt", ("objects", "scenes", "bindings"), {
        "retrieval": ("retrieval", "test.retrieval.text_to_image.r1"), "hard": ("retrieval", "hard.hard.text_to_image"),
        "vqa": ("vqa", "questions_test.vqa.accuracy"), "nlvr2": ("nlvr2", "reasons_test.nlvr2.accuracy")}),
    ("ALBEF", "albef", ("objects", "scenes", "bindings"), {
        "retrieval": ("retrieval", "test.retrieval.text_to_image.r1"), "hard": ("retrieval", "hard.hard.text_to_image"),
        "vqa": ("vqa", "listed_test.vqa.accuracy"), "nlvr2": ("nlvr2", "reasons_test.nlvr2.accuracy"),
        "ve": ("ve", "hypotheses_test.ve.accuracy"), "grounding": ("bindings", "expressions.grounding.pointing")}),
    ("VLMo", "vlmo", ("vision", "language", "objects", "scenes", "bindings"), {
        "retrieval": ("retrieval", "test.retrieval.text_to_image.r1"), "hard": ("retrieval", "hard.hard.text_to_image"),
        "vqa": ("vqa", "questions_test.vqa.accuracy"), "nlvr2": ("nlvr2", "reasons_test.nlvr2.accuracy")}),
    ("BLIP", "blip", ("objects", "scenes", "bindings"), {
        "retrieval": ("retrieval", "test.retrieval.text_to_image.r1"), "hard": ("retrieval", "hard.hard.text_to_image"),
        "vqa": ("vqa", "listed_test.vqa.accuracy"), "nlvr2": ("nlvr2", "reasons_test.nlvr2.accuracy")}),
    ("BLIP-2", "blip2", ("tower", "first", "words", "second"), {"vqa": ("second", "questions_test.vqa.accuracy")}),
    ("LLaVA-1.5", "llava", ("captions", "instruct"), {"vqa": ("instruct", "test.vqa.accuracy")}),
    ("Qwen-VL", "qwen_vl", ("pretrain", "multitask", "instruct"), {
        "vqa": ("instruct", "test.vqa.accuracy"), "grounding": ("instruct", "places.boxes.accuracy")}),
    ("Qwen2-VL", "qwen2_vl", ("captions", "everything", "instruct"), {
        "vqa": ("instruct", "test.vqa.accuracy"), "grounding": ("instruct", "test_boxes.boxes.accuracy")}),
    ("Qwen2.5-VL", "qwen25_vl", ("captions", "everything", "instruct"), {
        "vqa": ("instruct", "test.vqa.accuracy"), "grounding": ("instruct", "test_boxes.boxes.accuracy")}),
    ("Qwen2.5-VL after DPO", "qwen25_vl", ("captions", "everything", "instruct", "dpo"), {
        "vqa": ("dpo", "test.vqa.accuracy")}),
]
COLUMNS = {"retrieval": "R@1, picture of a text", "hard": "hard gallery", "vqa": "VQA", "nlvr2": "NLVR2", "ve": "VE",
           "grounding": "grounding"}


def parameters(record, run):
    counts = {one["parameters"] for one in record.kept["runs"].get(run, {}).values() if "parameters" in one}
    return " and ".join(f"{count / 1e6:.2f} M" for count in sorted(counts)) or NONE


def minutes(record, run, line, keys):
    """Of the main line, and behind a plus of the tasks' own stages."""
    own = [stage for stage in dict.fromkeys(stage for stage, _ in keys.values()) if stage not in line]
    first = figure(record.minutes(run, line), 1)
    rest = [sum(one[stage]["minutes"] for stage in own if stage in one) for one in record.stages(run)]
    return first if not own or first == NONE or not any(rest) else f"{first} + {figure(rest, 1)}"


def rows(record):
    for name, run, line, keys in SYSTEMS:
        cells = [figure(record.values(run, *keys[column])) if column in keys else "-" for column in COLUMNS]
        yield [name, *cells, parameters(record, run), minutes(record, run, line, keys)]


def sections(record):
    return [f"""## All systems
What the sections below tell, in one table: retrieval among 500 test pictures (ViLT: 50), the hard gallery (chance 0.10),
closed questions (text alone {record.text_only("vqa"):.2f}), NLVR2 (0.5), entailment (0.33), grounding (ALBEF: pointing game;
the others: boxes with IoU >= 0.5). Minutes of one core: of what leads to the answers, and behind the plus of the
tasks that have stages of their own; a tower that is trained before (LLaVA's) is not in them. "-": not what the system does, or no
task of its world config.

{table(["", *COLUMNS.values(), "parameters", "minutes"], rows(record))}
"""]
