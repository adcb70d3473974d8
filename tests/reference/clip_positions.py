#!/usr/bin/env python3
"""Makes the fixture clip_positions: what transformers' CLIP makes of its table of positions for pictures
of other sizes (interpolate_pos_encoding).

Versions: torch 2.11.0, transformers 5.17.0, safetensors. Usage: clip_positions.py [OUT], default
fixtures/.
"""
import torch
from transformers import CLIPVisionConfig
from transformers.models.clip.modeling_clip import CLIPVisionEmbeddings

import common

PATCH, GRID, WIDTH = 8, 4, 6
GRIDS = (2, 3, 5, 7)


def main():
    generator = torch.Generator().manual_seed(3)
    embeddings = CLIPVisionEmbeddings(CLIPVisionConfig(
        hidden_size=WIDTH, image_size=GRID * PATCH, patch_size=PATCH, num_attention_heads=2))
    table = torch.randn(1 + GRID * GRID, WIDTH, generator=generator)
    with torch.no_grad():
        embeddings.position_embedding.weight.copy_(table)
        tensors = {"input.table": table}
        for grid in GRIDS:
            rows = torch.zeros(1, 1 + grid * grid, WIDTH)
            found = embeddings.interpolate_pos_encoding(rows, grid * PATCH, grid * PATCH)
            tensors[f"output.grid_{grid}"] = found[0]
    common.save_reference(common.fresh(common.out_folder(1), "clip_positions"), tensors,
                          "CLIPVisionEmbeddings", most=20_000)


if __name__ == "__main__":
    main()
