"""BLIP-2 through both stages, Qwen-VL through its three."""
from ..page import figure, share, table
from ..runs import Run
from .language_models import answers

runs = [
    Run("blip2", "configs/blip2/world.yaml"),
    Run("qwen_vl", "configs/qwen_vl/world.yaml"),
]


def captions(record):
    keys = ("bleu4", "rouge_l", "cider")
    return table(["", "BLEU-4", "ROUGE-L", "CIDEr", "answers, 0.5", "minutes"], [
        ["BLIP-2 (OPT)", *(figure(record.values("blip2", "second", f"test.caption.{key}")) for key in keys),
         share(record.values("blip2", "second", "questions_test.vqa.accuracy"), record.text_only("vqa")),
         figure(record.minutes("blip2", ["tower", "first", "words", "second"]), 1)]])


def sections(record):
    return [f"""## Connectors
`scripts/results connectors`; configs/blip2/world.yaml and configs/qwen_vl/world.yaml.

{answers(record, [("Qwen-VL", "qwen_vl", ("pretrain", "multitask", "instruct"), "instruct")], "places")}

Captions of test scenes and answers, written by a frozen language model of what a frozen tower sees:

{captions(record)}
"""]
