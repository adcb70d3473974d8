#!/usr/bin/env python3
"""Makes the fixtures vilt_*: small random ViLTs with what they compute.

Versions: torch 2.11.0, transformers 5.17.0, safetensors; timm, tqdm and einops for the original.
Usage: vilt.py OUT [ORIGINAL]. ORIGINAL: a checkout of dandelin/ViLT, for vilt_pretraining*, the step
of its ViLTransformerSS. Norms' inputs are small, so that a wrong eps shows.
"""
import json
import pathlib
import sys
import types
from unittest import mock

import torch
import transformers
from transformers import (ViltConfig, ViltForImageAndTextRetrieval,
                          ViltForImagesAndTextClassification, ViltForMaskedLM,
                          ViltForQuestionAnswering, ViltForTokenClassification, ViltModel)

import common

SMALL = dict(vocab_size=60, max_position_embeddings=12, hidden_size=32, num_hidden_layers=2,
             num_attention_heads=4, intermediate_size=48, image_size=32, patch_size=8,
             hidden_dropout_prob=0.1)
LENGTH, BATCH = 9, 4
# Pixels of the four pictures, within a batch of 40 x 40: all cells, a row, a column, one cell.
SIZES = [(40, 40), (8, 40), (32, 8), (8, 8)]
# Wider than the grid of positions, and one whose picture fills no whole number of cells.
WIDE = [(24, 72), (24, 16), (16, 72), (24, 64)]


def randomize(model, generator):
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if "norm" in name.lower() or ".1." in name and p.dim() == 1 and "classifier" in name:
                p.copy_(noise * 0.2 + (1 if name.endswith("weight") else 0))
            elif "embeddings.weight" in name or "position" in name or name.endswith(
                    ("cls_token", "pos_embed")):
                p.copy_(noise * 0.02)
            elif "patch_embed" in name:
                p.copy_(noise * 0.01)
            else:
                p.copy_(noise * (0.2 if name.endswith("bias") else 1.2 / p.shape[-1] ** 0.5))


def texts(generator, batch=BATCH):
    ids = torch.randint(5, 60, (batch, LENGTH), generator=generator)
    mask = torch.ones(batch, LENGTH, dtype=torch.long)
    for row in range(1, batch):
        ids[row, LENGTH - row:] = 0
        mask[row, LENGTH - row:] = 0
    return ids, mask


def pictures(sizes, generator):
    height, width = max(h for h, _ in sizes), max(w for _, w in sizes)
    pixels = torch.zeros(len(sizes), 3, height, width)
    mask = torch.zeros(len(sizes), height, width, dtype=torch.long)
    for i, (h, w) in enumerate(sizes):
        pixels[i, :, :h, :w] = torch.randn(3, h, w, generator=generator)
        mask[i, :h, :w] = 1
    return pixels, mask


def save(folder, inputs, outputs, model, made_by):
    tensors = {"input." + k: v for k, v in inputs.items()}
    tensors.update({"output." + k: v for k, v in outputs.items()})
    losses = [v for k, v in outputs.items() if k.startswith("loss")]
    if losses:
        model.zero_grad()
        sum(losses).backward()
        tensors.update(common.gradients(model))
    common.save_reference(folder, tensors, made_by, (common.losses_told(outputs),), 700_000)


def record(out, name, model_class, config, make_inputs, names):
    generator = torch.Generator().manual_seed(len(name))
    torch.manual_seed(0)
    model = model_class(ViltConfig(**{**SMALL, **config}, attn_implementation="eager")).eval()
    randomize(model, generator)
    folder = common.fresh(out, name)
    model.save_pretrained(folder)
    inputs = make_inputs(generator, model)
    call = {k: v.item() if v.dim() == 0 else v for k, v in inputs.items()}
    found = model(**call)
    save(folder, inputs, {n: found[n] for n in names}, model, model_class.__name__)
    assert json.loads((folder / "config.json").read_text())["architectures"] == [
        model_class.__name__]


# --- Inputs ------------------------------------------------------------------------------------

def of_base(generator, _):
    ids, mask = texts(generator)
    pixels, pixel_mask = pictures(SIZES, generator)
    return dict(input_ids=ids, attention_mask=mask, pixel_values=pixels, pixel_mask=pixel_mask,
                token_type_ids=torch.randint(0, 3, ids.shape, generator=generator),
                image_token_type_idx=torch.tensor(2))


def of_square(generator, _):  # nothing but what must be given
    return dict(input_ids=texts(generator)[0],
                pixel_values=torch.randn(BATCH, 3, 32, 32, generator=generator))


