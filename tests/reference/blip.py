#!/usr/bin/env python3
"""Makes the fixtures blip_*: small random models of transformers' BLIP classes with what they
compute, and of the original's pre-training with one training step.

Usage: blip.py CHECKOUT [OUT], default fixtures/. CHECKOUT: salesforce/BLIP at 056a169, which runs
unchanged: what it imports from transformers 4 and what downloads is put in its place here.
Versions: torch 2.11.0, transformers 5.17.0, timm 1.0.31, safetensors.

Biases are not zero, embeddings small and momentum copies different, so that a wrong eps, activation
or order of operations shows. Random choices are recorded as inputs.
"""
import importlib
import json
import sys

import torch
from transformers import (BlipConfig, BlipForConditionalGeneration, BlipForImageTextRetrieval,
                          BlipForQuestionAnswering, BlipModel)

import common

WORDS, CLS, SEP, DEC, ENC = 60, 1, 2, 58, 59
MOST = 700_000


def randomize(named, generator):
    with torch.no_grad():
        for name, p in named:
            noise = torch.randn(p.shape, generator=generator)
            if name == "logit_scale":
                p.fill_(2.0)
            elif name == "temp":
                continue
            elif "norm" in name.lower():
                p.copy_(noise * 0.2 + (1 if name.endswith("weight") else 0))
            elif "embedd" in name or "pos_embed" in name or "cls_token" in name:
                p.copy_(noise * 0.03)
            else:
                p.copy_(noise * (0.2 if name.endswith("bias") else 1.2 / p[0].numel() ** 0.5
                                 if p.dim() > 1 else 0.2))


def texts(generator, rows, length, padded=True, pad=0):
    ids = torch.randint(3, DEC, (rows, length), generator=generator)
    mask = torch.ones(rows, length, dtype=torch.long)
    ids[:, 0] = CLS
    for row in range(rows):
        stop = length - 1 - (2 * row % 5 if padded else 0)
        ids[row, stop] = SEP
        ids[row, stop + 1:] = pad
        mask[row, stop + 1:] = 0
    return ids, mask


# --- transformers ------------------------------------------------------------------------------

def vision(width, layers, heads, hidden, image, patch, act="gelu", eps=1e-6):
    return dict(hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
                intermediate_size=hidden, image_size=image, patch_size=patch, hidden_act=act,
                layer_norm_eps=eps)


def text(width, layers, heads, hidden, act="gelu", eps=1e-12, smoothing=0.0, **more):
    return dict(hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
                intermediate_size=hidden, hidden_act=act, layer_norm_eps=eps, vocab_size=WORDS,
                max_position_embeddings=16, bos_token_id=DEC, sep_token_id=SEP, pad_token_id=0,
                label_smoothing=smoothing, **more)


def caption_inputs(g):
    ids, mask = texts(g, 3, 9)
    labels = ids.masked_fill(mask == 0, -100)
    labels[:, :3] = -100
    return dict(pixel_values=torch.randn(3, 3, 24, 24, generator=g), input_ids=ids,
                attention_mask=mask, labels=labels)


def plain_caption_inputs(g):
    # No mask, padding among the labels, positions of our own, a picture of another shape.
    ids, _ = texts(g, 2, 7)
    return dict(pixel_values=torch.randn(2, 3, 17, 40, generator=g), input_ids=ids, labels=ids.clone(),
                interpolate_pos_encoding=True, position_ids=torch.arange(7).flip(0)[None])


def small_caption_inputs(g):
    # A smaller picture without interpolation: the first rows of positions are taken.
    ids, mask = texts(g, 2, 6)
    return dict(pixel_values=torch.randn(2, 3, 16, 8, generator=g), input_ids=ids,
                attention_mask=mask, logits_to_keep=2)


def answer_inputs(g):
    ids, mask = texts(g, 3, 8)
    answer, answer_mask = texts(g, 3, 5)
    labels = answer.masked_fill(answer_mask == 0, -100)
    answer[:, 0] = DEC
    return dict(pixel_values=torch.randn(3, 3, 16, 16, generator=g), input_ids=ids,
                attention_mask=mask, decoder_input_ids=answer, decoder_attention_mask=answer_mask,
                labels=labels)


