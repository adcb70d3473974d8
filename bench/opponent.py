"""Training steps of transformers' CLIPModel on a recorded batch: the other side of train_step.cpp.

python opponent.py MODEL_DIR BATCH.safetensors WARMUP STEPS default|fused
default: torch.optim.AdamW as it comes; fused: AdamW(fused=True). Prints the same line of JSON.
"""

import json
import resource
import sys
import time

import safetensors.torch
import torch
import transformers

directory, batch_path, warmup, steps, kind = sys.argv[1:]
torch.manual_seed(1)
torch.set_num_threads(2)
model = transformers.CLIPModel.from_pretrained(directory).train()
tensors = safetensors.torch.load_file(batch_path)
mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(1, 3, 1, 1)
std = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(1, 3, 1, 1)
inputs = {"input_ids": tensors["ids"], "pixel_values": (tensors["pixels"] / 255.0 - mean) / std,
          "return_loss": True}
decayed = [p for p in model.parameters() if p.dim() >= 2]
rest = [p for p in model.parameters() if p.dim() < 2]
optimizer = torch.optim.AdamW(
    [{"params": decayed, "weight_decay": 0.2}, {"params": rest, "weight_decay": 0.0}],
    lr=1e-4, betas=(0.9, 0.98), eps=1e-6, fused=kind == "fused")

losses, times = [], []
for step in range(int(warmup) + int(steps)):
    start = time.perf_counter()
    optimizer.zero_grad()
    loss = model(**inputs).loss
    loss.backward()
    optimizer.step()
    took = 1000 * (time.perf_counter() - start)
    losses.append(loss.item())
    if step >= int(warmup):
        times.append(took)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"losses": losses, "ms": times, "peak_mib": peak}))
