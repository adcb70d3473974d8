#!/usr/bin/env python3
"""Makes patches/: small PNGs and what transformers' image processor of Qwen2-VL makes of them.

Usage: patches.py [OUT], in the environment of `scripts/setup_reference transformers` (transformers
5.17.0, Pillow 13.0.0). OUT: default patches/ beside this file.

NAME.png, and in reference.safetensors NAME.pixel_values [P, 3 x 2 x patch x patch], NAME.grid [3] and
NAME.settings [4]: patch, merge, least and most pixels. Sides are odd, so that all are resized: up,
down, and with other proportions. The class that resizes with Pillow, as the released one did; that of
torchvision rounds otherwise.
"""
import pathlib
import random
import sys

import torch
from PIL import Image
from safetensors.torch import save_file
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

# (mode, width, height, patch, least and most pixels)
CASES = {
    "near": ("RGB", 37, 53, 4, 64, 4096),        # to the nearest cells
    "shrunk": ("RGB", 91, 67, 4, 64, 1500),
    "grown": ("RGB", 9, 13, 4, 1500, 4096),
    "long": ("RGB", 7, 131, 4, 64, 4096),        # less than half a cell wide
    "grey": ("L", 45, 31, 4, 64, 4096),
    "released": ("RGB", 61, 35, 14, 3136, 1003520),  # the released sizes
}


def picture(mode, width, height, rng):
    """Slopes with noise, so that every pixel shows."""
    channels = len(mode)
    pixels = bytearray()
    for y in range(height):
        for x in range(width):
            for c in range(channels):
                value = 40 + 50 * c + (5, -3, 2)[c] * x + (1, 4, -2)[c] * y + rng.randrange(60)
                pixels.append(max(0, min(255, value)))
    return Image.frombytes(mode, (width, height), bytes(pixels))


def main():
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1
                       else pathlib.Path(__file__).parent / "patches")
    out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(17)
    tensors = {}
    for name, (mode, width, height, patch, least, most) in CASES.items():
        picture(mode, width, height, rng).save(out / (name + ".png"), optimize=True)
        processor = Qwen2VLImageProcessorPil(
            patch_size=patch, merge_size=2, temporal_patch_size=2,
            size={"shortest_edge": least, "longest_edge": most})
        with Image.open(out / (name + ".png")) as image:
            made = processor(images=[image], return_tensors="pt")
        tensors[name + ".pixel_values"] = made["pixel_values"].float().contiguous()
        tensors[name + ".grid"] = made["image_grid_thw"][0].long().clone()
        tensors[name + ".settings"] = torch.tensor([patch, 2, least, most])
        print(name, tuple(made["pixel_values"].shape), made["image_grid_thw"][0].tolist())
    save_file(tensors, str(out / "reference.safetensors"),
              {"script": "tests/reference/patches.py", "class": "Qwen2VLImageProcessorPil"})


if __name__ == "__main__":
    main()
