"""What a step may change and what it may not: precision, recomputation, accumulation, freezing."""

import common
from common import CONFIG, main, metrics, newest, tensors

QUIET = ["eval.tasks=[]"]
DEEPER = ["model.vision.layers=2", "model.text.layers=2", *QUIET]


def without(names, *patterns):
    return {name for name in names if not name.startswith(patterns)}


class Precision(common.RunTest):
    def test_bf16_trains_near_fp32(self):
        self.train("fp32", *QUIET)
        fp32 = self.losses("fp32")
        for ranks in (1, 2):
            name = "bf16 on %d" % ranks
            self.train(name, "--procs", ranks, "precision=bf16", *QUIET)
            bf16 = self.losses(name)
            self.assert_close(bf16[:5], fp32[:5], 0.02, name)
            self.assertNotEqual(bf16[:5], fp32[:5], "was it bf16?")
            self.assertLess(bf16[-1], 0.8 * bf16[0])
            # Weights and optimizer stay fp32.
            for file in ("model.safetensors", "optimizer.safetensors"):
                kinds = {kind for kind, _, _ in
                         tensors(newest(self.folder / name) / file).values()}
                self.assertEqual(kinds, {"F32"})
        self.train("stopped", "--stop-after", 7, "precision=bf16", *QUIET, code=75)
        self.train("stopped", "precision=bf16", *QUIET)
        self.assert_same_end("stopped", "bf16 on 1")


class Memory(common.RunTest):
    def test_recomputation_changes_no_bit(self):
        for extra in (["--procs", 1], ["--procs", 1, "precision=bf16"],
                      ["--procs", 2, "stages.contrast.data.micro_batch=3"]):
            with self.subTest(extra=extra):
                name = " ".join(map(str, extra))
                self.train("kept " + name, *extra, *DEEPER)
                self.train("again " + name, *extra, "recompute=true", *DEEPER)
                self.assert_same_end("again " + name, "kept " + name)

    def test_accumulation_gives_the_same_losses(self):
        self.train("whole", "stages.contrast.data.micro_batch=16", *QUIET)
        for micro in (4, 5, 1):
            self.train("in %d" % micro, "stages.contrast.data.micro_batch=%d" % micro, *QUIET)
            self.assert_close(self.losses("in %d" % micro), self.losses("whole"), 1e-5,
                              "micro-batch %d" % micro)


class Frozen(common.RunTest):
    def weights(self, name):
        return tensors(newest(self.folder / name) / "model.safetensors")

    def optimised(self, name):
        """The parameters that have optimizer state."""
        state = set(tensors(newest(self.folder / name) / "optimizer.safetensors")) - {"step"}
        first = {n.removeprefix("exp_avg.") for n in state if n.startswith("exp_avg.")}
        self.assertEqual(state, {"exp_avg." + n for n in first} | {"exp_avg_sq." + n for n in first})
        return first

    def initial(self):
        """The weights before the first step: all but one are frozen in the only step made."""
        self.train("initial", 'stages.contrast.train=["logit_scale"]', "--stop-after", 1, *QUIET,
                   code=75)
        self.assertEqual(self.optimised("initial"), {"logit_scale"})
        weights = self.weights("initial")
        del weights["logit_scale"]
        return weights

    def test_a_frozen_parameter_keeps_its_bits_and_has_no_optimizer_state(self):
        initial = self.initial()
        cases = {
            "only the text tower": ('["text_model.*"]', lambda n: n.startswith("text_model.")),
            "all but the vision tower": (
                '[{match: "vision_model.*", freeze: true}, "*"]',
                lambda n: not n.startswith("vision_model.")),
        }
        for name, (rules, trained) in cases.items():
            for ranks in (1, 2):
                with self.subTest(case=name, ranks=ranks):
                    run = "%s, %d ranks" % (name, ranks)
                    self.train(run, "stages.contrast.train=" + rules, "--procs", ranks, *QUIET)
                    weights = self.weights(run)
                    self.assertEqual(self.optimised(run), {n for n in weights if trained(n)})
                    for n, before in initial.items():
                        self.assertEqual(weights[n] != before, trained(n), n)

    def test_a_rule_that_matches_nothing_is_refused(self):
        error = self.train("run", 'stages.contrast.train=["text_modell.*"]', code=64)
        self.assertIn("text_modell.*", error)

    def test_a_second_stage_trains_what_it_says_and_resumes_within(self):
        path = self.folder / "two.yaml"
        path.write_text("""include: [%s]
eval: {every: 0, tasks: []}
stages:
  - name: contrast
    train: ["text_model.*"]
    until: {steps: 6}
  - name: second
    train: ["vision_model.*"]
    losses: {itc: 1}
    data: {batch: 16, mix: {train: 1}}
    optimizer: {lr: 1e-3}
    until: {steps: 8}
""" % CONFIG)
        self.train("first", "--stage", "contrast", config=path)
        self.train("both", config=path)
        first, both = self.weights("first"), self.weights("both")
        for name in first:
            self.assertEqual(first[name] != both[name], name.startswith("vision_model."), name)
        self.assertEqual(self.optimised("both"), without(both, "text_", "visual_", "logit"))
        rows = metrics(self.folder / "both")
        self.assertEqual([(row["stage"], row["samples"]) for row in rows],
                         [("contrast", 16 * (i + 1)) for i in range(6)] +
                         [("second", 16 * (i + 1)) for i in range(8)])
        self.train("first", config=path)  # goes on with the second stage
        self.assert_same_end("first", "both")
        for stop in (5, 6, 7, 11):
            name = "stopped after %d" % stop
            self.train(name, "--stop-after", stop, config=path, code=75)
            self.assertEqual(newest(self.folder / name).name, "step-%06d" % stop)
            self.train(name, config=path)
            self.assert_same_end(name, "both")


if __name__ == "__main__":
    main()
