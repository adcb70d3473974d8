"""The learning rate of every step of a run is that of its schedule, and it is what the step uses."""

import csv

import common
from common import main, metrics, tensors

STEPS, WARMUP, LR = 20, 4, 1e-3  # of tiny.yaml


def options(**values):
    return ["stages.contrast.optimizer.%s=%s" % pair for pair in values.items()] + ["eval.tasks=[]"]


class Schedules(common.RunTest):
    def rates(self, name):
        """By step, of metrics.csv, which says the same as metrics.jsonl."""
        with open(self.folder / name / "metrics.csv", newline="") as file:
            rates = [float(row["lr"]) for row in csv.DictReader(file)]
        self.assertEqual(rates, [row["lr"] for row in metrics(self.folder / name)])
        self.assertEqual(len(rates), STEPS)
        return rates

    def check(self, name, expected, **values):
        """expected: of a step behind the warm-up, from 0."""
        self.train(name, *options(**values))
        wanted = [LR * (step + 1) / WARMUP if step < WARMUP else expected(step)
                  for step in range(STEPS)]
        self.assert_close(self.rates(name), wanted, 1e-9, name)
        self.train("stopped " + name, "--stop-after", 9, *options(**values), code=75)
        self.train("stopped " + name, *options(**values))
        self.assertEqual(self.rates("stopped " + name), self.rates(name))

    def test_polynomial(self):
        self.check("polynomial", lambda step: 1e-4 + 9e-4 * (1 - (step - WARMUP) / 16) ** 2,
                   schedule="polynomial", power=2, min_lr=1e-4)

    def test_at_milestones(self):
        self.check("milestones", lambda step: LR * 0.5 ** ((step >= 6) + (step >= 12)),
                   schedule="step", milestones="[6, 12]", gamma=0.5)

    def test_every_so_many_steps_down_to_the_least(self):
        self.check("every", lambda step: max(2e-4, LR * 0.5 ** (step // 5)),
                   schedule="step", step_size=5, gamma=0.5, min_lr=2e-4)

    def test_a_rate_of_nothing_changes_nothing(self):
        self.train("run", *options(schedule="step", milestones="[10]", gamma=0))
        weights = [tensors(self.folder / "run" / "checkpoints" / ("step-%06d" % step) /
                           "model.safetensors") for step in (10, 15, 20)]
        self.assertEqual(weights[1], weights[0])
        self.assertEqual(weights[2], weights[0])
        self.train("short", "--stop-after", 9,
                   *options(schedule="step", milestones="[10]", gamma=0), code=75)
        self.assertNotEqual(tensors(common.newest(self.folder / "short") / "model.safetensors"),
                            weights[0])


if __name__ == "__main__":
    main()
