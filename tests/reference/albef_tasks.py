#!/usr/bin/env python3
"""Makes the fixtures albef_{retrieval,entailment,assignment,reasoning,answering}*: the original's fine-tuning models
with one training step each, in evaluation mode.

Usage: albef_tasks.py CHECKOUT [OUT], as albef.py. The class of each is called ALBEF there; the files
name it by its module, model_retrieval.ALBEF and so on. Inputs beside those of albef.py: `idx` (of the
pictures), `labels` (classes), and for answers `decoder_input_ids`, `decoder_attention_mask`, `k`
(answers of each question) and `weights`; pictures of a pair stand one batch behind the other. Of the
text assignment: `first` and `second`, the rows of the pictures that each text was shown with.
"""
import json
import pathlib
import sys
import tempfile
import types

import torch

import albef
import common

# As in albef.py; the layers of reasoning (18) and of the decoder (6) are fixed in the original.
CASES = {
    "albef_retrieval": dict(module="model_retrieval", vision=(12, 1, 2), text=(8, 2, 2, 16, 1),
                            image=8, patch=4, embed=6, queue=8, pointer=4, temp=0.9, alpha=0.4,
                            momentum=0.8, batch=4, distill=True),
    "albef_retrieval_plain": dict(module="model_retrieval", vision=(12, 1, 2), text=(8, 2, 2, 16, 1),
                                  image=8, patch=4, embed=6, queue=8, pointer=0, temp=0.1, alpha=0.4,
                                  momentum=0.8, batch=4, distill=False),
    "albef_entailment": dict(module="model_ve", vision=(12, 1, 2), text=(8, 3, 2, 16, 1), image=8,
                             patch=4, embed=6, queue=8, pointer=0, temp=0.1, alpha=0.3, momentum=0.5,
                             batch=3, distill=True, classes=3),
    "albef_entailment_plain": dict(module="model_ve", vision=(12, 1, 2), text=(8, 2, 2, 16, 1),
                                   image=8, patch=4, embed=6, queue=8, pointer=0, temp=0.1, alpha=0.3,
                                   momentum=0.5, batch=3, distill=False, classes=3),
    "albef_reasoning": dict(module="model_nlvr", vision=(12, 1, 2), text=(8, 12, 2, 12, 6), image=8,
                            patch=4, embed=6, queue=8, pointer=0, temp=0.1, alpha=0.3, momentum=0.5,
                            batch=3, distill=True, classes=2),
    "albef_assignment": dict(module="model_pretrain_nlvr", vision=(12, 1, 2), text=(8, 12, 2, 12, 6),
                             image=8, patch=4, embed=6, queue=8, pointer=0, temp=0.1, alpha=0.3,
                             momentum=0.5, batch=5, distill=True),
    "albef_answering": dict(module="model_vqa", vision=(12, 1, 2), text=(12, 2, 3, 16, 1), image=8,
                            patch=4, embed=6, queue=8, pointer=0, temp=0.1, alpha=0.3, momentum=0.5,
                            batch=3, distill=True),
    "albef_answering_plain": dict(module="model_vqa", vision=(12, 1, 2), text=(12, 2, 3, 16, 1),
                                  image=8, patch=4, embed=6, queue=8, pointer=0, temp=0.1, alpha=0.3,
                                  momentum=0.5, batch=3, distill=False),
}


def build(module, config):
    vit = module.VisionTransformer

    def small_vit(**kw):
        kw.update(patch_size=config["patch_size"], embed_dim=config["vision_width"],
                  depth=config["vision_depth"], num_heads=config["vision_heads"])
        return vit(**kw)

    module.VisionTransformer = small_vit
    module.concat_all_gather = lambda tensor: tensor
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(config["bert_config"], file)
        file.flush()
        tokenizer = types.SimpleNamespace(pad_token_id=config["bert_config"]["pad_token_id"])
        model = module.ALBEF(tokenizer=tokenizer, config=dict(config, bert_config=file.name))
    module.VisionTransformer = vit
    for name in ("text_decoder", "text_decoder_m"):
        if hasattr(model, name):
            text = getattr(model, name)
            text.cls.predictions.decoder.weight = text.bert.embeddings.word_embeddings.weight
    return model.eval()


def retrieve(model, case, image, text, _):
    idx = torch.tensor([7, 3, 7, 9][:case["batch"]])
    with common.Draws() as draws:
        itc, itm = model(image, text, case["alpha"], idx)
    return ({"idx": idx, "alpha": torch.tensor(case["alpha"]), **draws.negatives(image.size(0))},
            {"loss_itc": itc, "loss_itm": itm})


def classify(model, case, image, text, generator):
    labels = torch.randint(0, case["classes"], (case["batch"],), generator=generator)
    logits = model(image, text, labels, train=False)
    loss = model(image, text, labels, alpha=case["alpha"], train=True)
    return ({"labels": labels, "alpha": torch.tensor(case["alpha"])},
            {"logits": logits, "loss": loss})


