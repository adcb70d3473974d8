#!/usr/bin/env python3
"""Does transformers load what we export, and does it compute the same? Not part of the tests' run.

check_export.py TANDEM MODEL_DIR: loads MODEL_DIR with CLIPModel.from_pretrained (no key missing, no
key left over), records what it computes with random inputs, and lets `TANDEM verify` compare. Where
the directory holds a tokenizer, CLIPProcessor must load as well.
"""
import pathlib
import subprocess
import sys
import tempfile

import torch
from transformers import CLIPModel, CLIPProcessor

from clip import record


def main(tandem, directory):
    model, info = CLIPModel.from_pretrained(directory, attn_implementation="eager",
                                            output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not info[kind], (kind, info[kind])
    text, vision = model.config.text_config, model.config.vision_config
    generator = torch.Generator().manual_seed(1)
    length = min(12, text.max_position_embeddings)
    end = text.eos_token_id if text.eos_token_id != 2 else text.vocab_size - 1
    ids = torch.randint(0, text.vocab_size, (5, length), generator=generator)
    ids[ids == end] = 0
    for row in range(5):
        ids[row, length - 1 - row] = end
    size = vision.image_size
    inputs = {"input_ids": ids, "pixel_values": torch.randn(5, 3, size, size, generator=generator)}
    with tempfile.TemporaryDirectory() as folder:
        reference = pathlib.Path(folder) / "reference.safetensors"
        record(model, inputs, reference)
        code = subprocess.run([tandem, "verify", directory, str(reference)], check=False).returncode
    if (pathlib.Path(directory) / "tokenizer.json").exists():
        processor = CLIPProcessor.from_pretrained(directory)
        print("processor:", processor.tokenizer("a red square")["input_ids"])
    print("equal" if code == 0 else f"different: {code}")
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
