#!/usr/bin/env python3
"""Makes the fixtures albef_*: small random models of the original code with one training step.

Usage: albef.py CHECKOUT [OUT], default fixtures/. CHECKOUT: salesforce/ALBEF at b9727e4, which runs
unchanged: what it imports from transformers 4 and what downloads is put in its place here.
Versions: torch 2.11.0, transformers 5.17.0, timm 1.0.31, safetensors.

Biases are not zero, embeddings small and momentum copies different, so that a wrong eps, activation
or order of operations shows. Random choices are recorded as inputs.
"""
import json
import pathlib
import sys
import tempfile
import types

import torch

import common

CLS, MASK = 1, 2


def load_original(checkout):
    common.transformers_4()
    sys.path.insert(0, str(checkout))
    from models import model_pretrain
    return model_pretrain


# fusion layers, widths, heads, norms, temperature, alpha, queue and its pointer.
CASES = {
    # As released, but small: half of the layers fuse; all tensors of the state.
    "albef_half": dict(vision=(16, 2, 4), text=(12, 4, 3, 20, 2), image=16, patch=8, embed=8,
                       queue=12, pointer=4, temp=0.07, alpha=0.4, momentum=0.9, batch=4),
    # Temperature below its bound, no distillation, one text layer, norms far from BERT's, many
    # heads in the picture and few in the text; the last block of the queue.
    "albef_cold": dict(vision=(24, 1, 6), text=(16, 3, 2, 40, 1), image=20, patch=8, embed=6,
                       queue=9, pointer=6, temp=0.0004, alpha=0.0, momentum=0.5, batch=3,
                       eps=1e-5, aliases=False),
    # Temperature above its bound, three text layers and one that fuses, [PAD] in plain sight.
    "albef_hot": dict(vision=(8, 2, 1), text=(20, 4, 5, 24, 3), image=24, patch=12, embed=10,
                      queue=20, pointer=15, temp=0.9, alpha=0.25, momentum=0.995, batch=5,
                      pad=3, types=3),
    # No text layer: what is contrasted is the embedding of [CLS].
    "albef_all_fuse": dict(vision=(16, 1, 2), text=(12, 2, 2, 24, 0), image=8, patch=4, embed=8,
                           queue=8, pointer=0, temp=0.2, alpha=1.0, momentum=0.7, batch=2),
    # No layer that fuses: matching sees the text alone.
    "albef_none_fuses": dict(vision=(12, 1, 3), text=(12, 2, 4, 24, 2), image=8, patch=4, embed=8,
                             queue=6, pointer=3, temp=0.1, alpha=0.4, momentum=0.7, batch=3,
                             act="gelu_new"),
    # Three steps on: the queue goes round, the copies follow parameters that stand still.
    "albef_steps": dict(vision=(8, 1, 2), text=(8, 5, 2, 16, 1), image=8, patch=4, embed=6,
                        queue=6, pointer=3, temp=0.07, alpha=0.4, momentum=0.8, batch=3, more=2),
}
VOCABULARY, POSITIONS = 40, 11


def config_of(case):
    width, depth, heads = case["vision"]
    hidden, layers, text_heads, intermediate, fusion = case["text"]
    bert = dict(hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=text_heads,
                intermediate_size=intermediate, vocab_size=VOCABULARY,
                max_position_embeddings=POSITIONS, type_vocab_size=case.get("types", 2),
                layer_norm_eps=case.get("eps", 1e-12), pad_token_id=case.get("pad", 0),
                fusion_layer=fusion, encoder_width=width, hidden_act=case.get("act", "gelu"),
                hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1)
    return dict(architectures=["ALBEF"], image_res=case["image"], patch_size=case["patch"],
                vision_width=width, vision_depth=depth, vision_heads=heads, embed_dim=case["embed"],
                queue_size=case["queue"], momentum=case["momentum"], alpha=case["alpha"],
                temp=case["temp"], mlm_probability=0.4, bert_config=bert)


def build(original, config):
    vit = original.VisionTransformer

    def small_vit(**kw):
        kw.update(patch_size=config["patch_size"], embed_dim=config["vision_width"],
                  depth=config["vision_depth"], num_heads=config["vision_heads"])
        return vit(**kw)

    original.VisionTransformer = small_vit
    original.concat_all_gather = lambda tensor: tensor  # one process
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(config["bert_config"], file)
        file.flush()
        tokenizer = types.SimpleNamespace(pad_token_id=config["bert_config"]["pad_token_id"],
                                          cls_token_id=CLS, mask_token_id=MASK)
        model = original.ALBEF(tokenizer=tokenizer, config=dict(config, bert_config=file.name),
                               init_deit=False)
    original.VisionTransformer = vit
    for text in (model.text_encoder, model.text_encoder_m):  # as from_pretrained does
        text.cls.predictions.decoder.weight = text.bert.embeddings.word_embeddings.weight
    return model.eval()


def randomize(model, case, generator):
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if name == "temp":
                p.fill_(case["temp"])
            elif "norm" in name.lower():
                p.copy_(noise * 0.2 + (1 if name.endswith("weight") else 0))
            elif "embeddings" in name or "pos_embed" in name or "cls_token" in name:
                p.copy_(noise * 0.02)
            else:
                p.copy_(noise * (0.3 if name.endswith("bias") else 1.5 / p.shape[-1] ** 0.5))
        for queue in (model.image_queue, model.text_queue):
            fresh = torch.randn(queue.shape, generator=generator)
            queue.copy_(fresh / fresh.norm(dim=0))
        model.queue_ptr[0] = case["pointer"]


