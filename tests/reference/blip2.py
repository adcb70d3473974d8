#!/usr/bin/env python3
"""Makes the fixtures blip2_*: small random models of transformers' BLIP-2 classes with what they
compute, and of the original's first stage with its three losses.

Usage: blip2.py CHECKOUT [OUT], default fixtures/. CHECKOUT: salesforce/LAVIS at 506965b (lavis/models
and lavis/common are enough), which runs unchanged: what it imports from elsewhere and what
downloads is put in its place here.
Versions: torch 2.11.0, transformers 5.17.0, timm 1.0.31, safetensors.

All parameters are drawn again (transformers begins with queries of zeros), biases are not zero, so
that a wrong eps, activation or order of operations shows. Random choices are recorded as inputs.
"""
import importlib
import json
import pathlib
import sys

import torch
from transformers import (Blip2Config, Blip2ForConditionalGeneration, Blip2ForImageTextRetrieval,
                          Blip2Model)

import common

WORDS, IMAGE, CLS, SEP, DEC = 40, 39, 3, 4, 39


def randomize(named, generator, wide=1.2):
    with torch.no_grad():
        for name, p in named:
            noise = torch.randn(p.shape, generator=generator)
            if name == "temp":
                continue
            if "norm" in name.lower() or ".ln_" in name or name.startswith("ln_"):
                p.copy_(noise * 0.2 + (1 if name.endswith("weight") else 0))
            elif "relative_attention_bias" in name:
                p.copy_(noise)
            elif "embed" in name and p.dim() < 4 or "cls_token" in name or "query_tokens" in name:
                p.copy_(noise * 0.3)
            elif p.dim() > 1:
                p.copy_(noise * wide / p[0].numel() ** 0.5)
            else:
                p.copy_(noise * 0.2)


def texts(generator, rows, length, words=WORDS - 1, pad=0, left=False):
    """Ids with padding in every second row."""
    ids = torch.randint(5, words, (rows, length), generator=generator)
    mask = torch.ones(rows, length, dtype=torch.long)
    for row in range(rows):
        padding = 2 * row % 5
        cut = slice(0, padding) if left else slice(length - padding, length)
        ids[row, cut], mask[row, cut] = pad, 0
    return ids, mask


# --- transformers ------------------------------------------------------------------------------

def vision(width=16, layers=2, heads=2, hidden=24, image=8, patch=4, act="gelu", eps=1e-6, **more):
    return dict(hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
                intermediate_size=hidden, image_size=image, patch_size=patch, hidden_act=act,
                layer_norm_eps=eps, **more)


def qformer(width=16, layers=3, heads=2, hidden=20, every=2, act="gelu", eps=1e-12, **more):
    return dict(hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
                intermediate_size=hidden, hidden_act=act, layer_norm_eps=eps, vocab_size=WORDS,
                max_position_embeddings=16, cross_attention_frequency=every, **more)


def opt(width=16, layers=2, heads=2, hidden=24, **more):
    return dict(model_type="opt", hidden_size=width, num_hidden_layers=layers,
                num_attention_heads=heads, ffn_dim=hidden, vocab_size=WORDS,
                max_position_embeddings=24, **more)


def t5(width=16, layers=2, heads=2, head=6, hidden=20, **more):
    return dict(model_type="t5", d_model=width, num_layers=layers, num_heads=heads, d_kv=head,
                d_ff=hidden, vocab_size=WORDS, relative_attention_num_buckets=8,
                relative_attention_max_distance=12, decoder_start_token_id=0, **more)


def behind_image(g, rows, length, queries, pad, left=False, image=8):
    ids, mask = texts(g, rows, length, pad=pad, left=left)
    places = torch.full((rows, queries), IMAGE)
    if left:  # the image's words stand behind the padding
        full = torch.cat([ids[:, :length - 2], places, ids[:, length - 2:]], 1)
        mask = torch.cat([mask[:, :length - 2], torch.ones_like(places), mask[:, length - 2:]], 1)
    else:
        full, mask = torch.cat([places, ids], 1), torch.cat([torch.ones_like(places), mask], 1)
    return dict(pixel_values=torch.randn(rows, 3, image, image, generator=g), input_ids=full,
                attention_mask=mask)


