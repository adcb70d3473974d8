#!/usr/bin/env python3
"""Makes the fixtures llava_*: small random LlavaForConditionalGeneration of transformers with what
they compute, and what they write.

Usage: llava.py [OUT], default fixtures/. Versions: torch 2.11.0, transformers 5.17.0, safetensors.
With --random N FOLDER: N models of random configs instead (not committed).

Biases are not zero and weights not small, so that a wrong eps, activation or order shows.
"""
import json
import pathlib
import random
import sys

import torch
import transformers
from safetensors.torch import load_file
from transformers import (AutoModel, Blip2VisionConfig, Blip2VisionModel, CLIPVisionConfig, LlamaConfig,
                          LlavaConfig, LlavaForConditionalGeneration, OPTConfig, Qwen2Config)

import common

WORDS, IMAGE, PAD = 60, 57, 58


def randomize(model, generator):
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if "norm" in name:
                p.copy_(noise * 0.2 + (1 if name.endswith("weight") else 0))
            elif "embed" in name:
                p.copy_(noise * 0.2)
            else:
                p.copy_(noise * (0.2 if p.dim() == 1 else 1.2 / p[0].numel() ** 0.5))


def vision(width=16, layers=3, heads=2, hidden=24, image=8, patch=4, act="quick_gelu", eps=1e-5, **more):
    return dict(**more, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
                intermediate_size=hidden, image_size=image, patch_size=patch, hidden_act=act,
                layer_norm_eps=eps)


def text(width=16, layers=2, heads=4, kv=4, hidden=28, ends=2, **more):
    return dict(hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
                num_key_value_heads=kv, intermediate_size=hidden, vocab_size=WORDS,
                max_position_embeddings=64, bos_token_id=1, eos_token_id=ends, **more)


def opt(width=16, layers=2, heads=4, hidden=28, **more):
    return dict(model_type="opt", hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
                ffn_dim=hidden, word_embed_proj_dim=width, vocab_size=WORDS, max_position_embeddings=64,
                bos_token_id=1, eos_token_id=[2, 5], pad_token_id=PAD, dropout=0.0, attention_dropout=0.0,
                tie_word_embeddings=False, **more)


def inputs(g, config, rows=((5, 1, 4), (3, 1, 5)), left=False, labels=True):
    """rows: words, pictures (each followed by as many words as the third number says)."""
    side = config.vision_config.image_size // config.vision_config.patch_size
    places = side * side + (config.vision_feature_select_strategy == "full")
    texts, pictures = [], 0
    for before, count, after in rows:
        ids = torch.randint(3, IMAGE, (before,), generator=g).tolist()
        for _ in range(count):
            ids += [IMAGE] * places + torch.randint(3, IMAGE, (after,), generator=g).tolist()
        pictures += count
        texts.append(ids)
    length = max(map(len, texts))
    ids = torch.full((len(texts), length), PAD)
    mask = torch.zeros(len(texts), length, dtype=torch.long)
    for i, row in enumerate(texts):
        part = slice(length - len(row), length) if left else slice(0, len(row))
        ids[i, part] = torch.tensor(row)
        mask[i, part] = 1
    out = dict(input_ids=ids, attention_mask=mask)
    if pictures:
        size = config.vision_config.image_size
        out["pixel_values"] = torch.randn(pictures, 3, size, size, generator=g)
    if labels:
        wanted = ids.masked_fill((mask == 0) | (ids == IMAGE), -100)
        wanted[:, :2] = -100
        out["labels"] = wanted
    return out


