"""Low-rank adapters: the base keeps its bits, only adapters are optimised, saved beside it in PEFT's
layout, merged on export and when the next stage begins."""

import json

import common
from common import floats, main, newest, tandem, tensors

QUIET = ["eval.tasks=[]", "checkpoint.every=0", "threads=1"]
RULE = "{match: \"*_proj\", lora: {rank: 2, alpha: 6, dropout: 0.1}}"
LORA = ["stages.contrast.train=[%s, logit_scale]" % RULE, *QUIET]
FILE = "adapter_model.safetensors"


def product(b, a):
    """B A of two (dtype, shape, bytes), as rows."""
    (rows, rank), columns = b[1], a[1][1]
    x, y = floats(b), floats(a)
    return [[sum(x[r * rank + k] * y[k * columns + c] for k in range(rank))
             for c in range(columns)] for r in range(rows)]


class Adapters(common.RunTest):
    def file(self, run, name):
        return newest(self.folder / run) / name

    def test_only_adapters_are_trained_and_the_base_keeps_its_bits(self):
        self.train("start", 'stages.contrast.train=["logit_scale"]', "--stop-after", 1, *QUIET,
                   code=75)
        error = self.train("run", *LORA)
        self.assertRegex(error, r"\*_proj as adapters of rank 2: \d+ tensors, \d+ parameters; frozen")
        base = tensors(self.file("run", "model.safetensors"))
        for name, entry in tensors(self.file("start", "model.safetensors")).items():
            if name != "logit_scale":
                self.assertEqual(base[name], entry, name)
        adapters = tensors(self.file("run", FILE))
        layers = {name.rsplit(".", 2)[0].removeprefix("base_model.model.") for name in adapters}
        self.assertIn("text_model.encoder.layers.0.self_attn.q_proj", layers)
        self.assertEqual(len(layers), 8)
        self.assertEqual(set(adapters), {"base_model.model.%s.lora_%s.weight" % (layer, side)
                                         for layer in layers for side in "AB"})
        optimised = {name.split(".", 1)[1]
                     for name in tensors(self.file("run", "optimizer.safetensors"))
                     if name != "step"}
        self.assertEqual(optimised, {"logit_scale"} | {name.removeprefix("base_model.model.")
                                                       for name in adapters})
        self.assertTrue(all(any(floats(entry)) for entry in adapters.values()))
        config = json.loads(self.file("run", "adapter_config.json").read_text())
        self.assertEqual((config["peft_type"], config["r"], config["lora_alpha"],
                          config["lora_dropout"], config["use_rslora"]), ("LORA", 2, 6, 0.1, False))
        self.assertEqual(set(config["target_modules"]), layers)

    def test_the_first_loss_is_that_of_the_base(self):
        self.train("plain", *QUIET, "--stop-after", 1, code=75)
        self.train("run", *LORA, "--stop-after", 1, code=75)
        self.assertEqual(self.losses("run"), self.losses("plain"))

    def test_stopped_and_resumed_with_dropout_recomputed_and_on_two_ranks(self):
        for extra in ([], ["recompute=true"], ["--procs", 2], ["ema={decay: 0.9}"]):
            whole, stopped = "whole %s" % extra, "stopped %s" % extra
            self.train(whole, *LORA, *extra)
            for step in (1, 12):
                self.train(stopped, "--stop-after", step, *LORA, *extra, code=75)
            self.train(stopped, *LORA, *extra)
            self.assert_same_end(stopped, whole)
            self.assertEqual(self.file(stopped, FILE).read_bytes(),
                             self.file(whole, FILE).read_bytes())
        self.assertEqual(self.file("whole []", FILE).read_bytes(),
                         self.file("whole ['recompute=true']", FILE).read_bytes())

    def test_export_merges_and_keeps_the_adapter_apart(self):
        self.train("run", *LORA)
        code, _, error = tandem("export", self.folder / "run", self.folder / "out")
        self.assertEqual(code, 0, error)
        base = tensors(self.file("run", "model.safetensors"))
        merged = tensors(self.folder / "out" / "model.safetensors")
        adapters = tensors(self.folder / "out" / "adapter" / FILE)
        self.assertEqual(adapters, tensors(self.file("run", FILE)))
        self.assertEqual(set(merged), set(base))
        changed = 0
        for name, entry in base.items():
            stem = "base_model.model." + name.removesuffix(".weight")
            if stem + ".lora_A.weight" not in adapters or not name.endswith(".weight"):
                self.assertEqual(merged[name], entry, name)
                continue
            added = product(adapters[stem + ".lora_B.weight"], adapters[stem + ".lora_A.weight"])
            for got, old, more in zip(floats(merged[name]), floats(entry), sum(added, [])):
                self.assertAlmostEqual(got, old + 6 / 2 * more, places=6)
            self.assertNotEqual(merged[name], entry)
            changed += 1
        self.assertEqual(changed, 8)

    def test_the_next_stage_begins_with_merged_weights(self):
        path = self.folder / "two.yaml"
        path.write_text("""include: [%s]
eval: {every: 0, tasks: []}
stages:
  - name: contrast
    train: [%s]
    until: {steps: 6}
  - name: second
    train: [logit_scale]
    losses: {itc: 1}
    data: {batch: 16, mix: {train: 1}}
    optimizer: {lr: 1e-3}
    until: {steps: 4}
""" % (common.CONFIG, RULE))
        self.train("first", "--stage", "contrast", config=path)
        tandem("export", self.folder / "first", self.folder / "merged")
        wanted = tensors(self.folder / "merged" / "model.safetensors")
        self.train("both", config=path)
        got = tensors(self.file("both", "model.safetensors"))
        self.assertFalse(self.file("both", FILE).exists())
        for name, entry in wanted.items():
            if name != "logit_scale":
                for x, y in zip(floats(got[name]), floats(entry)):
                    self.assertAlmostEqual(x, y, places=6)
        for stop in (4, 6, 8):
            self.train("stopped", "--stop-after", stop, config=path, code=75)
        self.train("stopped", config=path)
        self.assert_same_end("stopped", "both")

    def test_a_pattern_without_a_linear_layer_is_refused(self):
        error = self.train("run", "stages.contrast.train=[{match: logit_scale, lora: {rank: 2}}]",
                           code=64)
        self.assertIn("Linear layer", error)
        error = self.train("run", "stages.contrast.train=[{match: \"*\", lora: {alpha: 2}}]",
                           code=64)
        self.assertIn("lora.rank", error)


if __name__ == "__main__":
    main()
