#!/usr/bin/env python3
"""Makes fixtures/blip2_{opt,t5}/prompts.safetensors: what transformers' BLIP-2 writes behind 50 prompts
each, greedily and with five beams. tests/models/blip2_test.cpp compares.

Usage: blip2_prompts.py [FIXTURES], default fixtures/. The models are those that blip2.py made there.
Versions: torch 2.11.0, transformers 5.17.0, safetensors.
"""
import pathlib
import sys

import safetensors.torch
import torch
from transformers import Blip2ForConditionalGeneration

IMAGE, QUERIES, PROMPTS, END = 39, 3, 50, 7
WAYS = {"greedy": dict(max_new_tokens=12), "beams": dict(max_new_tokens=12, num_beams=5),
        # As the paper's captions are written: a least length; and its answers, which are kept short.
        "caption": dict(max_new_tokens=12, num_beams=5, min_new_tokens=8),
        "answer": dict(max_new_tokens=10, num_beams=5, min_new_tokens=1, length_penalty=-1.0)}


def prompts(generator, pad, left, longest=7):
    """Words of several lengths, the picture's places in front of them."""
    ids = torch.full((PROMPTS, QUERIES + longest), pad)
    mask = torch.zeros_like(ids)
    for row in range(PROMPTS):
        length = QUERIES + 1 + row % longest
        words = torch.randint(8, IMAGE, (length,), generator=generator)
        words[:QUERIES] = IMAGE
        at = slice(ids.shape[1] - length, None) if left else slice(0, length)
        ids[row, at], mask[row, at] = words, 1
    return ids, mask


def main():
    fixtures = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "fixtures")
    for name, pad, left in (("blip2_opt", 1, True), ("blip2_t5", 0, False)):
        folder = fixtures / name
        model = Blip2ForConditionalGeneration.from_pretrained(folder, attn_implementation="eager").eval()
        # Are these the weights that the rest of the fixture is of?
        recorded = safetensors.torch.load_file(folder / "reference.safetensors")
        inputs = {key[6:]: value for key, value in recorded.items() if key.startswith("input.")}
        with torch.no_grad():
            assert torch.allclose(model(**inputs).loss, recorded["output.loss"], rtol=1e-5), name
        generator = torch.Generator().manual_seed(50)
        ids, mask = prompts(generator, pad, left)
        pixels = torch.randn(PROMPTS, 3, 8, 8, generator=generator)
        tensors = {"input_ids": ids, "attention_mask": mask, "pixel_values": pixels}
        for way, options in WAYS.items():
            # The place of a picture is no word: nothing writes it.
            written = model.generate(input_ids=ids, attention_mask=mask, pixel_values=pixels, do_sample=False,
                                     eos_token_id=END, pad_token_id=0, **options)
            tensors["generated." + way] = written[:, 1 if name == "blip2_t5" else ids.shape[1]:].contiguous()
            lengths = (tensors["generated." + way] != 0).sum(1)
            print(name, way, "of", sorted(set(lengths.tolist())), "tokens,",
                  len({tuple(row.tolist()) for row in tensors["generated." + way]}), "different")
        safetensors.torch.save_file(tensors, folder / "prompts.safetensors")


if __name__ == "__main__":
    main()
