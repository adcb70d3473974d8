#!/usr/bin/env python3
"""Makes the fixtures vlmo_mim*: VLMo's first stage as transformers' BeitForMaskedImageModeling
computes it, with given codes.

Versions: torch 2.11.0, transformers 5.17.0, safetensors. Usage: vlmo_mim.py [OUT], default fixtures/.
A VLMo that sees pictures alone is a BEiT whose layers have tables of relative positions of their own
(columns of the one table) and whose first rows hold the row of token_type_embeddings besides. The
random weights have VLMo's names; BEiT's are made from them inside of the graph, so that the gradients
come back under VLMo's names.
"""
import math

import torch
from transformers import BeitConfig, BeitForMaskedImageModeling

import common

WORDS, LENGTH, CODES = 30, 6, 24

# depth, heads, width, MLP ratio; picture, patch; LayerScale or None, positions added, relative
# positions; hidden patches of each picture.
CASES = {
    # As released (base).
    "vlmo_mim": dict(depth=3, heads=2, width=16, ratio=4.0, image=32, patch=8, scale=0.1,
                     absolute=False, relative=True, hidden=(6, 3, 7)),
    # As released (base plus): a table of positions, no LayerScale; one patch alone is hidden.
    "vlmo_mim_plus": dict(depth=2, heads=3, width=12, ratio=2.5, image=24, patch=8, scale=None,
                          absolute=True, relative=False, hidden=(1, 4)),
}


def shapes(case):
    """Name -> shape of a VLMo with the head of masked image modelling and no joint expert."""
    width, heads, depth = case["width"], case["heads"], case["depth"]
    inner, grid = int(width * case["ratio"]), case["image"] // case["patch"]
    found = {
        "transformer.cls_token": (1, 1, width), "transformer.mask_token": (1, 1, width),
        "transformer.patch_embed.proj.weight": (width, 3, case["patch"], case["patch"]),
        "transformer.patch_embed.proj.bias": (width,),
        "transformer.lm_head.weight": (CODES, width), "transformer.lm_head.bias": (CODES,),
        "text_embeddings.word_embeddings.weight": (WORDS, width),
        "text_embeddings.position_embeddings.weight": (LENGTH, width),
        "text_embeddings.token_type_embeddings.weight": (2, width),
        "token_type_embeddings.weight": (2, width),
        "pooler.dense.weight": (width, width), "pooler.dense.bias": (width,)}
    norms = ["transformer.norm", "text_embeddings.LayerNorm"]
    for layer in range(depth):
        block = f"transformer.blocks.{layer}."
        norms += [block + name for name in ("norm1", "norm2_imag", "norm2_text")]
        found.update({block + "attn.q_bias": (width,), block + "attn.v_bias": (width,),
                      block + "attn.qkv.weight": (3 * width, width),
                      block + "attn.proj.weight": (width, width), block + "attn.proj.bias": (width,)})
        for expert in ("mlp_imag", "mlp_text"):
            found.update({block + expert + ".fc1.weight": (inner, width),
                          block + expert + ".fc1.bias": (inner,),
                          block + expert + ".fc2.weight": (width, inner),
                          block + expert + ".fc2.bias": (width,)})
        if case["scale"] is not None:
            found.update({block + "gamma_1": (width,), block + "gamma_2": (width,)})
    for norm in norms:
        found.update({norm + ".weight": (width,), norm + ".bias": (width,)})
    if case["absolute"]:
        found["transformer.pos_embed"] = (1, 1 + grid * grid, width)
    if case["relative"]:
        rows = (2 * grid - 1) ** 2 + 3 + 2 * LENGTH + 2
        found["relative_position_bias_table"] = (rows, heads * depth)
    return found


def random_weights(case, generator):
    """As in vlmo.py: what is small there is small here."""
    weights = {}
    for name, shape in sorted(shapes(case).items()):
        noise = torch.randn(shape, generator=generator)
        if "gamma" in name:
            value = 0.6 + noise * 0.2
        elif name == "relative_position_bias_table":
            value = noise
        elif "norm" in name.lower():
            value = noise * 0.2 + (1 if name.endswith("weight") else 0)
        elif "embeddings" in name or name.endswith(("pos_embed", "_token")):
            value = noise * 0.02
        elif "patch_embed" in name:
            value = noise * 0.003
        else:
            value = noise * (0.3 if name.endswith("bias") else 1.5 / shape[-1] ** 0.5)
        weights[name] = value.requires_grad_()
    return weights


