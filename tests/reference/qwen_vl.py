#!/usr/bin/env python3
"""Makes the fixtures qwen_vl_*: small random models of the released Qwen-VL code with what they
compute.

Usage: qwen_vl.py CODE [OUT]: CODE holds the hub's modeling_qwen.py and visual.py (of Qwen/Qwen-VL;
not part of this repository), OUT defaults to fixtures/. Versions: torch 2.11.0, transformers
5.17.0, einops. Pictures are given as pixels (the released code opens the file that its ids spell).
The resampler has output_dim // 128 heads; narrower models, which the released code cannot make,
have one, so that files stay small. Weights are bf16 numbers.
"""
import pathlib
import sys

import torch
import transformers

import common

NAME = b"a.png"  # what the ids of every picture spell


def import_hub(code):
    """The hub's modules on this transformers: stubs for what they import and what was removed."""
    class QWenConfig(transformers.PretrainedConfig):
        model_type = "qwen"

        def __init__(self, **kwargs):
            for key in ("use_flash_attn", "bf16", "fp16", "fp32"):
                kwargs.setdefault(key, False)
            for key, value in kwargs.items():
                setattr(self, key, value)
            super().__init__(tie_word_embeddings=kwargs.get("tie_word_embeddings", False))

    common.stand_in("configuration_qwen", QWenConfig=QWenConfig)
    common.stand_in("qwen_generation_utils", **dict.fromkeys(
        ("HistoryType", "make_context", "decode_tokens", "get_stop_words_ids",
         "StopWordsLogitsProcessor"), object))
    if "requests" not in sys.modules:
        common.stand_in("requests")
    sys.path.insert(0, str(code))
    transformers.logging.set_verbosity_error()
    transformers.PreTrainedModel.get_head_mask = lambda self, mask, layers: [None] * layers
    import modeling_qwen
    import visual
    made = visual.Resampler.__init__
    visual.Resampler.__init__ = lambda self, grid_size, embed_dim, num_heads, **rest: made(
        self, grid_size, embed_dim, max(num_heads, 1), **rest)
    return modeling_qwen, QWenConfig


def config_json(**changes):
    """A config.json with the released names; `visual` is updated key by key."""
    config = dict(
        architectures=["QWenLMHeadModel"], model_type="qwen", hidden_size=24, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=40, kv_channels=12, vocab_size=80,
        rotary_emb_base=10000, rotary_pct=1.0, layer_norm_epsilon=1e-6, seq_length=64,
        max_position_embeddings=512, no_bias=True, use_dynamic_ntk=True, use_logn_attn=True,
        emb_dropout_prob=0.0, attn_dropout_prob=0.0, initializer_range=0.02,
        scale_attn_weights=True, use_cache=True, tie_word_embeddings=False,
        visual=dict(heads=2, image_size=20, image_start_id=77, layers=2, mlp_ratio=2.5, n_queries=4,
                    output_dim=24, patch_size=4, width=16))
    visual = dict(config["visual"], **changes.pop("visual", {}))
    config.update(changes, visual=visual)
    config["visual"] = {k: v for k, v in visual.items() if v is not None}
    return config


def randomize(model, generator):
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if "pos_embed" in name:
                noise = p
            elif "ln_" in name:
                noise = noise * 0.2 + (1 if name.endswith("weight") else 0)
            elif "wte" in name or "positional" in name or "query" in name:
                noise = noise * 0.05
            elif p.dim() == 1:
                noise = noise * 0.3
            else:
                fan_in = p.shape[0] if name.endswith("visual.proj") else p[0].numel()
                noise = noise * 1.2 / fan_in ** 0.5
            p.copy_(noise.bfloat16().float())


def row_of(parts, config, length, left, generator):
    """ids and mask of one row: "t5" is five words, "i" a picture; padded to `length`."""
    start = config["visual"]["image_start_id"]
    side = int(config["visual"].get("n_queries", 256) ** 0.5)
    ids = []
    for part in parts:
        if part == "i":
            inner = list(NAME)[:max(side * side - 2, 0)]
            inner = [x % (start - 1) for x in inner]
            ids += [start] + inner + [start + 2] * (side * side - len(inner)) + [start + 1]
        else:
            ids += torch.randint(0, start, (int(part[1:]),), generator=generator).tolist()
    pad = length - len(ids)
    assert pad >= 0, (parts, len(ids), length)
    filler = [min(3, start - 1)] * pad
    mask = [1] * len(ids)
    return (filler + ids, [0] * pad + mask) if left else (ids + filler, mask + [0] * pad)


