#!/usr/bin/env python3
"""Makes the fixtures qwen2_vl_* and qwen25_vl_*: small random models of transformers' classes with
what they compute.

Usage: qwen2_vl.py ROPE2D [OUT], default fixtures/. ROPE2D: rope2d.py of QwenLM/Qwen3-VL at 9658872
(qwen-vl-finetune/qwenvl/data), whose position ids are Qwen's own: transformers 5.17 lets a text
behind a video start too early. Versions: torch 2.11.0, transformers 5.17.0, safetensors.

Norms and biases are not what they are at the start, so that a wrong eps, activation or order of
operations shows. transformers 5 saves the hub's names (visual.*, model.*) with a nested config.json;
some folders have the hub's flat one, some the names of transformers 5's modules.
"""
import importlib.util
import json
import sys

import torch
from safetensors.torch import load_file
from transformers import (Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2VLConfig,
                          Qwen2VLForConditionalGeneration)
from transformers.vision_utils import get_vision_window_index

import common

WORDS, START, END, IMAGE, VIDEO, PAD = 60, 52, 53, 55, 56, 50
ROPE2D_IDS = {IMAGE: 151655, VIDEO: 151656, START: 151652}  # written into rope2d.py


def randomize(model, generator):
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if "norm" in name or "ln_q" in name:
                p.copy_(noise * 0.2 + (1 if name.endswith("weight") else 0))
            elif "embed_tokens" in name:
                p.copy_(noise * 0.5)
            else:
                p.copy_(noise * (0.2 if p.dim() == 1 else 1.0 / p[0].numel() ** 0.5))


def text_config(**more):
    sizes = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
                 num_key_value_heads=1, vocab_size=WORDS, rms_norm_eps=1e-6, bos_token_id=1,
                 eos_token_id=2, pad_token_id=PAD, max_position_embeddings=512,
                 rope_parameters=dict(rope_type="default", rope_theta=10000.0,
                                      mrope_section=[1, 1, 2]))
    sizes.update(more)
    return sizes


def vision_two(**more):
    return {**dict(depth=2, embed_dim=16, hidden_size=16, num_heads=2, mlp_ratio=2, patch_size=2),
            **more}


def vision_25(**more):
    return {**dict(depth=4, hidden_size=16, out_hidden_size=16, num_heads=2, intermediate_size=18,
                   patch_size=2, window_size=8, fullatt_block_indexes=[1, 3],
                   tokens_per_second=2), **more}


def tokens(grid, merge):
    return int(grid[0] * (grid[1] // merge) * (grid[2] // merge))


def sample(plan, grids, merge, generator):
    """plan: numbers of words, 'i' and 'v' for the next picture and video."""
    ids = []
    for part in plan:
        if part in ("i", "v"):
            grid = next(grids[part])
            ids += [START] + [IMAGE if part == "i" else VIDEO] * tokens(grid, merge) + [END]
        else:
            ids += torch.randint(3, 48, (part,), generator=generator).tolist()
    return ids


def batch(plans, images, videos, merge, generator, left):
    grids = {"i": iter(images), "v": iter(videos)}
    rows = [sample(plan, grids, merge, generator) for plan in plans]
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), PAD)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        where = slice(longest - len(row), None) if left else slice(0, len(row))
        ids[i, where] = torch.tensor(row)
        mask[i, where] = 1
    return ids, mask


def own_positions(rope2d, two, ids, mask, inputs, merge):
    theirs = ids.clone()
    for ours, number in ROPE2D_IDS.items():
        theirs[ids == ours] = number
    call = rope2d.get_rope_index_2 if two else rope2d.get_rope_index_25
    extra = {} if two else dict(second_per_grid_ts=inputs.get("second_per_grid_ts"))
    return call(merge, theirs, inputs.get("image_grid_thw"), inputs.get("video_grid_thw"),
                attention_mask=mask, **extra)[0]


