"""The same run on 1, 2 and 4 ranks, in any micro-batches, stopped and resumed."""

import common
from common import floats, main, newest, tensors

# Fifty steps whose rate stays: later ones would hide a difference behind a small one.
FIFTY = ["stages.contrast.until.steps=50", "stages.contrast.optimizer.schedule=constant",
         "stages.contrast.optimizer.lr=3e-4", "checkpoint.every=0", "eval.every=0",
         "eval.tasks=[]"]


class RanksAgree(common.RunTest):
    def assert_same_weights(self, a, b):
        """Within float32's noise of fifty steps: far below the change that one step makes."""
        ours, theirs = (tensors(newest(self.folder / run) / "model.safetensors") for run in (a, b))
        self.assertEqual(list(ours), list(theirs))
        for name in ours:
            x, y = floats(ours[name]), floats(theirs[name])
            worst = max(abs(p - q) for p, q in zip(x, y))
            self.assertLess(worst, 1e-4, "%s of %s and %s" % (name, a, b))

    def test_any_ranks_and_any_micro_batch_give_the_same_losses(self):
        self.train("alone", *FIFTY)
        losses = self.losses("alone")
        self.assertEqual(len(losses), 50)
        self.assertLess(losses[-1], losses[0])
        for ranks, micro in ((1, 4), (1, 3), (2, 0), (2, 4), (2, 3), (4, 0), (4, 4), (4, 3)):
            name = "%d ranks, micro-batch %d" % (ranks, micro)
            self.train(name, "--procs", ranks, "stages.contrast.data.micro_batch=%d" % micro,
                       *FIFTY)
            self.assert_close(self.losses(name), losses, 1e-5, name)
            self.assert_same_weights(name, "alone")

    def test_a_run_goes_on_with_another_number_of_ranks_and_says_so(self):
        self.train("alone", *FIFTY)
        self.train("changed", "--stop-after", 20, *FIFTY, code=75)
        error = self.train("changed", "--procs", 2, *FIFTY)
        self.assertIn("resuming after step 20", error)
        self.assertRegex(error, r"bits may differ.*ranks was 1, is 2")
        self.assert_close(self.losses("changed"), self.losses("alone"), 1e-5, "changed")

    def test_two_ranks_stopped_and_resumed_end_in_the_same_bytes(self):
        self.train("whole", "--procs", 2)
        self.train("stopped", "--procs", 2, "--stop-after", 7, code=75)
        error = self.train("stopped", "--procs", 2)
        self.assertIn("resuming after step 7", error)
        self.assertNotIn("bits may differ", error)
        self.assert_same_end("stopped", "whole")

    def test_a_batch_that_the_ranks_do_not_divide_is_refused(self):
        error = self.train("odd", "--procs", 3, code=64)
        self.assertRegex(error, r"expected a batch that 3 ranks divide; got 16")


if __name__ == "__main__":
    main()