def opt_inputs(g, queries):
    inputs = behind_image(g, 3, 7, queries, pad=1)
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    labels[labels == IMAGE] = -100
    return dict(inputs, labels=labels)


def opt_left_inputs(g, queries):
    inputs = behind_image(g, 3, 7, queries, pad=1, left=True, image=16)
    return dict(inputs, labels=inputs["input_ids"].clone(), interpolate_pos_encoding=True)


def opt_plain_inputs(g, queries):
    inputs = opt_inputs(g, queries)
    del inputs["attention_mask"]
    return inputs


def t5_inputs(g, queries):
    labels, mask = texts(g, 3, 6)
    return dict(behind_image(g, 3, 5, queries, pad=0), labels=labels.masked_fill(mask == 0, -100))


def t5_given_inputs(g, queries):
    fed, mask = texts(g, 2, 6)
    labels, _ = texts(g, 2, 6)
    inputs = behind_image(g, 2, 6, queries, pad=0)
    return dict(inputs, decoder_input_ids=fed, decoder_attention_mask=mask, labels=labels)


def match_inputs(g, queries):
    ids, mask = texts(g, 3, 7)
    return dict(pixel_values=torch.randn(3, 3, 8, 8, generator=g), input_ids=ids,
                attention_mask=mask, use_image_text_matching_head=True)


def cosine_inputs(g, queries):
    return dict(behind_image(g, 3, 7, queries, pad=0), use_image_text_matching_head=False)


CASES = {
    "blip2_opt": (Blip2ForConditionalGeneration, opt_inputs, dict(
        vision=vision(eps=1e-4), qformer=qformer(), text=opt())),
    "blip2_opt_behind": (Blip2ForConditionalGeneration, opt_left_inputs, dict(
        vision=vision(12, 1, 3, act="quick_gelu", qkv_bias=False),
        qformer=qformer(12, 3, 3, every=3, act="gelu_new", eps=1e-5),
        text=opt(20, do_layer_norm_before=False, activation_function="gelu", tie_word_embeddings=False,
                 pad_token_id=None))),
    "blip2_t5": (Blip2ForConditionalGeneration, t5_inputs, dict(
        vision=vision(12, 1), qformer=qformer(12), tie_word_embeddings=False,
        text=t5(12, hidden=16, feed_forward_proj="gated-gelu", dense_act_fn="gelu", tie_word_embeddings=False))),
    "blip2_t5_plain": (Blip2ForConditionalGeneration, t5_given_inputs, dict(
        vision=vision(layers=1), qformer=qformer(layers=1, every=1),
        text=t5(12, 2, 3, 5, feed_forward_proj="relu", num_decoder_layers=1, layer_norm_epsilon=1e-3))),
    "blip2_model": (Blip2Model, opt_plain_inputs, dict(
        vision=vision(layers=1), qformer=qformer(layers=2),
        text=opt(heads=4, layers=1, enable_bias=False, word_embed_proj_dim=12,
                 layer_norm_elementwise_affine=False,
                 _remove_final_layer_norm=True))),
    "blip2_match": (Blip2ForImageTextRetrieval, match_inputs, dict(
        vision=vision(layers=1, heads=4), qformer=qformer(use_qformer_text_input=True),
        image_text_hidden_size=10, image=None, text=opt(layers=1))),
    "blip2_cosine": (Blip2ForImageTextRetrieval, cosine_inputs, dict(
        vision=vision(layers=1), qformer=qformer(12, 4, 3, use_qformer_text_input=True),
        image_text_hidden_size=12, text=opt(layers=1))),
}


GENERATED = {
    "greedy": dict(max_new_tokens=10),
    "beams": dict(max_new_tokens=10, num_beams=3),
    "beams_rules": dict(max_new_tokens=9, num_beams=4, min_new_tokens=4, length_penalty=-1.0),
}


