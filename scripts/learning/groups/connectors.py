"""BLIP-2 through both stages, Qwen-VL through its three."""
from ..page import figure, table
from ..runs import Run
from .language_models import answers

runs = [
    Run("blip2", "configs/blip2/world.yaml"),
    Run("qwen_vl", "configs/qwen_vl/world.yaml"),
]


def captions(record):
    keys = ("bleu4", "rouge_l", "cider")
    return table(["", "BLEU-4", "ROUGE-L", "CIDEr", "minutes"], [
        ["BLIP-2 (OPT)", *(figure(record.values("blip2", "second", f"test.caption.{key}")) for key in keys),
         figure(record.minutes("blip2", ["tower", "first", "words", "second"]), 1)]])


def sections(record):
    return [f"""## Connectors
`scripts/results connectors`; configs/blip2/world.yaml and configs/qwen_vl/world.yaml.

{answers(record, [("Qwen-VL", "qwen_vl", ("pretrain", "multitask", "instruct"), "instruct")], "places")}

Captions of test scenes, written by a frozen language model of what a frozen tower sees:

{captions(record)}
"""]
