#!/usr/bin/env python3
"""Does transformers load what we export, and does it compute the same?

check_export.py TANDEM MODEL_DIR: loads MODEL_DIR with the class that its config.json names (no key
missing, none left over, none of another shape), records what it computes with random inputs (texts
and, where the class takes them, pictures of different sizes), and lets `TANDEM verify` compare.
Where the directory holds a tokenizer, it must load as well. Runs in the environment of
scripts/setup_bench; tests/end_to_end/exports_test.py calls it.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers

import common

BATCH = 4


def texts(generator, words, length, low=5):
    """Ragged, ending behind rows of one length less each."""
    ids = torch.randint(low, words, (BATCH, length), generator=generator)
    mask = torch.ones_like(ids)
    for row in range(1, BATCH):
        mask[row, length - row:] = 0
    return ids * mask, mask


def squares(generator, side):
    return torch.randn(BATCH, 3, side, side, generator=generator)


def ragged(generator, patch, most):
    """Pictures of different sizes with their masks, of at most `most` patches."""
    wide = max(2, min(4, most // 2))
    sizes = [(2, wide), (2, 1), (1, wide), (2, 2)]
    pixels = torch.zeros(BATCH, 3, 2 * patch, wide * patch)
    mask = torch.zeros(BATCH, 2 * patch, wide * patch, dtype=torch.long)
    for row, (h, w) in enumerate(sizes):
        pixels[row, :, :h * patch, :w * patch] = torch.randn(3, h * patch, w * patch,
                                                             generator=generator)
        mask[row, :h * patch, :w * patch] = 1
    return dict(pixel_values=pixels, pixel_mask=mask)


def of_clip(c, g):
    text = c.text_config
    length = min(12, text.max_position_embeddings)
    end = text.eos_token_id if text.eos_token_id != 2 else text.vocab_size - 1
    ids = torch.randint(0, text.vocab_size, (BATCH, length), generator=g)
    ids[ids == end] = 0
    for row in range(BATCH):
        ids[row, length - 1 - row] = end
    return dict(input_ids=ids, pixel_values=squares(g, c.vision_config.image_size))


def of_vilt(c, g):
    ids, mask = texts(g, c.vocab_size, min(10, c.max_position_embeddings))
    pictures = ragged(g, c.patch_size, c.max_image_length if c.max_image_length > 0 else 8)
    if c.num_images == 2:
        other = ragged(g, c.patch_size, c.max_image_length)
        pictures = {k: torch.stack([v, other[k].flip(0)], 1) for k, v in pictures.items()}
    return dict(input_ids=ids, attention_mask=mask, **pictures)


def of_blip(c, g, **more):
    ids, mask = texts(g, c.text_config.vocab_size, 8)
    return dict(input_ids=ids, attention_mask=mask,
                pixel_values=squares(g, c.vision_config.image_size), **more)


def of_answers(c, g):
    answer, answer_mask = texts(g, c.text_config.vocab_size, 5)
    labels = answer.masked_fill(answer_mask == 0, -100)
    answer[:, 0] = c.text_config.bos_token_id
    return dict(of_blip(c, g), decoder_input_ids=answer, decoder_attention_mask=answer_mask,
                labels=labels)


def of_caption(c, g):
    inputs = of_blip(c, g)
    return dict(inputs, labels=inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100))


# class: how its inputs are made, what is compared.
CLASSES = {
    "CLIPModel": (of_clip, ("logits_per_image", "logits_per_text", "text_embeds", "image_embeds")),
    "ViltForMaskedLM": (of_vilt, ("logits",)),
    "ViltForQuestionAnswering": (of_vilt, ("logits",)),
    "ViltForImagesAndTextClassification": (of_vilt, ("logits",)),
    "ViltForImageAndTextRetrieval": (of_vilt, ("logits",)),
    "BlipForConditionalGeneration": (of_caption, ("loss", "logits")),
    "BlipForQuestionAnswering": (of_answers, ("loss",)),
    "BlipForImageTextRetrieval": (of_blip, ("itm_score",)),
}


def main(tandem, directory):
    directory = pathlib.Path(directory)
    name = json.loads((directory / "config.json").read_text())["architectures"][0]
    make_inputs, names = CLASSES[name]
    model, info = getattr(transformers, name).from_pretrained(
        directory, attn_implementation="eager", output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not info[kind], (kind, info[kind])
    inputs = make_inputs(model.config, torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = model.eval()(**inputs)
    tensors = {"input." + k: v for k, v in inputs.items()}
    tensors.update({"output." + k: found[k] for k in names})
    assert all(t.isfinite().all() for k, t in tensors.items() if k.startswith("output."))
    with tempfile.TemporaryDirectory() as folder:
        common.save_reference(pathlib.Path(folder), tensors, name)
        code = subprocess.run([tandem, "verify", directory, pathlib.Path(folder) / "reference.safetensors"],
                              check=False).returncode
    if (directory / "tokenizer.json").exists():
        ids = transformers.PreTrainedTokenizerFast(
            tokenizer_file=str(directory / "tokenizer.json"))("a red square")["input_ids"]
        assert 3 <= len(ids) and max(ids) < (getattr(model.config, "vocab_size", 0)
                                             or model.config.text_config.vocab_size)
    print(name, "equal" if code == 0 else f"different: {code}")
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