def generated(model, inputs, eos):
    """What transformers writes, which tests/models/blip2_test.cpp compares. Nothing is written behind
    padding: a mask with padding on the right is left out for OPT."""
    inputs = {k: inputs[k] for k in ("pixel_values", "input_ids", "attention_mask",
                                     "interpolate_pos_encoding") if k in inputs}
    seen = inputs.get("attention_mask")
    if seen is None or model.config.text_config.model_type != "opt":
        pass
    elif not seen[:, -1].all():
        del inputs["attention_mask"]
    elif not seen.all():  # the image's words right behind the padding
        ids, queries = inputs["input_ids"], inputs["input_ids"] == model.config.image_token_index
        order = (2 * seen - queries.long()).argsort(dim=1, stable=True)
        inputs.update(input_ids=ids.gather(1, order), attention_mask=seen.gather(1, order))
    for name, options in GENERATED.items():
        ids = model.generate(**inputs, do_sample=False, eos_token_id=eos, pad_token_id=0, **options)
        yield "extra.generated." + name, ids


def make_model(model_class, sizes, generator, queries=3):
    sizes = dict(sizes)
    image = sizes.pop("image", IMAGE)
    config = Blip2Config(text_config=sizes.pop("text"), vision_config=sizes.pop("vision"),
                         qformer_config=sizes.pop("qformer"), num_query_tokens=queries,
                         image_token_index=image, attn_implementation="eager", **sizes)
    model = model_class(config).eval()
    language = getattr(model, "language_model", None)
    text = config.text_config
    if language is not None and text.model_type == "t5" and not text.scale_decoder_outputs:
        # A head of its own, as in the released files; transformers 5.17 ties it in new models.
        language.lm_head.weight = torch.nn.Parameter(torch.empty_like(language.shared.weight))
        language.all_tied_weights_keys.pop("lm_head.weight", None)
        model.all_tied_weights_keys.pop("language_model.lm_head.weight", None)
    randomize(model.named_parameters(), generator)
    return model


def make_hugging_face(name, model_class, make_inputs, sizes, out, queries=3, text_only_grads=True):
    generator = torch.Generator().manual_seed(len(name))
    model = make_model(model_class, sizes, generator, queries)
    folder = common.fresh(out, name)
    common.save_pretrained(folder, model)
    inputs = make_inputs(generator, queries)
    outputs = model(**inputs)
    tensors = {"input." + k: common.as_tensor(v) for k, v in inputs.items()}
    tensors.update(("output." + k, v) for k, v in common.flat(outputs))
    if inputs.get("use_image_text_matching_head") is True:
        tensors["output.itm_score"] = outputs.logits_per_image
    if outputs.get("loss") is not None:
        outputs.loss.backward()
        tensors.update(common.gradients(model))
    if model_class is Blip2ForConditionalGeneration:
        tensors.update(generated(model, inputs, eos=7))
    common.save_reference(folder, tensors, model_class.__name__)


# --- The original ------------------------------------------------------------------------------

class Module(common.Module):
    """As transformers 4 loads it: the decoder's output matrix is the table of words."""

    @classmethod
    def from_pretrained(cls, *arguments, **named):
        model = super().from_pretrained(*arguments, **named)
        model.cls.predictions.decoder.weight = model.bert.embeddings.word_embeddings.weight
        return model


def load_original(checkout):
    common.transformers_4(Module)
    common.no_fairscale()
    root = pathlib.Path(checkout) / "lavis"
    for name in ("", ".models", ".models.blip2_models", ".models.blip_models", ".common"):
        common.stand_in("lavis" + name, __path__=[str(root / name.replace(".", "/").strip("/"))])
    common.stand_in("timm.models.registry", register_model=lambda f: f)
    common.stand_in("omegaconf", OmegaConf=None)
    common.stand_in("lavis.common.utils", get_abs_path=None, is_url=None)
    common.stand_in("lavis.common.logger", MetricLogger=None)
    sys.modules["lavis.common"].dist_utils = common.stand_in(
        "lavis.common.dist_utils", download_cached_file=None,
        is_dist_avail_and_initialized=lambda: True)
    common.one_process()
    sys.modules["lavis.models"].BaseModel = importlib.import_module("lavis.models.base_model").BaseModel
    return importlib.import_module("lavis.models.blip2_models.blip2_qformer")


def eva(case):
    from functools import partial
    module = importlib.import_module("lavis.models.eva_vit")
    v = case["vision"]
    return module.VisionTransformer(
        img_size=v["image_size"], patch_size=v["patch_size"], use_mean_pooling=False,
        embed_dim=v["hidden_size"], depth=v["num_hidden_layers"], num_heads=v["num_attention_heads"],
        mlp_ratio=v["intermediate_size"] / v["hidden_size"], qkv_bias=True,
        norm_layer=partial(torch.nn.LayerNorm, eps=v["layer_norm_eps"]))


