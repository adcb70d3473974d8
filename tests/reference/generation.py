#!/usr/bin/env python3
"""Do our exports compute in transformers what they compute here, and do both write the same tokens?

generation.py TANDEM [FAMILY ...]: for LLaVA, Qwen2-VL and Qwen2.5-VL a tiny run is trained for nine
steps (LLaVA's second stage, whose template is v1) and exported; transformers loads the export (no key missing or left over) and its logits are
compared by `tandem verify`. Then weights that tell words well apart take the place of its own, 50
prompts with pictures of several sizes are written down, and `tandem generate --prompts` answers them
in batches of 8, as transformers does: one by one likeliest, and with 4 beams. Any difference fails.

In an environment with torch 2.11.0 and transformers 5.17.0 (scripts/setup_reference transformers).
"""
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import (LlavaForConditionalGeneration, Qwen2_5_VLForConditionalGeneration,
                          Qwen2VLForConditionalGeneration)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROMPTS, BATCH, NEW_TOKENS = 50, 8, 20
WORDS = "where what which is the a red blue green circle square left right of on above how many".split()
SYSTEM = ("A chat between a curious user and an artificial intelligence assistant. The assistant gives "
          "helpful, detailed, and polite answers to the user's questions.")


class Qwen:
    """Qwen2-VL and Qwen2.5-VL: any sizes, up to two pictures a prompt."""

    processor = Qwen2VLImageProcessorPil

    def __init__(self, name, model, window=0):
        self.name, self.model, self.most, self.window = name, model, 2, window

    def size(self, draw):  # whole cells of 16 pixels: nothing is resized
        while True:
            height, width = 16 * draw.randint(1, 8), 16 * draw.randint(1, 8)
            if 256 <= height * width <= 4096:
                return width, height

    def look(self, processor, pictures):
        if not pictures:
            return {}, []
        made = processor(images=pictures, return_tensors="pt")
        return {k: made[k] for k in ("pixel_values", "image_grid_thw")}, [
            int(t * h * w) // 4 for t, h, w in made["image_grid_thw"]]

    def ids(self, tokenizer, config, words, counts):
        shown = "".join("<|vision_start|>" + "<|image_pad|>" * n + "<|vision_end|>" for n in counts)
        text = ("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n" + shown
                + words + "<|im_end|>\n<|im_start|>assistant\n")
        return tokenizer.encode(text, add_special_tokens=False).ids

    def more(self, ids, config):
        return {"mm_token_type_ids": (ids == config.image_token_id).long()}

    ends = staticmethod(lambda config: config.text_config.eos_token_id)
    pad = staticmethod(lambda config: config.text_config.pad_token_id)


class Llava:
    """Squares of several sizes, resized to the tower's; at most one a prompt, as transformers' beams
    mix up those of prompts with several."""

    name, model, most, window = "llava", LlavaForConditionalGeneration, 1, 0
    processor = CLIPImageProcessorPil

    def size(self, draw):
        side = draw.choice([24, 32, 40, 57])
        return side, side

    def look(self, processor, pictures):
        if not pictures:
            return {}, []
        made = processor(images=pictures, return_tensors="pt")["pixel_values"]
        return {"pixel_values": made}, [4] * len(pictures)

    def ids(self, tokenizer, config, words, counts):
        ids = [config.text_config.bos_token_id]
        before = SYSTEM + " USER: "
        for count in counts:
            ids += tokenizer.encode(before, add_special_tokens=False).ids
            ids += [config.image_token_id] * count
            before = "\n"
        return ids + tokenizer.encode(before + words + " ASSISTANT:", add_special_tokens=False).ids

    def more(self, ids, config):
        return {}

    ends = staticmethod(lambda config: config.text_config.eos_token_id)
    pad = staticmethod(lambda config: config.text_config.pad_token_id)


FAMILIES = [Llava(), Qwen("qwen2_vl", Qwen2VLForConditionalGeneration),
            Qwen("qwen25_vl", Qwen2_5_VLForConditionalGeneration),
            Qwen("qwen25_vl", Qwen2_5_VLForConditionalGeneration, window=12)]


def set_window(directory, window):
    """All layers but the first see so many tokens."""
    root = json.loads((directory / "config.json").read_text())
    root.update(use_sliding_window=True, sliding_window=window, max_window_layers=1)
    (directory / "config.json").write_text(json.dumps(root))


def run(*command, codes=(0,)):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False,
                          env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode not in codes:
        sys.exit("%s\n%s\n%s" % (command, done.stdout[-3000:], done.stderr[-3000:]))
    return done.stdout


def randomize(model, generator):
    """Weights as large as trained ones: words are told well apart."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if "norm" in name or "ln_q" in name:
                p.copy_(noise * 0.2 + (1 if name.endswith("weight") else 0))
            elif "embed_tokens" in name or "lm_head" in name:
                p.copy_(noise)
            else:
                p.copy_(noise * (0.2 if p.dim() == 1 else 1.2 / p[0].numel() ** 0.5))


def prompts_of(family, folder, seed):
    """The list that our program reads, and the same for transformers."""
    draw, rows, lines = random.Random(seed), [], []
    for number in range(PROMPTS):
        names, pictures = [], []
        for place in range(draw.choice([0] + [1] * 4 + [2] * 2) if family.most > 1
                           else draw.choice([0, 1, 1, 1])):
            width, height = family.size(draw)
            picture = Image.frombytes("RGB", (width, height), draw.randbytes(3 * width * height))
            names.append("%d_%d.png" % (number, place))
            picture.save(folder / names[-1])
            pictures.append(picture)
        words = " ".join(draw.choice(WORDS) for _ in range(draw.randint(1, 12)))
        rows.append((words, pictures))
        lines.append(json.dumps({"prompt": words, "images": names}))
    (folder / "prompts.jsonl").write_text("\n".join(lines) + "\n")
    return rows


def batches(family, model, directory, rows):
    """Inputs of transformers, padded on the left."""
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    processor = family.processor.from_pretrained(directory)
    for first in range(0, len(rows), BATCH):
        pictures, texts = [], []
        for words, own in rows[first:first + BATCH]:
            pictures += own
            counts = family.look(processor, own)[1]
            texts.append(family.ids(tokenizer, model.config, words, counts))
        longest = max(map(len, texts))
        ids = torch.full((len(texts), longest), family.pad(model.config))
        mask = torch.zeros_like(ids)
        for row, text in enumerate(texts):
            ids[row, longest - len(text):] = torch.tensor(text)
            mask[row, longest - len(text):] = 1
        yield {"input_ids": ids, "attention_mask": mask, **family.look(processor, pictures)[0]}


def compare_logits(tandem, family, model, directory, inputs, what):
    with torch.no_grad():
        logits = model(**inputs, **family.more(inputs["input_ids"], model.config)).logits
    tensors = {"input." + k: v.contiguous() for k, v in inputs.items()}
    tensors["output.logits"] = logits.contiguous()
    reference = directory.parent / "reference.safetensors"
    save_file(tensors, str(reference), {"class": type(model).__name__})
    out = run(tandem, "verify", directory, reference)
    print(family.name, what, re.sub(r"\s+", " ", out.splitlines()[-1] if out else "equal"))


def theirs(family, model, inputs, beams):
    config = model.config
    out = model.generate(**inputs, **family.more(inputs["input_ids"], config), do_sample=False,
                         num_beams=beams, max_new_tokens=NEW_TOKENS,
                         eos_token_id=family.ends(config), pad_token_id=family.pad(config))
    ends = family.ends(config)
    ends = ends if isinstance(ends, list) else [ends]
    for row in out[:, inputs["input_ids"].shape[1]:].tolist():
        stops = [i for i, token in enumerate(row) if token in ends]
        yield row[:stops[0] + 1] if stops else row


def try_family(tandem, family, folder):
    """How many texts differ."""
    config = ROOT / "configs" / family.name / "tiny.yaml"
    run(tandem, "train", config, "--out", folder / "run", "--stop-after", 9, codes=(75,))
    exported = folder / "export"
    run(tandem, "export", folder / "run", exported)
    if family.window:
        set_window(exported, family.window)
        print("with a window of", family.window, "tokens:")
    model, info = family.model.from_pretrained(exported, attn_implementation="eager",
                                               output_loading_info=True)
    model.eval()
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not info[kind], (kind, info[kind])
    rows = prompts_of(family, folder, seed=len(family.name))
    inputs = list(batches(family, model, exported, rows))
    compare_logits(tandem, family, model, exported, inputs[0], "export:")

    randomize(model, torch.Generator().manual_seed(7))
    written = folder / "written"
    model.save_pretrained(written)
    (written / "generation_config.json").unlink(missing_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        if (exported / name).exists():
            (written / name).write_bytes((exported / name).read_bytes())
    compare_logits(tandem, family, model, written, inputs[0], "written by transformers:")
    wrong = 0
    for beams in (1, 4):
        wanted = [row for one in inputs for row in theirs(family, model, one, beams)]
        lines = run(tandem, "generate", written, "--prompts", folder / "prompts.jsonl", "--batch", BATCH,
                    "--beams", beams, "--max-tokens", NEW_TOKENS, "--device", "cpu").splitlines()
        got = [json.loads(line)["ids"] for line in lines]
        assert len(got) == len(wanted) == PROMPTS, (len(got), len(wanted))
        differ = [i for i in range(PROMPTS) if got[i] != wanted[i]]
        for i in differ[:3]:
            print(" prompt", i, rows[i][0], len(rows[i][1]), "pictures\n  ", wanted[i], "\n  ", got[i])
        print(family.name, "beams", beams, ":", PROMPTS - len(differ), "of", PROMPTS, "the same;",
              len({tuple(row) for row in wanted}), "different texts,",
              sum(len(row) < NEW_TOKENS for row in wanted), "ended early")
        wrong += len(differ)
    return wrong


def main():
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    wanted = sys.argv[2:] or [family.name for family in FAMILIES]
    wrong = 0
    for family in FAMILIES:
        if family.name in wanted:
            with tempfile.TemporaryDirectory(prefix="tandem-generation.") as folder:
                wrong += try_family(sys.argv[1], family, pathlib.Path(folder))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
