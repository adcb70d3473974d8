#!/usr/bin/env python3
"""Makes tests/reference/chat.json: dialogues of our own, and the ids and labels that the originals
make of them with small tokenizers of our own.

  python tests/reference/chat.py OUT LLAVA QWEN_DATA QWEN_TEMPLATE QWEN_VL [COUNT [SEED]]

LLAVA          a checkout of haotian-liu/LLaVA c121f04 (llava/train/train.py, conversation.py, mm_utils.py)
QWEN_DATA      qwenvl/data/data_processor.py of QwenLM/Qwen3-VL 9658872
QWEN_TEMPLATE  the chat template in Jinja of Qwen2-VL
QWEN_VL        finetune.py of QwenLM/Qwen-VL aa00ed0
None of them is kept here. COUNT dialogues of each kind are made (default 3) from SEED (default 11); tests/models/dialogue_test.cpp reads another
file where TANDEM_CHAT_REFERENCE names one.
"""
import ast
import copy
import json
import pathlib
import random
import re
import sys
import types
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import tokenizers
import torch
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

out, llava, qwen_data, qwen_template, qwen_vl = map(pathlib.Path, sys.argv[1:6])
count = int(sys.argv[6]) if len(sys.argv) > 6 else 3
rng = random.Random(int(sys.argv[7]) if len(sys.argv) > 7 else 11)

WORDS = ("red blue green small large square circle cross star left right above below near the a of in what where "
         "how many is there are picture shows which colour does it have two three no yes and between").split()
LINES = [" ".join(rng.choices(WORDS, k=12)) for _ in range(200)] + [
    "USER: what ASSISTANT: it", "Human: what\nAssistant: it", "system user assistant assistant assistant",
    "You are a helpful assistant.", "Picture 1: Picture 2:"] * 40 + ["assistant"] * 2000


# ---- tokenizers -----------------------------------------------------------------------------
def llama(legacy):
    trainer = trainers.BpeTrainer(vocab_size=150, special_tokens=[], show_progress=False)
    trained = tokenizers.Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trained.train_from_iterator(LINES, trainer)
    model = json.loads(trained.to_str())["model"]
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    ordered = [t for t, _ in sorted(model["vocab"].items(), key=lambda item: item[1]) if t != "\n"]
    vocab = {name: i for i, name in enumerate(names + ordered)}
    made = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=[tuple(m) for m in model["merges"]], byte_fallback=True,
                                           unk_token="<unk>", fuse_unk=True))
    if legacy:
        made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                      decoders.Strip(" ", 1, 0)])
    made.add_special_tokens(names[:3])
    return made


QWEN_PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
                r"\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN_MARKS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
              "<|video_pad|>", "<img>", "</img>", "<imgpad>"]