def answer_labels_inputs(g):
    ids, _ = texts(g, 2, 6, padded=False)
    labels, _ = texts(g, 2, 5)
    return dict(pixel_values=torch.randn(2, 3, 16, 16, generator=g), input_ids=ids, labels=labels)


def match_inputs(g):
    ids, mask = texts(g, 3, 8)
    return dict(pixel_values=torch.randn(3, 3, 16, 16, generator=g), input_ids=ids,
                attention_mask=mask)


def cosine_inputs(g):
    ids, mask = texts(g, 4, 8)
    return dict(pixel_values=torch.randn(3, 3, 16, 16, generator=g), input_ids=ids,
                attention_mask=mask, use_itm_head=False)


def contrast_inputs(g):
    ids, mask = texts(g, 4, 8)
    return dict(pixel_values=torch.randn(4, 3, 21, 21, generator=g), input_ids=ids,
                attention_mask=mask, return_loss=True)


CASES = {
    "blip_caption": (BlipForConditionalGeneration, caption_inputs, dict(
        vision=vision(32, 2, 4, 48, 24, 8), text=text(24, 2, 3, 56, smoothing=0.1))),
    "blip_caption_plain": (BlipForConditionalGeneration, plain_caption_inputs, dict(
        vision=vision(24, 1, 2, 48, 24, 8, "quick_gelu", 1e-5),
        text=text(24, 2, 2, 40, "gelu_new", 1e-5))),
    "blip_caption_small": (BlipForConditionalGeneration, small_caption_inputs, dict(
        vision=vision(24, 1, 2, 48, 24, 8, eps=1e-3), text=text(24, 2, 4, 48, "relu"))),
    "blip_caption_untied": (BlipForConditionalGeneration, caption_inputs, dict(
        vision=vision(24, 1, 2, 48, 24, 8), tie_word_embeddings=False,
        text=text(24, 1, 2, 48, smoothing=0.2, tie_word_embeddings=False))),
    "blip_answer": (BlipForQuestionAnswering, answer_inputs, dict(
        vision=vision(24, 2, 4, 48, 16, 8), text=text(24, 2, 2, 56, smoothing=0.1))),
    "blip_answer_labels": (BlipForQuestionAnswering, answer_labels_inputs, dict(
        vision=vision(16, 1, 2, 48, 16, 8), text=text(16, 2, 4, 40, eps=1e-6))),
    "blip_match": (BlipForImageTextRetrieval, match_inputs, dict(
        vision=vision(32, 2, 2, 64, 16, 8, eps=1e-5), text=text(24, 2, 4, 64),
        image_text_hidden_size=20)),
    "blip_cosine": (BlipForImageTextRetrieval, cosine_inputs, dict(
        vision=vision(24, 2, 2, 64, 16, 8), text=text(32, 2, 4, 64),
        image_text_hidden_size=12)),
    "blip_contrast": (BlipModel, contrast_inputs, dict(
        vision=vision(24, 2, 4, 48, 21, 7), text=text(16, 2, 2, 64), projection_dim=18)),
    "blip_contrast_encoder": (BlipModel, contrast_inputs, dict(
        vision=vision(24, 1, 4, 48, 21, 7), text=text(24, 2, 2, 64, is_decoder=False),
        projection_dim=8)),
}


GENERATED = {
    "greedy": dict(max_length=12),
    "greedy_rules": dict(max_length=14, min_length=9, repetition_penalty=1.3),
    "beams": dict(max_length=12, num_beams=3),
    "beams_rules": dict(max_length=13, num_beams=4, min_length=6, repetition_penalty=1.5,
                        length_penalty=2.0),
    "beams_short": dict(max_length=10, num_beams=2, length_penalty=-1.0),
}


def generated(model, pixels, interpolate):
    """Captions of transformers, which tests/models/blip_test.cpp compares."""
    for name, options in GENERATED.items():
        ids = model.generate(pixels, interpolate_pos_encoding=interpolate, do_sample=False, **options)
        yield "extra.generated." + name, ids