CASES = {
    # Several pictures, one sample without, padding on the left.
    "qwen2_vl_images": dict(two=True, plans=[[3, "i", 2, "i", 4], [5], ["i", 6]], left=True,
                            images=[(1, 4, 6), (1, 2, 8), (1, 6, 4)]),
    # The hub's layout; a video that is longer than its frames are wide, then words, then a picture.
    "qwen2_vl_video": dict(two=True, hub=True, plans=[[2, "v", 3, "i", 2], [4, "v", 5]],
                           images=[(1, 4, 4)], videos=[(5, 2, 4), (2, 4, 4)],
                           tie_word_embeddings=True, grads=False),
    "qwen2_vl_video5": dict(two=True, plans=[[2, "v", 3], [4, "i", 5]], images=[(1, 4, 4)],
                            videos=[(5, 2, 4)], rope="transformers5", grads=False),
    "qwen2_vl_text": dict(two=True, hub=True, plans=[[9], [5]], left=True,
                          text=dict(num_attention_heads=4, num_key_value_heads=4, rms_norm_eps=1e-3,
                                    rope_parameters=dict(rope_type="default", rope_theta=100.0,
                                                         mrope_section=[1, 1, 0]))),
    # Windows of four tokens in all layers but the first, and in all of them.
    "qwen2_vl_sliding": dict(two=True, hub=True, plans=[[3, "i", 2, "i", 4], [5], ["i", 6]],
                             left=True, images=[(1, 4, 6), (1, 2, 8), (1, 6, 4)],
                             text=dict(num_hidden_layers=3, use_sliding_window=True,
                                       sliding_window=4, max_window_layers=1)),
    "qwen25_vl_sliding": dict(two=False, plans=[[3, "i", 2], [9]], images=[(1, 4, 6)],
                              text=dict(use_sliding_window=True, sliding_window=3,
                                        max_window_layers=0)),
    # A tower of other sizes: cells of 3 x 3 patches, three frames a patch.
    "qwen2_vl_cells": dict(two=True, modules=True, plans=[[1, "i", 2], ["i", 1]], images=[(1, 3, 6), (1, 6, 3)],
                           vision=dict(spatial_merge_size=3, temporal_patch_size=3, embed_dim=8,
                                       num_heads=1, mlp_ratio=3, hidden_act="gelu")),
    # Windows of 2 x 2 cells over 3 x 5, 1 x 2 and 4 x 4 cells.
    "qwen25_vl_images": dict(two=False, hub=True, plans=[[3, "i", 2, "i", 2], [4], ["i", 3]],
                             left=True, images=[(1, 6, 10), (1, 2, 4), (1, 8, 8)],
                             vision=dict(depth=3, fullatt_block_indexes=[1])),
    # Absolute time: seconds that are no whole numbers; one video is two slices in one second.
    "qwen25_vl_video": dict(two=False, plans=[[2, "v", 3, "i", 2], [4, "v", 5]], images=[(1, 4, 4)],
                            videos=[(4, 2, 6), (3, 4, 4)], seconds=[0.7, 1.5], grads=False,
                            tie_word_embeddings=True),
    "qwen25_vl_video5": dict(two=False, hub=True, plans=[[2, "v", 3], [1, "v", 2]],
                             videos=[(4, 2, 6), (2, 4, 2)], seconds=[1.9, 0.5],
                             rope="transformers5", grads=False),
    "qwen25_vl_text": dict(two=False, modules=True, plans=[[8], [5]], grads=False,
                           vision=dict(depth=1, window_size=12, fullatt_block_indexes=[])),
}


def module_names(folder):
    """The names that transformers 5's modules have, in the file."""
    weights = load_file(str(folder / "model.safetensors"))
    renamed = {}
    for name, value in weights.items():
        for hub, theirs in (("visual.", "model.visual."), ("model.", "model.language_model.")):
            if name.startswith(hub):
                name = theirs + name[len(hub):]
                break
        renamed[name] = value
    common.save_weights(folder, renamed)


def hub_layout(folder):
    """The flat config.json of the hub."""
    root = json.loads((folder / "config.json").read_text())
    text = root.pop("text_config")
    rope = text.pop("rope_parameters")
    text["rope_theta"] = rope["rope_theta"]
    text["rope_scaling"] = dict(type="mrope", mrope_section=rope["mrope_section"])
    for key in ("model_type", "layer_types", "dtype", "architectures", "tie_word_embeddings"):
        text.pop(key, None)
    root.update(text)
    for key in ("rope_parameters", "model_type"):
        root["vision_config"].pop(key, None)
    common.write_config(folder, root)


def file_name(name, weights):
    """A parameter's name in the file."""
    if name in weights:
        return name
    for theirs, ours in (("model.visual.", "visual."), ("model.language_model.", "model.")):
        if name.startswith(theirs) and ours + name[len(theirs):] in weights:
            return ours + name[len(theirs):]
    raise KeyError(name)


