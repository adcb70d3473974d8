"""VLMo's hard negatives over ranks: drawn among all ranks' samples, or within a micro-batch."""

import common
from common import HERE, main, metrics, newest, tensors

TINY = HERE.parent.parent / "configs" / "vlmo" / "tiny.yaml"
# Which rows dropout and stochastic depth take depends on the rows that stand together. Steps are large,
# so that who is drawn is seen in the losses: the layers are scaled by 0.1 and matching begins at chance.
SAME = ["model.drop_path=0", "eval.every=0", "eval.tasks=[]", "stages.pairs.optimizer.lr=5e-2"]
PAIRS = "stages.pairs.data.micro_batch=%d"


def traces(run):
    """Each loss of each step: {name: values}."""
    found = {}
    for row in metrics(run):
        for name, value in row.items():
            if name == "loss" or name.startswith("loss."):
                found.setdefault(name, []).append(value)
    return found


class Vlmo(common.RunTest):
    def train(self, name, *arguments, **options):
        return super().train(name, *arguments, *SAME, config=TINY, **options)

    def assert_same_losses(self, a, b):
        ours, theirs = traces(self.folder / a), traces(self.folder / b)
        self.assertEqual(sorted(ours), sorted(theirs))
        for name in ours:
            self.assert_close(ours[name], theirs[name], 1e-5, "%s of %s and %s" % (name, a, b))

    def test_global_negatives_make_two_ranks_one_batch(self):
        # 16 pairs at once, and 8 on each of two ranks, whose texts are padded to one length.
        self.train("alone", PAIRS % 16)
        self.assertEqual(len(metrics(self.folder / "alone")), 20)
        self.assertIn("loss.itm", traces(self.folder / "alone"))
        self.train("two", PAIRS % 8, "--procs", 2)
        self.assert_same_losses("two", "alone")
        for name in ("itm_score.fc.weight", "transformer.blocks.2.mlp_vl.fc1.weight"):
            a, b = (common.floats(tensors(newest(self.folder / run) / "model.safetensors")[name])
                    for run in ("alone", "two"))
            self.assertLess(max(abs(x - y) for x, y in zip(a, b)), 1e-4, name)

    def test_negatives_of_the_own_micro_batch_are_the_same_on_any_ranks(self):
        group = ["model.negatives=group", PAIRS % 8]
        self.train("alone", *group)
        self.train("two", *group, "--procs", 2)
        self.assert_same_losses("two", "alone")
        # Among 16 other negatives are drawn, so the comparisons above see who is drawn.
        self.train("global", PAIRS % 8, "--procs", 2)
        ours, theirs = (traces(self.folder / run)["loss.itm"] for run in ("two", "global"))
        self.assertGreater(max(abs(x - y) / y for x, y in zip(ours, theirs)), 1e-4)

    def test_global_negatives_on_two_ranks_resume_in_the_same_bytes(self):
        self.train("whole", PAIRS % 8, "--procs", 2)
        for step in (13, 17):
            self.train("stopped", PAIRS % 8, "--procs", 2, "--stop-after", step, code=75)
        self.train("stopped", PAIRS % 8, "--procs", 2)
        self.assert_same_end("stopped", "whole")


if __name__ == "__main__":
    main()