def make_hugging_face(name, model_class, make_inputs, sizes, out):
    generator = torch.Generator().manual_seed(len(name))
    sizes = dict(sizes)
    config = BlipConfig(text_config=sizes.pop("text"), vision_config=sizes.pop("vision"),
                        attn_implementation="eager", **sizes)
    model = model_class(config).eval()
    randomize(model.named_parameters(), generator)
    if model_class is BlipForConditionalGeneration:
        with torch.no_grad():  # so that captions end
            model.text_decoder.cls.predictions.decoder.bias[SEP] += 1.3
    folder = common.fresh(out, name)
    common.save_pretrained(folder, model)
    inputs = make_inputs(generator)
    outputs = model(**inputs)
    tensors = {"input." + k: common.as_tensor(v) for k, v in inputs.items()}
    tensors.update(("output." + k, v) for k, v in common.flat(outputs))
    if outputs.get("loss") is not None:
        outputs.loss.backward()
        tensors.update(common.gradients(model))
    if model_class is BlipForConditionalGeneration and "small" not in name:
        tensors.update(generated(model, inputs["pixel_values"], "interpolate_pos_encoding" in inputs))
    common.save_reference(folder, tensors, model_class.__name__, most=MOST)


# --- The original ------------------------------------------------------------------------------

def tokenizer_of(ids, mask):
    return common.Tokenizer(ids, mask, WORDS, enc_token_id=ENC, bos_token_id=DEC, pad_token_id=0,
                            sep_token_id=SEP)


def load_original(checkout):
    common.transformers_4()
    common.no_fairscale()
    common.stand_in("timm.models.hub", download_cached_file=None)
    sys.path.insert(0, checkout)
    torch.hub.load_state_dict_from_url = lambda **_: {"model": {}}
    common.one_process()
    return importlib.import_module("models.blip_pretrain")


def tie(model):
    """What transformers 4 does on loading: the decoder's output matrix is the table of words."""
    predictions = model.text_decoder.cls.predictions
    predictions.decoder.weight = model.text_decoder.bert.embeddings.word_embeddings.weight


def make_original(module, case, folder, tokenizer):
    v, t = case["vision"], case["text"]
    blip = importlib.import_module("models.blip")
    norm = lambda width: torch.nn.LayerNorm(width, eps=v["layer_norm_eps"])  # noqa: E731

    def create_vit(*_, **__):
        return blip.VisionTransformer(
            img_size=v["image_size"], patch_size=v["patch_size"], embed_dim=v["hidden_size"],
            depth=v["num_hidden_layers"], num_heads=v["num_attention_heads"],
            mlp_ratio=v["intermediate_size"] / v["hidden_size"], norm_layer=norm), v["hidden_size"]

    module.create_vit = create_vit
    module.init_tokenizer = lambda: tokenizer
    bert = dict({k: t[k] for k in ("hidden_size", "num_hidden_layers", "num_attention_heads",
                                   "intermediate_size", "hidden_act", "layer_norm_eps",
                                   "vocab_size", "max_position_embeddings", "pad_token_id")},
                attention_probs_dropout_prob=0.1, hidden_dropout_prob=0.1, add_cross_attention=True)
    path = folder / "bert_config.json"
    path.write_text(json.dumps(bert))
    model = getattr(module, case.get("class", "BLIP_Pretrain"))(
        str(path), v["image_size"], "base", embed_dim=case["embed"], queue_size=case["queue"],
        momentum=case["momentum"])
    path.unlink()
    if "class" not in case:
        tie(model)
    return model.eval()


def config_json(case):
    return dict(architectures=[case.get("class", "BLIP_Pretrain")], model_type="blip", image_text_hidden_size=case["embed"],
                queue_size=case["queue"], momentum=case["momentum"], temp=0.07, alpha=0.4,
                vision_config=case["vision"], text_config=dict(case["text"], enc_token_id=ENC))