def make(name, case, rope2d, out):
    generator = torch.Generator().manual_seed(len(name) * 7 + case["two"])
    two = case["two"]
    vision = (vision_two if two else vision_25)(**case.get("vision", {}))
    config = (Qwen2VLConfig if two else Qwen2_5_VLConfig)(
        text_config=text_config(**case.get("text", {})), vision_config=vision,
        image_token_id=IMAGE, video_token_id=VIDEO, vision_start_token_id=START,
        vision_end_token_id=END, attn_implementation="eager",
        tie_word_embeddings=case.get("tie_word_embeddings", False))
    model = (Qwen2VLForConditionalGeneration if two else Qwen2_5_VLForConditionalGeneration)(config)
    model.eval()
    randomize(model, generator)
    folder = common.fresh(out, name)
    common.save_pretrained(folder, model)
    if case.get("hub"):
        hub_layout(folder)
    if case.get("modules"):
        module_names(folder)
    if case.get("rope"):
        root = json.loads((folder / "config.json").read_text())
        root["rope_after_video"] = case["rope"]
        common.write_config(folder, root)

    merge = config.vision_config.spatial_merge_size
    numbers = 3 * config.vision_config.temporal_patch_size * config.vision_config.patch_size ** 2
    images, videos = case.get("images", []), case.get("videos", [])
    ids, mask = batch(case["plans"], images, videos, merge, generator, case.get("left", False))
    inputs = {}
    for key, grid_key, grids in (("pixel_values", "image_grid_thw", images),
                                 ("pixel_values_videos", "video_grid_thw", videos)):
        if grids:
            inputs[grid_key] = torch.tensor(grids)
            patches = int(inputs[grid_key].prod(-1).sum())
            inputs[key] = torch.randn(patches, numbers, generator=generator)
    if "seconds" in case:
        inputs["second_per_grid_ts"] = torch.tensor(case["seconds"])
    labels = ids.masked_fill((mask == 0) | (ids >= PAD), -100)
    labels[:, :2] = -100
    types = (ids == IMAGE).long() + 2 * (ids == VIDEO).long()
    if case.get("rope") == "transformers5":
        extra = {k: v for k, v in inputs.items() if "pixel" not in k}
        positions, deltas = model.model.get_rope_index(ids, types, attention_mask=mask, **extra)
    else:
        positions, deltas = own_positions(rope2d, two, ids, mask, inputs, merge), None
        if not videos and images:  # there both agree
            theirs, deltas = model.model.get_rope_index(ids, types, inputs["image_grid_thw"],
                                                        attention_mask=mask)
            assert torch.equal(theirs * mask, positions * mask)
            positions = theirs  # padding: 0, theirs is 1
    inputs.update(input_ids=ids, attention_mask=mask, labels=labels)
    outputs = model(**inputs, mm_token_type_ids=types,
                    position_ids=positions if images or videos else None)
    tensors = {"input." + k: v for k, v in inputs.items()}
    tensors.update({"output.logits": outputs.logits, "output.loss": outputs.loss,
                    "output.position_ids": positions})
    if deltas is not None:
        tensors["output.rope_deltas"] = deltas
    if images:
        tensors["output.image_embeds"] = torch.cat(
            model.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"]).pooler_output)
        if not two:
            index, ends = get_vision_window_index(inputs["image_grid_thw"], merge,
                                                  vision["window_size"], vision["patch_size"])
            tensors["output.window_index"], tensors["output.cu_window_seqlens"] = index, ends
    if videos:
        tensors["output.video_embeds"] = torch.cat(
            model.get_video_features(inputs["pixel_values_videos"],
                                     inputs["video_grid_thw"]).pooler_output)
    if case.get("grads", True):
        outputs.loss.backward()
        weights = load_file(str(folder / "model.safetensors"))
        for key, grad in common.gradients(model):
            tensors["grad." + file_name(key.removeprefix("grad."), weights)] = grad
    common.save_reference(folder, tensors, type(model).__name__,
                          ("loss", outputs.loss.item()), 200_000)


if __name__ == "__main__":
    spec = importlib.util.spec_from_file_location("rope2d", sys.argv[1])
    rope = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rope)
    target = common.out_folder(2)
    torch.set_num_threads(1)
    for case_name, parts in CASES.items():
        make(case_name, parts, rope, target)