def qwen():
    made = tokenizers.Tokenizer(models.BPE())
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(tokenizers.Regex(QWEN_PATTERN), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    made.decoder = decoders.ByteLevel(add_prefix_space=False, use_regex=False)
    made.train_from_iterator(LINES, trainers.BpeTrainer(
        vocab_size=340, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    made.add_special_tokens(QWEN_MARKS)
    return made


class Wrapped:
    """What the originals call of a tokenizer of transformers."""
    model_max_length = 1 << 20
    bos_token_id, pad_token_id, legacy = 1, 0, True

    def __init__(self, tokenizer, begin, legacy=True):
        self.tokenizer, self.begin, self.legacy = tokenizer, begin, legacy

    def ids(self, text):
        return self.begin + self.tokenizer.encode(text, add_special_tokens=False).ids

    def __call__(self, text, return_tensors=None, **_):
        if isinstance(text, str) and return_tensors is None:
            return types.SimpleNamespace(input_ids=self.ids(text))
        return types.SimpleNamespace(input_ids=torch.tensor([
            self.ids(one) for one in ([text] if isinstance(text, str) else text)]))


# ---- the originals --------------------------------------------------------------------------
def functions(path, names, scope):
    """Those functions of a file, without running what stands around them."""
    tree = ast.parse(path.read_text())
    body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names]
    exec(compile(ast.Module(body, []), str(path), "exec"), scope)
    return scope


BASE = dict(copy=copy, torch=torch, re=re, Dict=Dict, Sequence=Sequence, Any=Any, List=List, Optional=Optional,
            Path=Path, transformers=types.SimpleNamespace(PreTrainedTokenizer=object), IGNORE_INDEX=-100,
            IGNORE_TOKEN_ID=-100, IMAGE_TOKEN_INDEX=-200, DEFAULT_IMAGE_TOKEN="<image>", DataArguments=object,
            IS_TOKENIZER_GREATER_THAN_0_14=True)
conversation = types.ModuleType("conversation")
sys.modules["conversation"] = conversation
exec(compile((llava / "llava/conversation.py").read_text(), "conversation.py", "exec"), conversation.__dict__)
scope = functions(llava / "llava/mm_utils.py", {"tokenizer_image_token"}, dict(BASE, conversation_lib=conversation))
scope = functions(llava / "llava/train/train.py",
                  {"preprocess_multimodal", "preprocess_llama_2", "preprocess_v1", "preprocess_plain", "preprocess_mpt",
                   "preprocess", "_add_speaker_and_signal", "_mask_targets", "_tokenize_fn"}, scope)
LLAVA = {"plain": ("plain", True), "v0": ("llava_v0", False), "v1": ("v1", True), "llava_v1": ("llava_v1", True),
         "llama_2": ("llava_llama_2", True), "mpt": ("mpt", False)}


def of_llava(template, turns, tokenizer):
    name, labels = LLAVA[template]
    conversation.default_conversation = conversation.conv_templates[name]
    source = [{"from": {"user": "human", "assistant": "gpt"}[role], "value": text} for role, text in turns]
    image = any("<image>" in turn["value"] for turn in source)
    if image:
        args = types.SimpleNamespace(is_multimodal=True, mm_use_im_start_end=False)
        [source] = scope["preprocess_multimodal"]([source], args)
    made = scope["preprocess"]([source], tokenizer, has_image=image)
    ids, learned = made["input_ids"][0].tolist(), made["labels"][0].tolist()
    assert not labels or any(label != -100 for label in learned), turns
    return ids, learned if labels else None


PICTURE = 3  # placeholders of one


def of_qwen(turns, system, tokenizer):
    marks = {name: tokenizer.tokenizer.token_to_id(name) for name in QWEN_MARKS + ["assistant"]}
    assert marks["assistant"] is not None
    text = qwen_data.read_text()
    text = text.replace("77091", str(marks["assistant"])).replace("151645", str(marks["<|im_end|>"]))
    patched = out.parent / "qwen_data_patched.py"
    patched.write_text(text)
    own = functions(patched, {"_build_messages", "preprocess_qwen_visual", "_make_abs_paths"}, dict(BASE))
    patched.unlink()
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(qwen_template.read_text())

    class Processor:
        def apply_chat_template(self, messages, **_):
            if system:
                messages = [{"role": "system", "content": system}] + messages
            text = template.render(messages=messages, add_generation_prompt=False, add_vision_id=False)
            text = text.replace("<|image_pad|>", "<|image_pad|>" * PICTURE)
            return {"input_ids": torch.tensor([tokenizer.ids(text)])}

    item = {"conversations": [{"from": {"user": "human", "assistant": "gpt"}[role], "value": text}
                              for role, text in turns],
            "image": [f"{i}.jpg" for i in range(sum(text.count("<image>") for _, text in turns))]}
    made = own["preprocess_qwen_visual"]([item], Processor())
    assert (made["labels"] != -100).any()
    return made["input_ids"][0].tolist(), made["labels"][0].tolist()


def of_qwen_vl(turns, tokenizer):
    own = functions(qwen_vl, {"preprocess"}, dict(BASE))
    marks = {name: tokenizer.tokenizer.token_to_id(name) for name in QWEN_MARKS}

    class Expanding(Wrapped):
        im_start_id, im_end_id, pad_token_id = marks["<|im_start|>"], marks["<|im_end|>"], marks["<|endoftext|>"]

        def ids(self, text):
            return super().ids(re.sub(r"<img>.*?</img>", "<img>" + "<imgpad>" * PICTURE + "</img>", text))

    source, number = [], 0
    for role, text in turns:
        while "<image>" in text:
            number += 1
            text = re.sub(r"<image>\n?", f"Picture {number}: <img>{number}.jpg</img>\n", text, count=1)
        source.append({"from": role, "value": text})
    made = own["preprocess"]([source], Expanding(tokenizer.tokenizer, []), 4096)
    length = int(made["attention_mask"][0].sum())
    return made["input_ids"][0][:length].tolist(), made["labels"][0][:length].tolist()


# ---- dialogues ------------------------------------------------------------------------------
def words(low, high):
    return " ".join(rng.choices(WORDS, k=rng.randint(low, high))) + rng.choice(["", ".", "?", "!", " 12", "\nyes"])


def dialogue(pictures, rounds):
    turns = []
    for i in range(rounds):
        question = words(2, 8)
        if i == 0:
            tags = "<image>" * pictures
            question = rng.choice([tags + "\n" + question, question + "\n" + tags, question]) if pictures == 1 else (
                "<image>\n" * pictures + question)
        turns += [("user", question), ("assistant", words(1, 10))]
    return turns


def main():
    made = {"llama": Wrapped(llama(True), [1]), "llama_first": Wrapped(llama(False), [1], legacy=False),
            "qwen": Wrapped(qwen(), [])}
    cases = []

    def add(template, tokenizer, turns, pair, system=None):
        cases.append({"template": template, "tokenizer": tokenizer, "turns": turns, "system": system, "ids": pair[0],
                      "labels": pair[1]})

    for _ in range(count):
        for template in LLAVA:
            turns = dialogue(1, 1 if template == "plain" else rng.randint(1, 3))
            if template == "plain":
                turns[0] = ("user", turns[0][1] if "<image>" in turns[0][1] else "<image>" + turns[0][1])
            names = ["qwen"] if template == "mpt" else ["llama", "llama_first"] if template == "v1" else ["llama"]
            for name in names:
                add(template, name, turns, of_llava(template, turns, made[name]))
        for pictures in (0, 1, 2):
            turns = dialogue(pictures, rng.randint(1, 3))
            system = rng.choice([None, "Answer with a word."])
            add("chatml", "qwen", turns, of_qwen(turns, system, made["qwen"]), system)
            add("qwen_vl", "qwen", turns, of_qwen_vl(turns, made["qwen"]))
    document = {"tokenizers": {name: one.tokenizer.to_str() for name, one in made.items()}, "picture": PICTURE,
                "cases": cases}
    out.write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")


main()