def make_inputs(config, rows, generator, length=None, left=False, mask=True, pixels=None):
    side = int(config["visual"].get("n_queries", 256) ** 0.5)
    size = lambda parts: sum(side * side + 2 if p == "i" else int(p[1:]) for p in parts)
    length = length or max(size(r) for r in rows)
    made = [row_of(r, config, length, left, generator) for r in rows]
    ids = torch.tensor([m[0] for m in made])
    keys = torch.tensor([m[1] for m in made])
    labels = ids.masked_fill(keys == 0, -100)
    labels[torch.rand(ids.shape, generator=generator) < 0.3] = -100
    inputs = {"input_ids": ids, "labels": labels}
    if mask:
        inputs["attention_mask"] = keys
    pictures = sum(r.count("i") for r in rows)
    if pictures:
        edge = pixels or config["visual"]["image_size"]
        inputs["pixel_values"] = torch.randn(pictures, 3, edge, edge, generator=generator)
    return inputs


def build(hub, config, generator):
    modeling, QWenConfig = hub
    model = modeling.QWenLMHeadModel(QWenConfig(**config, fp32=True, bf16=False, fp16=False))
    randomize(model, generator)
    return model.float().eval()


def run(model, inputs):
    """Outputs and gradients of one pass; the pictures that the ids name are inputs' pixels."""
    features = []

    def encode(paths):
        assert len(paths) == len(inputs["pixel_values"])
        features.append(model.transformer.visual(inputs["pixel_values"]))
        return features[-1]

    model.transformer.visual.encode = encode
    model.zero_grad()
    out = model(input_ids=inputs["input_ids"], attention_mask=inputs.get("attention_mask"),
                labels=inputs.get("labels"), use_cache=False, return_dict=True)
    outputs = {"logits": out.logits}
    if features:
        outputs["image_features"] = features[0]
    gradients = {}
    if out.loss is not None:
        outputs["loss"] = out.loss
        out.loss.backward()
        gradients = {n: p.grad for n, p in model.named_parameters()
                     if p.requires_grad and p.grad is not None}
    return outputs, gradients


def save(folder, config, model, inputs, outputs, gradients):
    common.fresh(folder.parent, folder.name)
    common.write_config(folder, config)
    # The table of sines is no bf16 number; everything else is.
    common.save_weights(folder, {n: (p if "pos_embed" in n else p.bfloat16())
                                 for n, p in model.named_parameters()})
    tensors = {"input." + k: v for k, v in inputs.items()}
    tensors.update({"output." + k: v for k, v in outputs.items()})
    for name, g in gradients.items():
        tensors["grad." + name] = g
    common.save_reference(folder, tensors, type(model).__name__, ("loss", outputs["loss"].item()))


# name: changes of the config, inputs
CASES = {
    # Two rows with different numbers of pictures, padding on the right; no biases as released.
    "qwen_vl": (dict(), dict(rows=[["t3", "i", "t6"], ["i", "t2", "i", "t9"]])),
    # Padding on the left; another norm, base and grid of the queries; biases everywhere.
    "qwen_vl_left": (dict(no_bias=False, layer_norm_epsilon=1e-3, rotary_emb_base=500,
                          num_hidden_layers=1, visual=dict(image_size=20, n_queries=9, layers=1)),
                     dict(rows=[["t2", "i", "t4"], ["t5", "i", "t8"]], left=True)),
    # Longer than seq_length in evaluation mode: dynamic NTK with log-n.
    "qwen_vl_long": (dict(seq_length=9, visual=dict(layers=1)),
                     dict(rows=[["t12", "i", "t20"], ["t30"]])),
    # ... log-n alone; the tower as wide as the resampler.
    "qwen_vl_logn": (dict(seq_length=7, use_dynamic_ntk=False, num_hidden_layers=1,
                          visual=dict(width=24, layers=1, heads=3, image_size=16)),
                     dict(rows=[["t2", "i", "t17"]], mask=False)),
    # ... dynamic NTK alone; rows of words only.
    "qwen_vl_text": (dict(seq_length=11, use_logn_attn=False, num_hidden_layers=1,
                          visual=dict(layers=1)),
                     dict(rows=[["t25"], ["t14"]])),
}


def main():
    torch.set_num_threads(1)
    hub = import_hub(pathlib.Path(sys.argv[1]).resolve())
    out = common.out_folder(2)
    for name, (changes, inputs) in CASES.items():
        generator = torch.Generator().manual_seed(len(name))
        torch.manual_seed(0)
        config = config_json(**changes)
        model = build(hub, config, generator)
        given = make_inputs(config, generator=generator, **inputs)
        outputs, gradients = run(model, given)
        save(out / name, config, model, given, outputs, gradients)


if __name__ == "__main__":
    main()