PRETRAIN = {
    # The queue's end is reached; every shared tensor stands in the file twice, as in released ones.
    "blip_pretrain": dict(
        vision=vision(24, 2, 3, 48, 16, 8), text=text(16, 2, 4, 40, smoothing=0.1), embed=16, queue=8,
        momentum=0.9, pointer=4, temp=0.07, alpha=0.4, rows=4, length=8, twice=True),
    # A temperature that is clamped, hard targets only, shared tensors once, ids without padding.
    "blip_pretrain_clamped": dict(
        vision=vision(16, 1, 2, 48, 16, 8), text=text(24, 2, 2, 32, eps=1e-5), embed=12, queue=9,
        momentum=0.995, pointer=0, temp=0.0002, alpha=0.0, rows=3, length=6, twice=False),
    # The other end of the clamp, soft targets only.
    "blip_pretrain_soft": dict(
        vision=vision(16, 2, 4, 32, 24, 8, eps=1e-5), text=text(16, 1, 2, 32), embed=8, queue=6,
        momentum=0.5, pointer=2, temp=0.7, alpha=0.85, rows=2, length=7, twice=True),
    # Three steps: the queue goes round, the copies follow parameters that stand still.
    "blip_steps": dict(
        vision=vision(16, 1, 2, 32, 16, 8), text=text(16, 1, 2, 24), embed=8, queue=9, momentum=0.8,
        pointer=6, temp=0.07, alpha=0.4, rows=3, length=6, twice=True, more=2),
}

# Retrieval, two texts of one picture in the batch and one more in the queue.
RETRIEVAL = {"class": "BLIP_Retrieval", "idx": [3, 7, 3, 5], **dict(
    vision=vision(16, 1, 2, 32, 16, 8), text=text(16, 1, 2, 24), embed=8, queue=8, momentum=0.9,
    pointer=4, temp=0.11, alpha=0.4, rows=4, length=6, twice=True)}


def pretraining_step(model, case, generator, text):
    """One training step, its choices recorded: (losses, inputs and outputs)."""
    ids, mask = text
    side = case["vision"]["image_size"]
    image = torch.randn(case["rows"], 3, side, side, generator=generator)
    numbers = [torch.tensor(case["idx"])] if "class" in case else []
    with common.Draws() as draws:
        losses = model(image, None, case["alpha"], *numbers)
    tensors = {"input.pixel_values": image, "input.input_ids": ids, "input.attention_mask": mask,
               "input.alpha": torch.tensor(case["alpha"]),
               **{"input." + k: v for k, v in draws.negatives(case["rows"]).items()}}
    if numbers:
        tensors["input.idx"] = numbers[0]
    for key, loss in zip(("itc", "itm", "lm"), losses):
        tensors["output.loss_" + key] = loss
    state = model.state_dict()
    for key in state:
        copy = key.split(".")[0].endswith("_m") and not key.endswith("position_ids")
        if copy or key in ("image_queue", "text_queue", "queue_ptr", "idx_queue", "ptr_queue", "temp"):
            tensors["output.state." + key] = state[key]
    return losses, common.copies(tensors)


def make_pretraining(module, name, case, out):
    generator = torch.Generator().manual_seed(len(name))
    torch.manual_seed(len(name))
    folder = common.fresh(out, name)
    ids, mask = texts(generator, case["rows"], case["length"], padded=case["twice"])
    model = make_original(module, case, folder, tokenizer_of(ids, mask))
    randomize(model.named_parameters(), generator)
    with torch.no_grad():
        model.temp.fill_(case["temp"])
        (model.ptr_queue if "class" in case else model.queue_ptr)[0] = case["pointer"]
        if "class" in case:
            model.idx_queue[0, 1] = case["idx"][1]
    aliases = common.aliases_of(model)
    common.save_weights(folder, {k: v for k, v in model.state_dict().items()
                                 if case["twice"] or k not in aliases})
    common.write_config(folder, config_json(case))
    losses, tensors = pretraining_step(model, case, generator, (ids, mask))
    sum(losses).backward()
    tensors.update(common.gradients(model, frozen=False))
    for step in range(case.get("more", 0)):
        text = texts(generator, case["rows"], case["length"])
        model.tokenizer.batch = tokenizer_of(*text).batch
        _, found = pretraining_step(model, case, generator, text)
        tensors.update((f"extra.{step}." + key, value) for key, value in found.items())
    more = {} if case["twice"] else {"aliases": json.dumps(aliases)}
    common.save_reference(folder, tensors, case.get("class", "BLIP_Pretrain"), most=MOST, **more)


