#!/usr/bin/env python3
"""Makes the fixtures vlmo_*: small random VLMos of microsoft/unilm with the losses of one step.

Versions: torch 2.11.0, transformers 5.17.0, safetensors; unilm's folder vlmo at 768a3c8.
Usage: vlmo.py UNILM_VLMO [OUT], where UNILM_VLMO holds the package `vlmo`; OUT by default fixtures/.
Everything that the package imports and these losses do not need is replaced by stand-ins; its
BertEmbeddings is that of transformers 4, which knew position_embedding_type.
"""
import math
import sys
import types

import torch
import torch.nn as nn
from transformers.models.bert import modeling_bert

import common


class Embeddings(nn.Module):
    """Word + type 0 (+ position), norm, dropout; position_ids is a buffer, as it was."""

    def __init__(self, config):
        super().__init__()
        width = config.hidden_size
        self.word_embeddings = nn.Embedding(config.vocab_size, width, padding_idx=0)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, width)
        self.token_type_embeddings = nn.Embedding(2, width)
        self.LayerNorm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.register_buffer("position_ids", torch.arange(config.max_position_embeddings)[None])
        self.absolute = config.position_embedding_type == "absolute"

    def forward(self, ids):
        x = self.word_embeddings(ids) + self.token_type_embeddings(torch.zeros_like(ids))
        if self.absolute:
            x = x + self.position_embeddings(self.position_ids[:, :ids.shape[1]])
        return self.dropout(self.LayerNorm(x))


class Lightning(nn.Module):
    device = torch.device("cpu")
    wanted = None  # the config of the model that is being made

    def save_hyperparameters(self):
        self.hparams = types.SimpleNamespace(config=Lightning.wanted)

    def log(self, *unused):
        pass

    def __getattr__(self, name):
        if name.startswith(("val_", "train_")):  # metrics
            return lambda *unused: 0
        return super().__getattr__(name)


def stand_ins():
    from timm.layers import DropPath, to_2tuple, trunc_normal_
    nothing = lambda *unused, **also: None
    common.stand_in("pytorch_lightning", LightningModule=Lightning)
    common.stand_in("pytorch_lightning.utilities")
    common.stand_in("pytorch_lightning.utilities.distributed", rank_zero_info=nothing)
    common.stand_in("timm.models.layers", DropPath=DropPath, to_2tuple=to_2tuple,
                    trunc_normal_=trunc_normal_)
    common.stand_in("timm.models.registry", register_model=lambda f: f)
    common.stand_in("timm.models", create_model=lambda make, **given: make(**given))
    common.stand_in("vlmo.modules.vlmo_utils", set_metrics=nothing)
    for name, members in {"scipy": {"interpolate": None}, "tqdm": {},
                          "einops": {"rearrange": None}}.items():
        common.stand_in(name, **members)
    modeling_bert.BertEmbeddings = Embeddings
    torch.Tensor.get_device = lambda self: self.device  # -1 on a CPU is no device


# depth, first joint layer, heads, width, MLP ratio; picture, patch; tokens, longest text; LayerScale
# or None, positions added, relative positions. `losses`: those that are recorded.
ALL = ("itc", "itm", "mlm")
CASES = {
    # As released (base): relative positions, LayerScale, texts shorter than the longest.
    "vlmo_base": dict(depth=4, start=2, heads=2, width=16, ratio=4.0, image=32, patch=16, text=7,
                      longest=12, scale=0.1, absolute=False, relative=True,
                      losses=ALL + ("textmlm",)),
    # As released (base plus): tables of positions, no bias, no LayerScale, a head of 5 numbers.
    "vlmo_base_plus": dict(depth=4, start=3, heads=3, width=15, ratio=3.0, image=24, patch=8,
                           text=6, longest=12, scale=None, absolute=True, relative=False,
                           losses=ALL),
    # The released table (196 words), a grid of 3 x 3 that leaves pixels over, an MLP ratio that is
    # no whole number. The indices are in the file, as in released ones.
    "vlmo_grid": dict(depth=3, start=1, heads=4, width=16, ratio=2.3, image=26, patch=8, text=5,
                      longest=196, scale=0.3, absolute=False, relative=True, losses=ALL,
                      indices=True),
    # No joint expert: every layer splits a pair, and both paths of the contrast are one.
    "vlmo_no_joint": dict(depth=3, start=3, heads=2, width=16, ratio=2.0, image=16, patch=8,
                          text=8, longest=8, scale=0.2, absolute=False, relative=True, losses=ALL),
    # A joint expert in every layer; both kinds of positions, no LayerScale.
    "vlmo_all_joint": dict(depth=2, start=0, heads=2, width=16, ratio=2.0, image=16, patch=8,
                           text=5, longest=9, scale=None, absolute=True, relative=True,
                           losses=ALL),
    # The language stage: text alone. Its start is overwritten with the depth and no other head is
    # there.
    "vlmo_language": dict(depth=3, start=1, heads=2, width=16, ratio=4.0, image=32, patch=8,
                          text=12, longest=12, scale=0.1, absolute=False, relative=True,
                          losses=("textmlm",)),
    # The same without relative positions: texts get a table.
    "vlmo_language_plus": dict(depth=2, start=1, heads=2, width=16, ratio=4.0, image=16, patch=8,
                               text=9, longest=20, scale=None, absolute=True, relative=False,
                               losses=("textmlm",)),
}
VOCAB = 60
TASKS = ("itm", "itc", "mlm", "textmlm", "irtr", "vqa", "nlvr2")


