"""Averages of weights, early stopping, the best checkpoint, the validation loss: all of them go on
after a stop as if there had been none, and do not depend on the number of ranks."""

import json
import os
import shutil

import common
from common import floats, main, metrics, newest, tandem, tensors

EMA = ["ema={decay: 0.8, warmup: true}"]
LOSS = ["eval.tasks=[{task: loss, source: test, size: 13}]", "eval.every=2 steps"]


def evaluations(run, prefix):
    """step -> metrics of that prefix."""
    found = {}
    for row in metrics(run):
        part = {key: row[key] for key in row if key.startswith(prefix)}
        if part:
            found[row["step"]] = part
    return found


class Averages(common.RunTest):
    def assert_same_average(self, a, b):
        self.assert_same_end(a, b)
        one, other = (newest(self.folder / run) / "ema.safetensors" for run in (a, b))
        self.assertEqual(one.read_bytes(), other.read_bytes())

    def test_stopped_and_resumed_on_one_rank_and_two(self):
        for ranks in (1, 2):
            whole, stopped = "whole %d" % ranks, "stopped %d" % ranks
            self.train(whole, "--procs", ranks, *EMA)
            for step in (1, 7, 12, 19):
                self.train(stopped, "--procs", ranks, "--stop-after", step, *EMA, code=75)
            self.train(stopped, "--procs", ranks, *EMA)
            self.assert_same_average(stopped, whole)

    def test_it_is_measured_and_exported_beside_the_weights(self):
        self.train("plain")
        self.train("run", *EMA)
        both = evaluations(self.folder / "run", "ema.eval.")
        self.assertEqual(sorted(both), [10, 20])
        self.assertEqual(evaluations(self.folder / "run", "eval."),
                         evaluations(self.folder / "plain", "eval."))
        # The training is the same with it and without.
        self.assertEqual(self.losses("run"), self.losses("plain"))
        code, _, error = tandem("export", self.folder / "run", self.folder / "out")
        self.assertEqual(code, 0, error)
        code, _, error = tandem("export", "--ema", self.folder / "run", self.folder / "average")
        self.assertEqual(code, 0, error)
        average = tensors(newest(self.folder / "run") / "ema.safetensors")
        exported = tensors(self.folder / "average" / "model.safetensors")
        weights = tensors(self.folder / "out" / "model.safetensors")
        self.assertEqual(set(exported), set(weights))
        for name in average:
            self.assertEqual(exported[name], average[name])
        self.assertNotEqual(exported, weights)
        code, _, error = tandem("export", "--ema", self.folder / "plain", self.folder / "none")
        self.assertEqual(code, 64, error)
        self.assertIn("ema", error)

    def test_only_the_average_or_only_the_weights_are_measured_where_that_is_said(self):
        self.train("ema", "ema={decay: 0.8, evaluate: ema}")
        self.assertFalse(evaluations(self.folder / "ema", "eval."))
        self.assertTrue(evaluations(self.folder / "ema", "ema.eval."))
        self.train("weights", "stages.contrast.ema={decay: 0.8, evaluate: weights}")
        self.assertFalse(evaluations(self.folder / "weights", "ema."))
        self.assertTrue((newest(self.folder / "weights") / "ema.safetensors").exists())


class ValidationLoss(common.RunTest):
    def test_the_same_bits_on_any_number_of_ranks(self):
        # A learning rate so small that no weight changes.
        still = ["stages.contrast.optimizer={lr: 1e-30, weight_decay: 0}", *LOSS,
                 "stages.contrast.until.steps=2", "threads=1"]
        found = set()
        for ranks in (1, 2, 4):
            self.train("on %d" % ranks, "--procs", ranks, *still)
            found.add(json.dumps(evaluations(self.folder / ("on %d" % ranks), "eval.")))
        self.assertEqual(len(found), 1, found)
        (values,) = json.loads(found.pop()).values()
        self.assertEqual(set(values), {"eval.test.loss.itc", "eval.test.loss.total"})
        self.assertEqual(values["eval.test.loss.itc"], values["eval.test.loss.total"])


