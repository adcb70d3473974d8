#!/usr/bin/env python3
"""Makes tests/reference/pickles: small files of torch.save, for scripts/convert_pickle.

  python tests/reference/pickles.py tests/reference/pickles

expected.json holds of every tensor its dtype, its shape and its bytes in hexadecimal. Made with torch
2.11.0.
"""
import argparse
import collections
import json
import pathlib
import sys

import torch

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
weight = torch.arange(12.0).reshape(3, 4)
large = torch.arange(60).reshape(3, 4, 5)
state = collections.OrderedDict(
    weight=weight, tied=weight, part=weight[1:, 1:3], half=weight.half(), brain=weight.bfloat16(),
    turned=weight.t(), turned3=large.permute(2, 0, 1), ids=torch.arange(5), one=torch.tensor(2.5),
    none=torch.zeros(0, 3), yes=torch.tensor([True, False]), wide=torch.ones(1).expand(2, 3),
    bytes=torch.arange(4, dtype=torch.uint8),
    learned=torch.nn.Parameter(torch.full((2,), 0.5)))
torch.save(state, folder / "plain.pt")
torch.save({"model": state, "epoch": 3, "note": "x", "betas": (0.9, 0.98)}, folder / "nested.pth")
torch.save({"x": {"a": {"b": state}}}, folder / "deep.ckpt")
torch.save(state, folder / "old.bin", _use_new_zipfile_serialization=False)
torch.save({"model": {"weight": weight}, "args": argparse.Namespace(lr=1)}, folder / "args.pt")
torch.save([1, 2], folder / "list.pt")
names = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
         torch.bool: "BOOL", torch.uint8: "U8"}
(folder / "expected.json").write_text(json.dumps({
    name: [names[t.dtype], list(t.shape),
           bytes(t.detach().contiguous().view(torch.uint8).flatten().tolist() if t.numel() and t.dim()
                 else t.reshape(-1).contiguous().view(torch.uint8).tolist()).hex()]
    for name, t in state.items()}, indent=0) + "\n")