def make_model(case):
    from vlmo.modules.multiway_transformer import MultiWayTransformer
    from vlmo.modules.vlmo_module import VLMo

    def backbone(img_size, config, **unused):
        return MultiWayTransformer(
            img_size=img_size, patch_size=case["patch"], embed_dim=case["width"],
            depth=case["depth"], num_heads=case["heads"], mlp_ratio=case["ratio"], qkv_bias=True,
            vlffn_start_layer_index=case["start"], use_abs_pos_emb=case["absolute"],
            need_relative_position_embed=case["relative"],
            layer_scale_init_values=case["scale"], config=config)

    names = {t: 0 for t in TASKS}
    alone = case["losses"] == ("textmlm",)
    names.update({t: 1 for t in case["losses"] if alone or t != "textmlm"})
    config = dict(image_size=case["image"], model_arch=backbone, drop_path_rate=0.1,
                  max_text_len=case["text"], max_text_len_of_initckpt=case["longest"],
                  vocab_size=VOCAB, loss_names=names, load_path="", test_only=False)
    Lightning.wanted = config
    return VLMo(config)


def randomize(model, generator):
    """Embeddings are small and norms' inputs with them, so that a wrong eps shows; the table of
    relative positions is not, so that a wrong index does."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if "scale" in name:
                p.fill_(1.7 if name == "logit_scale" else 2.2)
            elif "gamma" in name:
                p.copy_(0.6 + noise * 0.2)
            elif name == "relative_position_bias_table":
                p.copy_(noise)
            elif "norm" in name.lower():
                p.copy_(noise * 0.2 + (1 if name.endswith("weight") else 0))
            elif "embeddings" in name or name.endswith(("pos_embed", "cls_token")):
                p.copy_(noise * 0.02)
            elif "patch_embed" in name:
                p.copy_(noise * 0.003)
            else:
                p.copy_(noise * (0.3 if name.endswith("bias") else 1.5 / p.shape[-1] ** 0.5))


def make_inputs(case, generator, batch=4):
    length = case["text"]
    ids = torch.randint(5, VOCAB, (batch, length), generator=generator)
    ids[0, 2] = 0  # the padding's word in the middle of a text: its row gets no gradient
    mask = torch.ones(batch, length, dtype=torch.long)
    for row in range(1, batch):  # of different lengths
        mask[row, max(2, length - row):] = 0
    ids = ids * mask
    labels = torch.full((batch, length), -100)
    masked = ids.clone()
    for row in range(batch):
        at = 1 + row % 2
        labels[row, at] = ids[row, at]
        masked[row, at] = 4
    labels[0, 3], masked[0, 3] = ids[0, 3], 9
    inputs = {"mlm_input_ids": masked, "mlm_labels": labels, "attention_mask": mask}
    if case["losses"] != ("textmlm",):
        inputs.update(
            input_ids=ids,
            pixel_values=torch.randn(batch, 3, case["image"], case["image"], generator=generator),
            itm_neg_image_idx=torch.tensor([2, 2, 1, 0]), itm_neg_text_idx=torch.tensor([3, 0, 0, 1]))
    return inputs


def losses_of(model, case, inputs):
    batch = {"text_ids_mlm": inputs["mlm_input_ids"], "text_labels_mlm": inputs["mlm_labels"],
             "text_masks": inputs["attention_mask"]}
    model.current_tasks = [t for t in case["losses"] if t != "textmlm"]
    losses = {}
    if model.current_tasks:
        batch.update(text_ids=inputs["input_ids"], text_labels=inputs["mlm_labels"],
                     image=[inputs["pixel_values"]])
        draws = torch.cat([inputs["itm_neg_image_idx"], inputs["itm_neg_text_idx"]])
        chosen = iter(draws)
        drawn = torch.multinomial
        torch.multinomial = lambda weights, count: next(chosen)
        found = model(batch)
        torch.multinomial = drawn
        losses = {f"loss_{t}": found[f"{t}_loss"] for t in ALL}
    if "textmlm" in case["losses"]:
        model.current_tasks = ["textmlm"]
        losses["loss_text_mlm"] = model(batch)["mlm_loss"]
    return losses


def config_json(case):
    return dict(architectures=["VLMo"], img_size=case["image"], patch_size=case["patch"],
                embed_dim=case["width"], depth=case["depth"], num_heads=case["heads"],
                mlp_ratio=case["ratio"], vlffn_start_layer_index=case["start"],
                max_text_len=case["text"], max_text_len_of_initckpt=case["longest"],
                vocab_size=VOCAB, layer_scale_init_values=case["scale"],
                use_abs_pos_emb=case["absolute"], need_relative_position_embed=case["relative"],
                drop_path_rate=0.1)


def make(name, case, out):
    generator = torch.Generator().manual_seed(len(name))
    model = make_model(case).eval()
    randomize(model, generator)
    inputs = make_inputs(case, generator)
    losses = losses_of(model, case, inputs)
    sum(losses.values()).backward()
    tensors = {"input." + k: v for k, v in inputs.items()}
    tensors.update({"output." + k: v for k, v in losses.items()})
    tensors.update(common.gradients(model))
    folder = common.fresh(out, name)
    weights = dict(model.state_dict())
    if case.get("indices"):
        for index in ("relative_position_index", "text_relative_position_index",
                      "text_imag_relative_position_index"):
            weights[index] = getattr(model, index).long()
    common.save_weights(folder, weights)
    common.write_config(folder, config_json(case))
    common.save_reference(folder, tensors, "VLMo", (common.losses_told(losses, 5),), 700_000)
    assert all(math.isfinite(float(v.detach())) for v in losses.values())


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    torch.set_num_threads(1)
    common.one_process()
    stand_ins()
    out = common.out_folder(2)
    for name, case in CASES.items():
        make(name, case, out)