class Stops(common.RunTest):
    # The loss falls: measured upside down, the first evaluation is the best.
    STOP = [*LOSS, "stages.contrast.stop={metric: eval.test.loss.total, mode: max, patience: 3}"]

    def test_a_stage_ends_early_and_a_stop_before_does_not_change_when(self):
        for ranks in (1, 2):
            whole, stopped = "whole %d" % ranks, "stopped %d" % ranks
            stop = ["--procs", ranks, *self.STOP]
            error = self.train(whole, *stop)
            self.assertIn("ends early: 3 evaluations without a better eval.test.loss.total", error)
            self.assertEqual(len(metrics(self.folder / whole)), 8)
            for step in (3, 4, 7):
                self.train(stopped, "--stop-after", step, *stop, code=75)
            self.train(stopped, *stop)
            self.assert_same_end(stopped, whole)
            error = self.train(whole, *stop, "stages.contrast.until.steps=40")
            self.assertIn("the run is complete: 8 steps in", error)

    def test_a_metric_that_nobody_measures_is_refused_with_those_that_are(self):
        stop = "stages.contrast.stop={metric: eval.nothing.total}"
        error = self.train("run", *LOSS, stop, code=64)
        self.assertIn("eval.test.loss.*", error)
        error = self.train("run", *LOSS, "stages.contrast.stop={metric: eval.test.loss.lm}",
                           code=64)
        self.assertIn("eval.test.loss.itc", error)
        error = self.train("other", "eval.tasks=[]", stop, code=64)
        self.assertIn("eval.tasks", error)


class Best(common.RunTest):
    KEEP = [*LOSS, "checkpoint.every=3 steps"]

    def kept(self, name):
        return sorted(path for path in os.listdir(self.folder / name / "checkpoints"))

    def test_the_best_checkpoint_stays_and_is_exported(self):
        for ranks in (1, 2):
            with self.subTest(ranks=ranks):
                self.best_of(ranks)

    def best_of(self, ranks):
        run, stopped, out_folder = ("%s %d" % (name, ranks) for name in ("run", "stopped", "out"))
        keep = [*self.KEEP, "checkpoint.keep={last: 1, best: eval.test.loss.total, mode: max}"]
        self.train(run, "--procs", ranks, *keep)
        measured = evaluations(self.folder / run, "eval.")
        best = max(measured, key=lambda step: measured[step]["eval.test.loss.total"])
        self.assertEqual(self.kept(run), sorted({"step-%06d" % best, "step-000020"}))
        code, _, error = tandem("export", "--best", self.folder / run, self.folder / out_folder)
        self.assertEqual(code, 0, error)
        self.assertEqual(
            tensors(self.folder / out_folder / "model.safetensors"),
            tensors(self.folder / run / "checkpoints" / ("step-%06d" % best) /
                    "model.safetensors"))
        for step, choice in ((best, ["--best"]), (20, [])):
            code, out, error = tandem("eval", *choice, self.folder / run)
            self.assertEqual(code, 0, error)
            shown = {line.split()[0]: line.split()[1] for line in out.splitlines()}
            for name, value in measured[step].items():
                self.assertEqual(shown[name], "%.4f" % value)
        self.train(stopped, "--procs", ranks, "--stop-after", 7, *keep, code=75)
        self.train(stopped, "--procs", ranks, *keep)
        self.assertEqual(self.kept(stopped), self.kept(run))
        self.assert_same_end(stopped, run)

    def test_a_number_alone_is_the_newest_ones(self):
        self.train("run", *self.KEEP, "checkpoint.keep=2")
        self.assertEqual(self.kept("run"), ["step-000018", "step-000020"])
        self.train("map", *self.KEEP, "checkpoint.keep={last: 2}")
        self.assertEqual(self.kept("map"), self.kept("run"))
        code, _, error = tandem("export", "--best", self.folder / "run", self.folder / "out")
        self.assertEqual(code, 64, error)
        self.assertIn("best", error)


class Longer(common.RunTest):
    CONSTANT = ["stages.contrast.optimizer.schedule=constant"]

    def test_a_finished_run_goes_on_when_more_steps_are_wanted(self):
        self.train("whole", *self.CONSTANT, "stages.contrast.until.steps=30")
        self.train("run", *self.CONSTANT)
        error = self.train("run", *self.CONSTANT)
        self.assertIn("the run is complete: 20 steps in", error)
        error = self.train("run", *self.CONSTANT, "stages.contrast.until.steps=30")
        self.assertIn("resuming after step 20\n", error)
        self.assert_same_end("run", "whole")
        error = self.train("run", *self.CONSTANT, "stages.contrast.until.steps=25")
        self.assertIn("the run is complete: 30 steps in", error)


if __name__ == "__main__":
    main()