# Eight layers: those from the seventh on join both pictures by a matrix.
NLVR = dict(vision=vision(16, 1, 2, 32, 16, 8), text=text(8, 8, 2, 12), rows=3, length=7)


def make_nlvr(case, out):
    name = "blip_nlvr"
    generator = torch.Generator().manual_seed(len(name))
    folder = common.fresh(out, name)
    ids, mask = texts(generator, case["rows"], case["length"])
    module = importlib.import_module("models.blip_nlvr")
    blip = importlib.import_module("models.blip")
    v, t = case["vision"], case["text"]
    tokens = ids.clone()  # the original overwrites its first one
    module.init_tokenizer = lambda: tokenizer_of(tokens, mask)
    module.create_vit = lambda *_, **__: (blip.VisionTransformer(
        img_size=v["image_size"], patch_size=v["patch_size"], embed_dim=v["hidden_size"],
        depth=v["num_hidden_layers"], num_heads=v["num_attention_heads"],
        mlp_ratio=v["intermediate_size"] / v["hidden_size"]), v["hidden_size"])
    path = folder / "bert_config.json"
    path.write_text(json.dumps(dict({k: t[k] for k in (
        "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
        "hidden_act", "layer_norm_eps", "vocab_size", "max_position_embeddings", "pad_token_id")},
        add_cross_attention=True)))
    model = module.BLIP_NLVR(str(path), v["image_size"], "base").eval()
    path.unlink()
    randomize(model.named_parameters(), generator)
    common.save_weights(folder, model.state_dict())
    common.write_config(folder, dict(architectures=["BLIP_NLVR"], model_type="blip",
                                     vision_config=v, text_config=dict(t, enc_token_id=ENC)))
    labels = torch.tensor([1, 0, 1])
    image = torch.randn(2 * case["rows"], 3, 16, 16, generator=generator)
    loss = model(image, None, labels)
    loss.backward()
    tensors = {"input.pixel_values": image, "input.input_ids": ids, "input.attention_mask": mask,
               "input.labels": labels, "output.loss": loss,
               "output.logits": model(image, None, labels, train=False)}
    tensors.update(("grad." + k, p.grad) for k, p in model.named_parameters())
    common.save_reference(folder, tensors, "BLIP_NLVR", most=MOST)


# Questions: the original's class, whose loss and ranking transformers does not have.
VQA = dict(vision=vision(24, 2, 3, 48, 16, 8), text=text(24, 2, 2, 40, smoothing=0.1), rows=3,
           length=8, counts=[2, 1, 3], candidates=7, likely=4)


class Lines:
    """Tokenizer of the question and of its answers."""

    def __init__(self, **lines):
        self.lines = {k: common.Tokenizer(ids.clone(), mask, WORDS).batch
                      for k, (ids, mask) in lines.items()}
        self.enc_token_id, self.bos_token_id, self.pad_token_id = ENC, DEC, 0

    def __call__(self, line, **_):
        return self.lines[line]


class Ranking:
    """What rank_answer chooses from: the candidates of the likeliest first words and their losses."""

    def __init__(self, decoder):
        self.hook = decoder.register_forward_hook(self.decoded)
        self.topk = torch.Tensor.topk

    def decoded(self, _, __, output):
        if output.loss is not None:
            self.losses = output.loss

    def __enter__(self):
        def topk(*arguments, **named):
            found = self.topk(*arguments, **named)
            self.chosen = found[1]
            return found

        torch.Tensor.topk = topk
        return self

    def __exit__(self, *_):
        torch.Tensor.topk = self.topk
        self.hook.remove()

    def ordered(self):
        """[B, k]: rows of the candidates, the best first, and the logarithms of their probability."""
        score, order = (-self.losses).view(self.chosen.shape).sort(dim=1, descending=True)
        return self.chosen.gather(1, order), score