# One picture a row at most: transformers' beams mix up those of rows with several.
SOME = ((4, 1, 3), (6, 0, 0), (2, 1, 7))
CASES = {
    "llava_mlp": (dict(vision=vision(), text=text(rms_norm_eps=1e-5)), dict(), {}),
    "llava_qwen2_tied": (
        dict(vision=vision(act="gelu", eps=1e-3), tie_word_embeddings=True, projector_hidden_act="silu",
             text=text(kv=2, model_type="qwen2", ends=[2, 5], pad_token_id=PAD,
                       rope_theta=1e4, tie_word_embeddings=True)),
        dict(rows=SOME, left=True), {}),
    "llava_layers_full": (
        dict(vision=vision(layers=2), vision_feature_layer=[-1, 0, -2],
             vision_feature_select_strategy="full", multimodal_projector_bias=False,
             text=text(kv=1, head_dim=6, attention_bias=True, mlp_bias=True, rms_norm_eps=1e-3,
                       hidden_act="gelu_new", rope_parameters=dict(
                           rope_type="llama3", rope_theta=100.0, factor=4.0, low_freq_factor=1.0,
                           high_freq_factor=4.0, original_max_position_embeddings=16))),
        dict(rows=((3, 2, 4), (5, 1, 2), (4, 0, 0))), {}),
    "llava_text": (
        dict(vision=vision(layers=1), vision_feature_layer=1,
             text=text(layers=1, rope_parameters=dict(rope_type="dynamic", rope_theta=50.0, factor=3.0),
                       max_positions=8)),
        dict(rows=((11, 0, 0), (7, 0, 0))), {}),
    "llava_linear": (dict(vision=vision(layers=2), text=text(layers=1), projector_hidden_act="linear"),
                     dict(rows=((2, 1, 6), (4, 1, 3))), dict(linear=True)),
    "llava_original": (dict(vision=vision(layers=2), text=text(layers=1)),
                       dict(rows=((2, 1, 6), (4, 1, 3))), dict(original=True)),
    "llava_qwen2_sliding": (
        dict(vision=vision(layers=2), text=text(layers=3, model_type="qwen2", use_sliding_window=True,
                                                sliding_window=3, max_window_layers=1)),
        dict(rows=SOME, left=True), {}),
    # OPT was never released under a LLaVA; transformers' class takes it all the same.
    "llava_opt": (dict(vision=vision(layers=2), text=opt()), dict(rows=SOME, left=True), {}),
    # Nor was BLIP-2's tower; the class takes it where AutoModel knows it (main).
    "llava_eva": (dict(vision=vision(act="gelu", eps=1e-4, model_type="blip_2_vision_model"),
                       text=text(layers=1), vision_feature_layer=[-2, 1],
                       vision_feature_select_strategy="full"),
                  dict(rows=((2, 1, 6), (4, 1, 3))), {}),
}
TOWERS = dict(clip_vision_model=CLIPVisionConfig, blip_2_vision_model=Blip2VisionConfig)
KINDS = dict(llama=LlamaConfig, qwen2=Qwen2Config, opt=OPTConfig)


def make_config(vision, text, **more):
    text = dict(text)
    kind = text.pop("model_type", "llama")
    most = text.pop("max_positions", None)
    if most:
        text["max_position_embeddings"] = most
    text = KINDS[kind](**text)
    vision = dict(vision)
    tower = TOWERS[vision.pop("model_type", "clip_vision_model")](**vision)
    return LlavaConfig(vision_config=tower, text_config=text,
                       image_token_index=IMAGE, image_seq_length=4, **more)


def disk_name(name):
    for theirs, ours in (("model.language_model.", "language_model.model."),
                         ("lm_head.", "language_model.lm_head."), ("model.", "")):
        if name.startswith(theirs):
            return ours + name[len(theirs):]
    return name


ORIGINAL = (("language_model.model.", "model."), ("language_model.lm_head.", "lm_head."),
            ("multi_modal_projector.linear_1.", "model.mm_projector.0."),
            ("multi_modal_projector.linear_2.", "model.mm_projector.2."),
            ("vision_tower.", "model.vision_tower.vision_tower.vision_model."))


def original_name(name):
    for theirs, ours in ORIGINAL:
        if name.startswith(theirs):
            return ours + name[len(theirs):]
    return name


def original_config(config):
    """The flat file of haotian-liu/LLaVA; vision_config stands for the tower that it names."""
    flat = config["text_config"]
    flat.update(architectures=["LlavaLlamaForCausalLM"], model_type="llava_llama",
                vision_config=config["vision_config"], mm_projector_type="mlp2x_gelu",
                mm_vision_select_layer=-2, mm_vision_select_feature="patch",
                image_aspect_ratio="pad", image_token_index=IMAGE)
    return flat


def build(folder, config, call, linear=False, original=False, seed=0):
    torch.manual_seed(seed)
    g = torch.Generator().manual_seed(seed + 1)
    config = make_config(**config)
    config._attn_implementation = "eager"
    model = LlavaForConditionalGeneration(config).eval()
    if linear:
        model.model.multi_modal_projector.linear_2 = torch.nn.Identity()
    randomize(model, g)
    given = call if torch.is_tensor(call.get("input_ids")) else inputs(g, config, **call)
    common.fresh(folder.parent, folder.name)
    common.save_pretrained(folder, model)
    rename = (lambda n: original_name(disk_name(n))) if original else disk_name
    if original:
        weights = load_file(str(folder / "model.safetensors"))
        common.save_weights(folder, {original_name(k): v for k, v in weights.items()})
        text = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(original_config(text), indent=2))
    result = model(**given)
    tensors = {"input." + k: v for k, v in given.items()}
    tensors["output.logits"] = result.logits
    if result.image_hidden_states is not None:
        tensors["output.image_hidden_states"] = result.image_hidden_states
    if result.loss is not None:
        tensors["output.loss"] = result.loss
        result.loss.backward()
        for name, p in model.named_parameters():
            if p.grad is not None:
                tensors["grad." + rename(name)] = p.grad
    return model, given, tensors


