"""A class of transformers on recorded batches: the other side of model.cpp, with the same output.

python opponent.py train MODEL_DIR BATCHES.safetensors WARMUP STEPS default|fused
python opponent.py generate MODEL_DIR BATCHES.safetensors TOKENS REPEATS
python opponent.py blip2 MODEL_DIR BATCHES.safetensors WARMUP STEPS default|fused
    The first stage of BLIP-2 from transformers' modules: transformers itself has no such loss.
default: torch.optim.AdamW as it comes; fused: AdamW(fused=True).
"""

import json
import os
import pathlib
import resource
import sys
import time

import safetensors.torch
import torch
import transformers


def batches_of(path):
    batches = {}
    for key, value in safetensors.torch.load_file(path).items():
        number, name = key.split(".", 1)
        batches.setdefault(int(number), {})[name] = value
    return [batches[i] for i in range(len(batches))]


def model_of(folder):
    config = json.loads((pathlib.Path(folder) / "config.json").read_text())
    return getattr(transformers, config["architectures"][0]).from_pretrained(folder)


def optimizer_of(parameters, kind):
    decayed = [p for p in parameters if p.dim() >= 2]
    rest = [p for p in parameters if p.dim() < 2]
    return torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.2}, {"params": rest, "weight_decay": 0.0}],
        lr=1e-4, betas=(0.9, 0.98), eps=1e-6, fused=kind == "fused")