def as_beit(case, w):
    """BEiT's parameters, as functions of VLMo's."""
    width, heads = case["width"], case["heads"]
    kind = w["token_type_embeddings.weight"][1]  # of pictures
    embeddings = "beit.embeddings."
    out = {embeddings + "cls_token": w["transformer.cls_token"] + kind,
           embeddings + "mask_token": w["transformer.mask_token"] + kind,
           embeddings + "patch_embeddings.projection.weight": w["transformer.patch_embed.proj.weight"],
           embeddings + "patch_embeddings.projection.bias":
               w["transformer.patch_embed.proj.bias"] + kind}
    if case["absolute"]:
        out[embeddings + "position_embeddings"] = w["transformer.pos_embed"]
    pairs = {"layernorm": "transformer.norm", "lm_head": "transformer.lm_head"}
    for layer in range(case["depth"]):
        block, theirs = f"transformer.blocks.{layer}.", f"beit.layers.{layer}."
        pairs.update({theirs + "layernorm_before": block + "norm1",
                      theirs + "layernorm_after": block + "norm2_imag",
                      theirs + "attention.o_proj": block + "attn.proj",
                      theirs + "mlp.fc1": block + "mlp_imag.fc1",
                      theirs + "mlp.fc2": block + "mlp_imag.fc2"})
        packed = w[block + "attn.qkv.weight"].split(width)
        for part, weight in zip("qkv", packed):
            out[theirs + f"attention.{part}_proj.weight"] = weight
        for part in "qv":
            out[theirs + f"attention.{part}_proj.bias"] = w[block + f"attn.{part}_bias"]
        if case["scale"] is not None:
            out[theirs + "lambda_1"] = w[block + "gamma_1"]
            out[theirs + "lambda_2"] = w[block + "gamma_2"]
        if case["relative"]:
            grid = case["image"] // case["patch"]
            out[theirs + "relative_position_bias.relative_position_bias_table"] = \
                w["relative_position_bias_table"][:(2 * grid - 1) ** 2 + 3,
                                                  layer * heads:(layer + 1) * heads]
    for theirs, ours in pairs.items():
        out.update({theirs + end: w[ours + end] for end in (".weight", ".bias")})
    return out


def make_beit(case):
    config = BeitConfig(
        vocab_size=CODES, hidden_size=case["width"], num_hidden_layers=case["depth"],
        num_attention_heads=case["heads"], intermediate_size=int(case["width"] * case["ratio"]),
        layer_norm_eps=1e-6, image_size=case["image"], patch_size=case["patch"],
        use_mask_token=True, use_absolute_position_embeddings=case["absolute"],
        use_relative_position_bias=case["relative"], use_shared_relative_position_bias=False,
        layer_scale_init_value=case["scale"] or 0.0, attn_implementation="eager")
    return BeitForMaskedImageModeling(config).eval()


def make_inputs(case, generator):
    rows, patches = len(case["hidden"]), (case["image"] // case["patch"]) ** 2
    hidden = torch.zeros(rows, patches, dtype=torch.bool)
    for row, count in enumerate(case["hidden"]):
        hidden[row, torch.randperm(patches, generator=generator)[:count]] = True
    return {"pixel_values": torch.randn(rows, 3, case["image"], case["image"], generator=generator),
            "bool_masked_pos": hidden,
            "visual_codes": torch.randint(0, CODES, (rows, patches), generator=generator)}


def config_json(case):
    return dict(architectures=["VLMo"], img_size=case["image"], patch_size=case["patch"],
                embed_dim=case["width"], depth=case["depth"], num_heads=case["heads"],
                mlp_ratio=case["ratio"], vlffn_start_layer_index=case["depth"], max_text_len=LENGTH,
                max_text_len_of_initckpt=LENGTH, vocab_size=WORDS, mim_codes=CODES,
                layer_scale_init_values=case["scale"], use_abs_pos_emb=case["absolute"],
                need_relative_position_embed=case["relative"], drop_path_rate=0.1)


def make(name, case, out):
    generator = torch.Generator().manual_seed(len(name))
    weights = random_weights(case, generator)
    inputs = make_inputs(case, generator)
    hidden = inputs["bool_masked_pos"]
    asked = dict(pixel_values=inputs["pixel_values"], bool_masked_pos=hidden,
                 labels=inputs["visual_codes"][hidden])
    found = torch.func.functional_call(make_beit(case), as_beit(case, weights), (), asked,
                                       strict=True)
    found.loss.backward()
    tensors = {"input." + k: v for k, v in inputs.items()}
    tensors["output.loss_mim"] = found.loss
    tensors.update(("grad." + k, w.grad if w.grad is not None else torch.zeros_like(w))
                   for k, w in weights.items())
    folder = common.fresh(out, name)
    common.save_weights(folder, weights)
    common.write_config(folder, config_json(case))
    common.save_reference(folder, tensors, "VLMo", (round(found.loss.item(), 4),), 300_000)
    assert math.isfinite(found.loss.item())


if __name__ == "__main__":
    torch.set_num_threads(1)
    out = common.out_folder(1)
    for name, case in CASES.items():
        make(name, case, out)