def assign(model, case, image, text, _):
    """What each text was shown with, put together from the draws in their order."""
    cross_entropy, multinomial = torch.nn.functional.cross_entropy, torch.multinomial
    draws, weights, seen = [], [], {}

    def drawn(row, count):
        weights.append(row)
        draws.append(multinomial(row, count))
        return draws[-1]

    def compared(logits, labels):
        seen.update(logits=logits, labels=labels)
        return cross_entropy(logits, labels)

    torch.multinomial, torch.nn.functional.cross_entropy = drawn, compared
    seed = 0
    try:
        while set(seen.get("labels", torch.zeros(0)).tolist()) != {0, 1, 2}:  # each of the three
            del draws[:], weights[:]
            torch.manual_seed(seed)
            seed += 1
            loss = model(image, text)
    finally:
        torch.multinomial, torch.nn.functional.cross_entropy = multinomial, cross_entropy
    first, second = [], []
    for row, (label, draw) in enumerate(zip(seen["labels"].tolist(), draws)):
        assert draw.numel() == (2 if label == 2 else 1)
        first.append(row if label == 0 else draw[0].item())
        second.append(row if label == 1 else draw[-1].item())
    return ({"first": torch.tensor(first), "second": torch.tensor(second), "labels": seen["labels"]},
            {"logits": seen["logits"], "loss": loss, "likeness": torch.stack(weights)})


def answer(model, case, image, text, generator):
    counts = [2, 1, 3]
    ids = torch.randint(4, albef.VOCABULARY, (sum(counts), 6), generator=generator)
    ids[:, 0] = albef.CLS
    mask = torch.ones_like(ids)
    for row, length in enumerate([6, 3, 4, 5, 2, 6]):
        ids[row, length:] = 0
        mask[row, length:] = 0
    weights = torch.rand(sum(counts), generator=generator)
    answers = types.SimpleNamespace(input_ids=ids, attention_mask=mask)
    loss = model(image, text, answers, alpha=case["alpha"], k=counts, weights=weights, train=True)
    return ({"decoder_input_ids": ids, "decoder_attention_mask": mask,
             "k": torch.tensor(counts), "weights": weights,
             "alpha": torch.tensor(case["alpha"])}, {"loss": loss})


STEPS = {"model_retrieval": retrieve, "model_ve": classify, "model_nlvr": classify,
         "model_vqa": answer, "model_pretrain_nlvr": assign}


def make(modules, name, case, out):
    torch.manual_seed(len(name))
    generator = torch.Generator().manual_seed(len(name))
    config = dict(albef.config_of(case), architectures=[case["module"] + ".ALBEF"],
                  distill=case["distill"])
    model = build(modules[case["module"]], config)
    if hasattr(model, "idx_queue"):  # pictures of the batch that were seen before
        model.idx_queue[0, 1], model.idx_queue[0, 6] = 3, 7
    else:
        model.image_queue = model.text_queue = torch.zeros(0, 0)
        model.queue_ptr = torch.zeros(1)
    albef.randomize(model, case, generator)
    image, text = albef.make_inputs(config, case, generator)
    if case["module"] == "model_nlvr":
        image = torch.cat([image, torch.randn(image.shape, generator=generator)])
    folder = common.fresh(out, name)
    common.write_config(folder, config)
    common.save_weights(folder, model.state_dict())
    more, outputs = STEPS[case["module"]](model, case, image, text, generator)
    sum(v for k, v in outputs.items() if k.startswith("loss")).backward()
    tensors = {"input.pixel_values": image, "input.input_ids": text.input_ids,
               "input.attention_mask": text.attention_mask}
    tensors.update({"input." + k: v for k, v in more.items()})
    tensors.update({"output." + k: v for k, v in outputs.items()})
    tensors.update(common.gradients(model, frozen=False))
    for key, value in model.state_dict().items():
        wanted = "_m." in key and "bias" in key and "position" not in key
        if wanted or key in ("temp", "image_queue", "text_queue", "idx_queue", "queue_ptr"):
            tensors["output.state." + key] = value
    albef.save(folder, tensors, config["architectures"][0], common.losses_told(outputs),
               aliases=json.dumps(common.aliases_of(model)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    albef.load_original(pathlib.Path(sys.argv[1]))
    from models import model_nlvr, model_pretrain_nlvr, model_retrieval, model_ve, model_vqa
    modules = dict(model_nlvr=model_nlvr, model_retrieval=model_retrieval, model_ve=model_ve,
                   model_vqa=model_vqa, model_pretrain_nlvr=model_pretrain_nlvr)
    out = common.out_folder(2)
    for name, case in CASES.items():
        make(modules, name, case, out)