def told(**values):
    values["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(values))


def steps_of(loss_of, parameters, batches, warmup, steps, kind):
    optimizer = optimizer_of(parameters, kind)
    losses, times = [], []
    for step in range(int(warmup) + int(steps)):
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = loss_of(batches[step % len(batches)])
        loss.backward()
        optimizer.step()
        if step >= int(warmup):
            times.append(1000 * (time.perf_counter() - start))
        losses.append(loss.item())
    return losses, times


def train(folder, path, warmup, steps, kind):
    model = model_of(folder).train()
    more = {"return_loss": True} if isinstance(model, transformers.CLIPModel) else {}
    losses, times = steps_of(lambda batch: model(**batch, **more).loss, list(model.parameters()),
                             batches_of(path), warmup, steps, kind)
    told(losses=losses, ms=times)


def generate(folder, path, tokens, repeats):
    model = model_of(folder).eval()
    prompt = batches_of(path)[0]
    times, ids = [], []
    for _ in range(int(repeats)):
        start = time.perf_counter()
        with torch.inference_mode():
            ids = model.generate(**prompt, do_sample=False, max_new_tokens=int(tokens),
                                 min_new_tokens=int(tokens))
        times.append(1000 * (time.perf_counter() - start))
    told(ids=ids[0, prompt["input_ids"].shape[1]:].tolist(), ms=times)


class FirstStage(torch.nn.Module):
    """Contrast, matching with hard negatives, and words from queries. Queries and the words that
    follow them go through the Q-Former once, under the mask that hides the words from the queries:
    what LAVIS gets by keeping keys and values."""

    def __init__(self, folder):
        super().__init__()
        config = transformers.Blip2Config.from_pretrained(folder)
        self.base = transformers.Blip2ForImageTextRetrieval(config)
        words = self.base.embeddings.word_embeddings.weight
        width = words.shape[1]
        self.dense, self.norm = torch.nn.Linear(width, width), torch.nn.LayerNorm(width, eps=1e-12)
        self.bias = torch.nn.Parameter(torch.zeros(words.shape[0]))
        self.temp = torch.nn.Parameter(torch.zeros([]))
        weights = safetensors.torch.load_file(folder + "/model.safetensors")
        own = "cls.predictions.transform."
        names = {"temp": "temp", "cls.predictions.bias": "bias", own + "dense.weight": "dense.weight",
                 own + "dense.bias": "dense.bias", own + "LayerNorm.weight": "norm.weight",
                 own + "LayerNorm.bias": "norm.bias"}
        self.load_state_dict({names.get(k, "base." + k): v for k, v in weights.items()})
        for name, parameter in self.base.vision_model.named_parameters():
            parameter.requires_grad_("post_layernorm" in name)
        self.dec = words.shape[0] - 1

    def rows_of(self, pixels):
        """The frozen tower without gradient; behind it its norm, which learns."""
        vision = self.base.vision_model
        with torch.no_grad():
            rows = vision.encoder(inputs_embeds=vision.embeddings(pixels)).last_hidden_state
        return vision.post_layernorm(rows)

    def read(self, ids, queries, mask, rows):
        base = self.base
        return base.qformer(query_embeds=base.embeddings(input_ids=ids, query_embeds=queries),
                            query_length=0 if queries is None else queries.shape[1],
                            attention_mask=mask, encoder_hidden_states=rows).last_hidden_state

    def forward(self, batch):
        base, ids = self.base, batch["ids"]
        rows = self.rows_of(batch["pixel_values"])
        size, length = ids.shape
        queries = base.query_tokens.expand(size, -1, -1)
        count = queries.shape[1]
        started = ids.clone()
        started[:, 0] = self.dec
        seen = torch.ones(count + length, count + length, dtype=torch.bool).tril()
        seen[:count, :count] = True
        both = self.read(started, queries, seen.expand(size, 1, -1, -1), rows)
        image = torch.nn.functional.normalize(base.vision_projection(both[:, :count]), dim=-1)
        words = self.read(ids, None, torch.ones_like(ids), None)
        text = torch.nn.functional.normalize(base.text_projection(words[:, 0]), dim=-1)
        i2t = torch.einsum("bqe,ne->bnq", image, text).amax(-1) / self.temp
        t2i = torch.einsum("be,nqe->bnq", text, image).amax(-1) / self.temp
        cross_entropy = torch.nn.functional.cross_entropy
        own = torch.arange(size)
        itc = (cross_entropy(i2t, own, label_smoothing=0.1) +
               cross_entropy(t2i, own, label_smoothing=0.1)) / 2
        hidden = torch.nn.functional.gelu(self.dense(both[:, count:-1]))
        scores = torch.nn.functional.linear(
            self.norm(hidden), base.embeddings.word_embeddings.weight, self.bias)
        lm = cross_entropy(scores.flatten(0, 1), started[:, 1:].flatten(), label_smoothing=0.1)
        return itc + self.matching(ids, rows, i2t, t2i) + lm, itc, lm

    def matching(self, ids, rows, i2t, t2i):
        def draw(similarities):
            weights = similarities.detach().clone().fill_diagonal_(-10000).softmax(1)
            return torch.multinomial(weights, 1).squeeze(1)
        size = len(ids)
        all_ids = torch.cat([ids, ids, ids[draw(i2t)]])
        queries = self.base.query_tokens.expand(3 * size, -1, -1)
        mask = torch.ones(3 * size, queries.shape[1] + ids.shape[1], dtype=torch.long)
        both = self.read(all_ids, queries, mask, torch.cat([rows, rows[draw(t2i)], rows]))
        logits = self.base.itm_head(both[:, :queries.shape[1]]).mean(1)
        labels = torch.zeros(3 * size, dtype=torch.long)
        labels[:size] = 1
        return torch.nn.functional.cross_entropy(logits, labels)


def blip2(folder, path, warmup, steps, kind):
    model = FirstStage(folder).train()
    first = {}

    def loss_of(batch):
        loss, itc, lm = model(batch)
        first.setdefault("loss.itc", itc.item())
        first.setdefault("loss.lm", lm.item())
        return loss

    losses, times = steps_of(loss_of, [p for p in model.parameters() if p.requires_grad],
                             batches_of(path), warmup, steps, kind)
    told(losses=losses, first=first, ms=times)


torch.manual_seed(1)
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
{"train": train, "generate": generate, "blip2": blip2}[sys.argv[1]](*sys.argv[2:])