def make_inputs(config, case, generator):
    batch, pad = case["batch"], config["bert_config"]["pad_token_id"]
    lengths = [9 - 2 * (row % 4) for row in range(batch)]  # [CLS] and at least two words
    ids = torch.randint(4, VOCABULARY, (batch, max(lengths)), generator=generator)
    ids[:, 0] = CLS
    mask = torch.ones_like(ids)
    for row, length in enumerate(lengths):
        ids[row, length:] = pad
        mask[row, length:] = 0
        if "pad" in case:
            ids[row, 1] = pad  # a token like others, but for the gradient of its embedding
    image = torch.randn(batch, 3, case["image"], case["image"], generator=generator)
    return image, types.SimpleNamespace(input_ids=ids, attention_mask=mask)


class Recorder:
    """The random choices of a step, as they are drawn."""

    def __init__(self, model):
        self.model, self.draws, self.masked = model, [], None
        self.multinomial, self.mask = torch.multinomial, model.mask

    def __enter__(self):
        def multinomial(weights, count):
            if weights.sum() == 0:  # the original would stop here
                weights = torch.ones_like(weights)
                weights[len(self.draws) % len(weights)] = 0
            drawn = self.multinomial(weights, count)
            self.draws.append(drawn.item())
            return drawn

        def mask(*arguments, **named):
            ids, labels = self.mask(*arguments, **named)
            if not (labels != -100).any():
                raise RuntimeError("nothing was hidden: another seed")
            self.masked = ids.clone(), labels.clone()
            return ids, labels

        torch.multinomial, self.model.mask = multinomial, mask
        return self

    def __exit__(self, *_):
        torch.multinomial, self.model.mask = self.multinomial, self.mask


def step(model, image, text, alpha):
    """The inputs with their choices, and the losses."""
    with Recorder(model) as recorder:
        mlm, itc, itm = model(image, text, alpha=alpha)
    batch = image.size(0)
    inputs = {"pixel_values": image, "input_ids": text.input_ids,
              "attention_mask": text.attention_mask, "alpha": torch.tensor(alpha),
              "itm_neg_image_idx": torch.tensor(recorder.draws[:batch]),
              "itm_neg_text_idx": torch.tensor(recorder.draws[batch:]),
              "mlm_input_ids": recorder.masked[0], "mlm_labels": recorder.masked[1]}
    return inputs, {"loss_itc": itc, "loss_itm": itm, "loss_mlm": mlm}


def grad_cam(model, image, text):
    """Grounding.py's map for the third layer that fuses, with the mask of each text."""
    bert = model.text_encoder.bert
    layers = bert.encoder.layer
    chosen = layers[min(bert.config.fusion_layer + 2, len(layers) - 1)].crossattention.self
    chosen.save_attention = True
    rows = model.visual_encoder(image)
    fused = bert(text.input_ids, attention_mask=text.attention_mask, encoder_hidden_states=rows,
                 encoder_attention_mask=torch.ones(rows.shape[:-1]), return_dict=True)
    model.zero_grad()
    model.itm_head(fused.last_hidden_state[:, 0])[:, 1].sum().backward()
    chosen.save_attention = False
    mask = text.attention_mask[:, None, :, None]
    cam = chosen.get_attention_map().detach()[..., 1:] * mask
    slope = chosen.get_attn_gradients().detach()[..., 1:].clamp(min=0) * mask
    side = int(cam.shape[-1] ** 0.5)
    return (cam * slope).mean(1).mean(1).view(-1, side, side)


def state_of(model):
    state = {k: v for k, v in model.state_dict().items() if "position_ids" not in k}
    return {k: v for k, v in state.items()
            if k in ("temp", "image_queue", "text_queue", "queue_ptr") or "_m." in k}


def make(original, name, case, out):
    torch.manual_seed(len(name))
    generator = torch.Generator().manual_seed(len(name))
    config = config_of(case)
    model = build(original, config)
    randomize(model, case, generator)
    folder = common.fresh(out, name)
    common.write_config(folder, config)
    aliases = common.aliases_of(model)
    with_aliases = case.get("aliases", True)  # a file may hold tied weights once or twice
    common.save_weights(folder, {k: v for k, v in model.state_dict().items()
                                 if with_aliases or k not in aliases})

    image, text = make_inputs(config, case, generator)
    inputs, losses = step(model, image, text, case["alpha"])
    told = common.losses_told(losses)
    sum(losses.values()).backward()
    tensors = {"input." + k: v for k, v in inputs.items()}
    tensors.update({"output." + k: v for k, v in losses.items()})
    tensors.update(common.gradients(model, frozen=False))
    state = state_of(model)
    for key, value in state.items():
        if "_m." not in key or name in ("albef_half", "albef_steps") or "bias" in key:
            tensors["output.state." + key] = value
    tensors = common.copies(tensors)
    if config["bert_config"]["fusion_layer"] < config["bert_config"]["num_hidden_layers"]:
        tensors["extra.grad_cam"] = grad_cam(model, image, text)
    for more in range(case.get("more", 0)):
        image, text = make_inputs(config, case, generator)
        inputs, losses = step(model, image, text, case["alpha"])
        tensors.update({f"extra.{more}.input." + k: v for k, v in inputs.items()})
        tensors.update({f"extra.{more}.output." + k: v for k, v in losses.items()})
        tensors.update({f"extra.{more}.output.state." + k: v.clone()
                        for k, v in state_of(model).items()})
    more = {"aliases": json.dumps(aliases)} if with_aliases else {}
    save(folder, tensors, "ALBEF", told, **more)


def save(folder, tensors, model_class, told, **metadata):
    common.save_reference(folder, tensors, model_class, (told,), 700_000,
                          original="salesforce/ALBEF b9727e4", **metadata)


if __name__ == "__main__":
    torch.set_num_threads(1)
    original = load_original(pathlib.Path(sys.argv[1]))
    out = common.out_folder(2)
    for name, case in CASES.items():
        make(original, name, case, out)
