#!/usr/bin/env python3
"""Makes the fixtures clip_*: small random CLIPModels of transformers with what they compute.

Versions: torch 2.11.0, transformers 5.17.0, safetensors. Usage: clip.py [OUT], default fixtures/.
Biases are not zero; embeddings are small, so that a wrong eps of a norm shows; weights are large
enough that a wrong activation does.
"""
import json

import torch
from transformers import CLIPConfig, CLIPModel

import common

OUTPUTS = ("logits_per_image", "logits_per_text", "image_embeds", "text_embeds")


def tower(width, layers, heads, hidden, act, eps):
    return dict(hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
                intermediate_size=hidden, hidden_act=act, layer_norm_eps=eps)


# name: vision, text, image and patch size, end mark, padded with a mask?
CASES = {
    # As released: pooled at the largest id (eos_token_id 2 in the file), no mask.
    "clip_quick_gelu_argmax": dict(
        vision=tower(32, 2, 4, 64, "quick_gelu", 1e-5), text=tower(24, 3, 3, 48, "quick_gelu", 1e-5),
        image=32, patch=8, eos=2, end=98, mask=False),
    # Added tokens behind the end mark: the first end mark is not the largest id. Other norms.
    "clip_gelu_first_eos": dict(
        vision=tower(24, 3, 2, 72, "gelu", 1e-6), text=tower(32, 2, 2, 128, "gelu", 1e-4),
        image=42, patch=14, eos=90, end=90, mask=False),
    # A padding mask, a grid that leaves pixels over, one layer, towers that differ.
    "clip_mask": dict(
        vision=tower(16, 1, 2, 40, "gelu", 1e-5), text=tower(32, 2, 4, 64, "quick_gelu", 1e-5),
        image=30, patch=7, eos=95, end=95, mask=True),
    # One patch a picture; the mask with the old pooling.
    "clip_one_patch": dict(
        vision=tower(32, 2, 2, 64, "quick_gelu", 1e-5), text=tower(16, 1, 2, 64, "gelu", 1e-5),
        image=16, patch=16, eos=2, end=98, mask=True),
}


def randomize(model, generator):
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if name == "logit_scale":
                p.fill_(2.0)
            elif "norm" in name or "layrnorm" in name:
                p.copy_(noise * 0.2 + (1 if name.endswith("weight") else 0))
            elif "embedding" in name:
                p.copy_(noise * 0.01)
            else:
                p.copy_(noise * (0.3 if name.endswith("bias") else 1.5 / p.shape[-1] ** 0.5))


def make_inputs(case, generator, batch=4, length=9, context=12):
    low, end = 3, case["end"]
    ids = torch.randint(low, 88, (batch, length), generator=generator)
    mask = torch.ones(batch, length, dtype=torch.long)
    for row in range(batch):
        stop = length - 1 - row  # of different lengths
        ids[row, stop] = end
        if case["mask"]:
            ids[row, stop + 1:] = 1
            mask[row, stop + 1:] = 0
        elif case["eos"] != 2 and stop > 1:
            ids[row, 1] = 97  # an added token, larger than the end mark
    inputs = {"input_ids": ids,
              "pixel_values": torch.randn(batch, 3, case["image"], case["image"],
                                          generator=generator)}
    if case["mask"]:
        inputs["attention_mask"] = mask
    return inputs


def record(model, inputs, folder):
    model.eval().zero_grad()
    out = model(**inputs, return_loss=True)
    out.loss.backward()
    tensors = {"input." + k: v for k, v in inputs.items()}
    tensors["output.loss"] = out.loss
    for name in OUTPUTS:
        tensors["output." + name] = out[name]
    for part in ("text_model_output", "vision_model_output"):
        for name in ("last_hidden_state", "pooler_output"):
            tensors[f"output.{part}.{name}"] = out[part][name]
    tensors.update(common.gradients(model))
    common.save_reference(folder, tensors, type(model).__name__, most=700_000)


def make(name, case, out):
    generator = torch.Generator().manual_seed(len(name))
    config = CLIPConfig(
        text_config=dict(case["text"], vocab_size=99, max_position_embeddings=12,
                         eos_token_id=case["eos"], bos_token_id=0, pad_token_id=1),
        vision_config=dict(case["vision"], image_size=case["image"], patch_size=case["patch"]),
        projection_dim=20, attn_implementation="eager")
    model = CLIPModel(config)
    randomize(model, generator)
    folder = common.fresh(out, name)
    common.save_pretrained(folder, model)
    record(model, make_inputs(case, generator), folder)
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["CLIPModel"]


if __name__ == "__main__":
    out = common.out_folder(1)
    torch.set_num_threads(1)
    for name, case in CASES.items():
        make(name, case, out)