def of_masked_lm(generator, _):
    ids, mask = texts(generator)
    ids[:, 2] = 7  # pad_token_id: its row learns from the decoder alone
    pixels, pixel_mask = pictures(SIZES, generator)
    labels = torch.where(torch.rand(ids.shape, generator=generator) < 0.4, ids, -100)
    labels[mask == 0] = -100
    ids[labels != -100] = 4
    ids[0, 2] = 7
    return dict(input_ids=ids, attention_mask=mask, pixel_values=pixels, pixel_mask=pixel_mask,
                labels=labels)


def of_answers(generator, _):
    ids, mask = texts(generator)
    pixels, pixel_mask = pictures(WIDE, generator)
    scores = torch.tensor([0, 0.3, 0.6, 0.9, 1.0])
    labels = scores[torch.randint(0, 5, (BATCH, 7), generator=generator)]
    return dict(input_ids=ids, attention_mask=mask, pixel_values=pixels, pixel_mask=pixel_mask,
                labels=labels)


def of_two_pictures(generator, _):
    ids, mask = texts(generator)
    pixels, pixel_mask = pictures(SIZES + list(reversed(SIZES)), generator)
    pair = lambda t: t.view(2, BATCH, *t.shape[1:]).transpose(0, 1).contiguous()
    return dict(input_ids=ids, attention_mask=mask, pixel_values=pair(pixels),
                pixel_mask=pair(pixel_mask), labels=torch.tensor([0, 2, 1, 1]))


def of_limit(generator, model):
    """At most 4 patches: of the pictures that have more all are equal, so any choice will do."""
    ids, mask = texts(generator)
    pixels, pixel_mask = pictures(SIZES, generator)
    with torch.no_grad():
        positions = model.vilt.embeddings.position_embeddings
        positions[:, 1:] = positions[:, 1:2]
    for i in (0, 1):
        h, w = SIZES[i]
        cell = torch.randn(3, 8, 8, generator=generator)
        pixels[i, :, :h, :w] = cell.repeat(1, h // 8, w // 8)
    return dict(input_ids=ids, attention_mask=mask, pixel_values=pixels, pixel_mask=pixel_mask)


def limited(out):
    """As record(), but the weights are saved after the inputs have changed them."""
    name, generator = "vilt_limit", torch.Generator().manual_seed(10)
    torch.manual_seed(0)
    model = ViltForImageAndTextRetrieval(
        ViltConfig(**SMALL, max_image_length=4, attn_implementation="eager")).eval()
    randomize(model, generator)
    inputs = of_limit(generator, model)
    folder = common.fresh(out, name)
    model.save_pretrained(folder)
    save(folder, inputs, {"logits": model(**inputs).logits}, model, type(model).__name__)


def of_token_labels(generator, _):
    ids, mask = texts(generator)
    labels = torch.randint(0, 3, ids.shape, generator=generator)
    labels[mask == 0] = -100
    pixels = torch.randn(BATCH, 3, 43, 20, generator=generator)  # pixels left over on both sides
    return dict(input_ids=ids, attention_mask=mask, pixel_values=pixels, labels=labels)


def of_embeddings(generator, _):
    """Rows in place of ids and of pixels."""
    rows = torch.randn(BATCH, LENGTH, 32, generator=generator) * 0.05
    image = torch.randn(BATCH, 6, 32, generator=generator) * 0.2
    image_mask = torch.ones(BATCH, 2, 3, dtype=torch.long)
    image_mask[1, 1, 1:] = 0
    return dict(inputs_embeds=rows, image_embeds=image, pixel_mask=image_mask,
                attention_mask=texts(generator)[1], labels=torch.rand(BATCH, 5, generator=generator))


def transformers_cases(out):
    labels = lambda n: dict(id2label={i: f"l{i}" for i in range(n)})
    record(out, "vilt_model", ViltModel,
           dict(modality_type_vocab_size=3, type_vocab_size=3, layer_norm_eps=1e-5,
                hidden_act="gelu_new", pad_token_id=0), of_base,
           ("last_hidden_state", "pooler_output"))
    record(out, "vilt_square", ViltModel, dict(qkv_bias=False), of_square,
           ("last_hidden_state", "pooler_output"))
    record(out, "vilt_masked_lm", ViltForMaskedLM, dict(layer_norm_eps=1e-6, pad_token_id=7),
           of_masked_lm, ("loss", "logits"))
    record(out, "vilt_vqa", ViltForQuestionAnswering, dict(labels(7), max_image_length=200),
           of_answers, ("loss", "logits"))
    record(out, "vilt_nlvr2", ViltForImagesAndTextClassification,
           dict(labels(3), num_images=2, num_hidden_layers=1, modality_type_vocab_size=3), of_two_pictures,
           ("loss", "logits"))
    limited(out)
    record(out, "vilt_tokens", ViltForTokenClassification, dict(labels(3), hidden_act="relu"),
           of_token_labels, ("loss", "logits"))
    record(out, "vilt_embeddings", ViltForQuestionAnswering, dict(labels(5), qkv_bias=False),
           of_embeddings, ("loss", "logits"))


# --- The original's pre-training step --------------------------------------------------------

def import_original(path):
    """dandelin/ViLT's modules; what they need of Lightning and of old libraries stands in."""
    class Lightning(torch.nn.Module):
        def save_hyperparameters(self):
            config = sys._getframe(1).f_locals["config"]
            self.hparams = types.SimpleNamespace(config=config)

        device = torch.device("cpu")

        def log(self, *_):
            pass

    common.stand_in("pytorch_lightning", LightningModule=Lightning)
    common.stand_in("vilt.gadgets.my_metrics", Accuracy=None, VQAScore=None, Scalar=None)
    transformers.optimization.AdamW = torch.optim.AdamW
    sys.path.insert(0, path)
    from vilt.modules import vilt_module
    metric = lambda *_: None
    for phase in ("train", "val"):
        for loss in ("mlm_loss", "mlm_accuracy", "itm_loss", "itm_wpa_loss", "itm_accuracy"):
            setattr(Lightning, f"{phase}_{loss}", staticmethod(metric))
    vilt_module.vilt_utils.set_metrics = lambda _: None
    return vilt_module


def make_original(vilt_module, limit):
    vit = vilt_module.vit
    vit.vit_small = lambda pretrained, config: vit.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=4, mlp_ratio=2,
        config=config)
    tasks = dict.fromkeys(("itm", "mlm", "mpp", "vqa", "nlvr2", "irtr"), 0)
    return vilt_module.ViLTransformerSS(dict(
        vocab_size=60, hidden_size=32, num_layers=2, num_heads=4, mlp_ratio=2, max_text_len=12,
        drop_rate=0.1, load_path="", test_only=False, vit="vit_small", max_image_len=limit,
        loss_names={**tasks, "itm": 1, "mlm": 1})).eval()