def make_vqa(case, out):
    name = "blip_vqa"
    generator = torch.Generator().manual_seed(len(name))
    folder = common.fresh(out, name)
    module, blip = importlib.import_module("models.blip_vqa"), importlib.import_module("models.blip")
    v, t = case["vision"], case["text"]
    ids, mask = texts(generator, case["rows"], case["length"])
    answers, answer_mask = texts(generator, sum(case["counts"]), 6)
    candidates, candidate_mask = texts(generator, case["candidates"], 7)
    candidates[2, 1] = candidates[0, 1]  # two that begin alike
    module.init_tokenizer = lambda: Lines(question=(ids, mask), answer=(answers, answer_mask))
    module.create_vit = lambda *_, **__: (blip.VisionTransformer(
        img_size=v["image_size"], patch_size=v["patch_size"], embed_dim=v["hidden_size"],
        depth=v["num_hidden_layers"], num_heads=v["num_attention_heads"],
        mlp_ratio=v["intermediate_size"] / v["hidden_size"]), v["hidden_size"])
    path = folder / "bert_config.json"
    path.write_text(json.dumps(dict({k: t[k] for k in (
        "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
        "hidden_act", "layer_norm_eps", "vocab_size", "max_position_embeddings", "pad_token_id")},
        add_cross_attention=True, encoder_width=t["hidden_size"])))
    model = module.BLIP_VQA(str(path), v["image_size"], "base").eval()
    path.unlink()
    tie(model)
    randomize(model.named_parameters(), generator)
    aliases = common.aliases_of(model)
    common.save_weights(folder, {k: w for k, w in model.state_dict().items() if k not in aliases})
    common.write_config(folder, dict(architectures=["BlipForQuestionAnswering"], model_type="blip",
                                     vision_config=v, text_config=dict(t, enc_token_id=ENC)))
    image = torch.randn(case["rows"], 3, v["image_size"], v["image_size"], generator=generator)
    weights = torch.rand(sum(case["counts"]), generator=generator)
    loss = model(image, "question", "answer", n=case["counts"], weights=weights)
    loss.backward()
    started = common.Tokenizer(candidates.clone(), candidate_mask, WORDS).batch
    started.input_ids[:, 0] = DEC  # as train_vqa.py does
    with torch.no_grad(), Ranking(model.text_decoder) as ranking:
        best = model(image, "question", started, train=False, inference="rank", k_test=case["likely"])
    index, score = ranking.ordered()
    assert index[:, 0].equal(best)
    tensors = {"input.pixel_values": image, "input.input_ids": ids, "input.attention_mask": mask,
               "input.decoder_input_ids": answers, "input.decoder_attention_mask": answer_mask,
               "input.k": torch.tensor(case["counts"]), "input.weights": weights,
               "input.candidate_ids": candidates, "input.candidate_mask": candidate_mask,
               "input.k_test": torch.tensor(case["likely"]), "output.loss": loss,
               "output.ranked_index": index, "output.ranked_score": score}
    tensors.update(common.gradients(model))
    common.save_reference(folder, tensors, "BlipForQuestionAnswering", most=MOST,
                          aliases=json.dumps(aliases))


def main():
    checkout = sys.argv[1]
    out = common.out_folder(2)
    torch.set_num_threads(1)
    for name, (model_class, inputs, sizes) in CASES.items():
        make_hugging_face(name, model_class, inputs, sizes, out)
    module = load_original(checkout)
    for name, case in PRETRAIN.items():
        make_pretraining(module, name, case, out)
    retrieval = importlib.import_module("models.blip_retrieval")
    make_pretraining(retrieval, "blip_retrieval", RETRIEVAL, out)
    make_nlvr(NLVR, out)
    make_vqa(VQA, out)


if __name__ == "__main__":
    main()