def clip(case):
    module = importlib.import_module("lavis.models.clip_vit")
    v = case["vision"]
    return module.VisionTransformer(v["image_size"], v["patch_size"], v["hidden_size"],
                                    v["num_hidden_layers"], v["num_attention_heads"], False)


def make_original(module, case, tokenizer):
    base = importlib.import_module("lavis.models.blip2_models.blip2")
    bert = importlib.import_module("lavis.models.blip2_models.Qformer")
    q = case["qformer"]
    base.Blip2Base.init_tokenizer = classmethod(lambda *_, **__: tokenizer)
    base.create_eva_vit_g = lambda *_, **__: eva(case)
    base.create_clip_vit_L = lambda *_, **__: clip(case)

    class Config(bert.BertConfig):
        @classmethod
        def from_pretrained(cls, _):
            return bert.BertConfig(**{k: q[k] for k in (
                "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
                "hidden_act", "layer_norm_eps", "vocab_size", "max_position_embeddings")},
                pad_token_id=0, position_embedding_type="absolute", use_cache=True,
                output_attentions=False, output_hidden_states=False, chunk_size_feed_forward=0)

    base.BertConfig = Config
    model = module.Blip2Qformer(
        vit_model=case.get("tower", "eva_clip_g"), img_size=case["vision"]["image_size"],
        vit_precision="fp32", freeze_vit=case.get("freeze", True), num_query_token=case["queries"],
        cross_attention_freq=q["cross_attention_frequency"], embed_dim=case["embed"],
        max_txt_len=case["length"])
    return model.eval()


def config_json(case):
    return dict(architectures=["Blip2Qformer"], model_type="blip-2", num_query_tokens=case["queries"],
                image_text_hidden_size=case["embed"], max_txt_len=case["length"],
                vision_config=case["vision"], qformer_config=dict(case["qformer"], bos_token_id=DEC))


PRETRAIN = {
    "blip2_qformer": dict(vision=vision(), qformer=qformer(12, 3, 2), queries=4,
                          embed=8, length=8, rows=3),
    # CLIP's tower, trained; one picture's worth of texts without padding.
    "blip2_qformer_clip": dict(
        vision=vision(12, 1, 2, 48, act="quick_gelu", eps=1e-5), tower="clip_L", freeze=False,
        qformer=qformer(12, 2, 3, 16, every=1, eps=1e-5), queries=2, embed=6, length=6, rows=2,
        temp=0.5),
}


def make_pretraining(module, name, case, out):
    generator = torch.Generator().manual_seed(len(name))
    torch.manual_seed(len(name))
    folder = common.fresh(out, name)
    ids, mask = texts(generator, case["rows"], case["length"])
    ids[:, 0] = CLS
    model = make_original(module, case, common.Tokenizer(ids, mask, WORDS, bos_token_id=DEC,
                                                         pad_token_id=0))
    randomize(model.named_parameters(), generator)
    with torch.no_grad():
        model.temp.fill_(case.get("temp", 0.07))
    common.save_weights(folder, model.state_dict())
    common.write_config(folder, config_json(case))
    side = case["vision"]["image_size"]
    image = torch.randn(case["rows"], 3, side, side, generator=generator)
    with common.Draws() as draws:
        losses = model({"image": image, "text_input": None})
    losses.loss.backward()
    tensors = {"input.pixel_values": image, "input.input_ids": ids, "input.attention_mask": mask,
               **{"input." + k: v for k, v in draws.negatives(case["rows"]).items()}}
    for key in ("itc", "itm", "lm"):
        tensors["output.loss_" + key] = losses["loss_" + key]
    tensors.update(common.gradients(model, frozen=False))
    common.save_reference(folder, tensors, "Blip2Qformer",
                          aliases=json.dumps(common.aliases_of(model)))


def main():
    checkout = sys.argv[1]
    out = common.out_folder(2)
    torch.set_num_threads(1)
    for name, (model_class, inputs, sizes) in CASES.items():
        make_hugging_face(name, model_class, inputs, sizes, out)
    module = load_original(checkout)
    for name, case in PRETRAIN.items():
        make_pretraining(module, name, case, out)


if __name__ == "__main__":
    main()