def pretraining(out, name, vilt_module, batch, limit):
    generator = torch.Generator().manual_seed(len(name))
    torch.manual_seed(0)
    model = make_original(vilt_module, limit)
    randomize(model, generator)
    ids, mask = texts(generator, batch)
    labels = torch.where(torch.rand(ids.shape, generator=generator) < 0.4, ids, -100)
    labels[mask == 0] = -100
    hidden = torch.where(labels == -100, ids, 4)
    both, both_mask = pictures((SIZES * 3)[:batch] + list(reversed((SIZES * 3)[:batch])), generator)
    itm_labels = torch.cat([torch.ones(batch // 2), torch.zeros(batch - batch // 2)])
    order = torch.randperm(batch, generator=generator)
    step = dict(image=[both[:batch]], false_image_0=[both[batch:]], text=[""] * batch, text_ids=ids,
                text_masks=mask, text_labels=torch.full_like(ids, -100), text_ids_mlm=hidden,
                text_labels_mlm=labels)
    model.current_tasks = ["mlm", "itm"]
    with mock.patch.object(torch, "randperm", lambda _: order):
        found = model(step)
    config = ViltConfig(**{**SMALL, "intermediate_size": 64}, max_image_length=limit,
                        layer_norm_eps=1e-5)  # not what the original uses
    folder = common.fresh(out, name)
    config.architectures = ["ViltForMaskedLM"]
    config.save_pretrained(folder)
    common.save_weights(folder, model.state_dict())
    inputs = dict(input_ids=ids, attention_mask=mask, mlm_input_ids=hidden, mlm_labels=labels,
                  pixel_values=both[:batch], pixel_mask=both_mask[:batch],
                  itm_labels=itm_labels[order].long(), false_pixel_values=both[batch:],
                  false_pixel_mask=both_mask[batch:])
    outputs = dict(loss_itm=found["itm_loss"], loss_wpa=found["itm_wpa_loss"],
                   loss_mlm=found["mlm_loss"])
    save(folder, inputs, outputs, model, type(model).__name__)


if __name__ == "__main__":
    torch.set_num_threads(1)
    target = pathlib.Path(sys.argv[1])
    transformers_cases(target)
    if len(sys.argv) > 2:
        parts = import_original(sys.argv[2])
        pretraining(target, "vilt_pretraining", parts, 5, -1)
        pretraining(target, "vilt_pretraining_200", parts, 4, 200)