GENERATED = {
    "greedy": dict(max_new_tokens=9),
    "greedy_rules": dict(max_new_tokens=12, min_new_tokens=6, repetition_penalty=1.3),
    "beams": dict(max_new_tokens=9, num_beams=3),
    "beams_rules": dict(max_new_tokens=10, num_beams=4, repetition_penalty=1.2, length_penalty=2.0),
    "beams_short": dict(max_new_tokens=8, num_beams=2, length_penalty=-1.0),
}


def generated(model, given, ends=(2, 5)):
    given = {k: v for k, v in given.items() if k != "labels"}
    for name, options in GENERATED.items():
        options = dict(options)
        options.pop("min_new_tokens", None)
        low = GENERATED[name].get("min_new_tokens", 0)
        if low:
            options["min_length"] = low + given["input_ids"].shape[1]
        ids = model.generate(**given, do_sample=False, eos_token_id=list(ends), pad_token_id=PAD,
                             **options)
        yield "extra." + name, ids[:, given["input_ids"].shape[1]:]


# --- random configs ----------------------------------------------------------------------------

def random_case(r):
    heads = r.choice([1, 2, 4])
    v = vision(width=8 * r.choice([1, 2, 3]) * 2, layers=r.randint(1, 4), heads=r.choice([1, 2, 4]),
               hidden=r.randint(5, 30), patch=4, image=4 * r.randint(1, 3),
               act=r.choice(["quick_gelu", "gelu"]), eps=r.choice([1e-5, 1e-3, 1e-6]))
    kind = r.choice(["llama", "qwen2"])
    kv = r.choice([k for k in (1, 2, 4) if heads % k == 0])
    t = text(width=8 * heads, layers=r.randint(1, 3), heads=heads, kv=kv, hidden=r.randint(6, 40),
             rms_norm_eps=r.choice([1e-6, 1e-5, 1e-2]), hidden_act=r.choice(["silu", "gelu", "relu"]),
             model_type=kind)
    if r.random() < 0.5:
        t["pad_token_id"] = PAD
    if kind == "llama":
        t["attention_bias"], t["mlp_bias"] = r.random() < 0.5, r.random() < 0.5
    if r.random() < 0.5:
        t["head_dim"] = r.choice([4, 8, 10])
    rope = r.choice(["default", "linear", "dynamic", "llama3", "yarn", "yarn2"])
    p = dict(rope_type=rope, rope_theta=r.choice([100.0, 10000.0, 1e6]))
    if rope != "default":
        p["factor"] = r.choice([2.0, 3.5])
    if rope == "dynamic":
        t["max_positions"] = r.choice([6, 64])
    if rope == "llama3":
        p.update(low_freq_factor=r.choice([1.0, 0.5]), high_freq_factor=4.0,
                 original_max_position_embeddings=r.choice([8, 32]))
    if rope.startswith("yarn"):
        p.update(rope_type="yarn", original_max_position_embeddings=16)
        if rope == "yarn2":
            p.update(beta_fast=r.choice([8.0, 32.0]), beta_slow=2.0, truncate=r.random() < 0.5)
            p.update(r.choice([dict(attention_factor=1.3), dict(mscale=0.7, mscale_all_dim=1.2), {}]))
    t["rope_parameters"] = p
    layers = v["num_hidden_layers"]
    layer = r.choice([-1, -2, 0, layers, [-1, 0], [-2, layers], [0]])
    tied = r.random() < 0.4
    t["tie_word_embeddings"] = tied
    config = dict(vision=v, text=t, vision_feature_layer=layer, tie_word_embeddings=tied,
                  vision_feature_select_strategy=r.choice(["default", "full"]),
                  multimodal_projector_bias=r.random() < 0.7,
                  projector_hidden_act=r.choice(["gelu", "silu", "relu", "linear", "quick_gelu"]))
    rows = tuple((r.randint(1, 6), r.randint(0, 2), r.randint(1, 5)) for _ in range(r.randint(1, 4)))
    return config, dict(rows=rows, left=r.random() < 0.5, labels=r.random() < 0.8)


def main():
    transformers.logging.set_verbosity_error()
    # AutoModel.register passes over transformers' own configurations.
    AutoModel._model_mapping._extra_content[Blip2VisionConfig] = Blip2VisionModel
    if "--random" in sys.argv:
        count, out = int(sys.argv[2]), pathlib.Path(sys.argv[3])
        for i in range(count):
            r = random.Random(i)
            config, call = random_case(r)
            folder = out / f"{i:03d}"
            model, _, tensors = build(folder, config, call, seed=i)
            common.save_reference(folder, tensors, type(model).__name__, most=5_000_000)
        return
    out = common.out_folder(1)
    for seed, (name, (config, call, how)) in enumerate(CASES.items()):
        model, given, tensors = build(out / name, config, call, seed=seed, **how)
        if name in ("llava_qwen2_tied", "llava_opt"):
            tensors.update(generated(model, given))
        made_by = "LlavaLlamaForCausalLM" if how.get("original") else type(model).__name__
        common.save_reference(out / name, tensors, made_by, most=200_000)


if __name__ == "__main__":
    main()
