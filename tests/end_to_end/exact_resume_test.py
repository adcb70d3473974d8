"""A run that was stopped and goes on ends in the same bytes as one that was not."""

import shutil

import common
from common import main, metrics, newest

STEPS = 20
# The ways of a step: at once, in two passes over micro-batches, with blocks computed again.
WAYS = {"at once": [],
        "two passes": ["stages.contrast.data.micro_batch=4"],
        "recomputed": ["recompute=true"],
        "two passes, recomputed": ["stages.contrast.data.micro_batch=4", "recompute=true"]}


class ExactResume(common.RunTest):
    def stop(self, name, step, *arguments):
        self.train(name, "--stop-after", step, *arguments, code=75)
        self.assertEqual(newest(self.folder / name).name, "step-%06d" % step)
        self.assertEqual(len(metrics(self.folder / name)), step)

    def go_on(self, name, step, *arguments):
        error = self.train(name, *arguments)
        self.assertIn("resuming after step %d\n" % step, error)
        self.assertNotIn("bits may differ", error)

    def test_the_comparison_sees_another_run(self):
        self.train("whole")
        self.train("other", "seed=4")
        with self.assertRaises(AssertionError):
            self.assert_same_end("other", "whole")

    def test_stopped_at_each_step_and_resumed(self):
        self.train("whole")
        self.assertEqual(len(metrics(self.folder / "whole")), STEPS)
        for step in range(1, STEPS):
            with self.subTest(step=step):
                name = "stopped at %d" % step
                self.stop(name, step)
                self.go_on(name, step)
                self.assert_same_end(name, "whole")
                shutil.rmtree(self.folder / name)
        # After the last step there is nothing to stop: the run is complete.
        self.train("stopped at 20", "--stop-after", STEPS)
        self.assert_same_end("stopped at 20", "whole")

    def test_stopped_after_every_step(self):
        self.train("whole")
        for step in range(1, STEPS):
            self.stop("stopped", step)
        self.go_on("stopped", STEPS - 1)
        self.assert_same_end("stopped", "whole")

    def test_stopped_twice_in_every_way_of_a_step(self):
        for way, arguments in WAYS.items():
            with self.subTest(way=way):
                self.train(way, *arguments)
                name = way + ", stopped"
                self.stop(name, 3, *arguments)
                self.stop(name, 12, *arguments)
                self.go_on(name, 12, *arguments)
                self.assert_same_end(name, way)

    def test_two_stages_resume_in_either_and_between(self):
        config = self.folder / "two.yaml"
        config.write_text("include: [%s]\nstages:\n  - name: again\n    losses: {itc: 1}\n"
                          "    train: [\"*_projection.weight\", logit_scale]\n"
                          "    data: {batch: 8, mix: {train: 1}}\n"
                          "    optimizer: {lr: 1e-3, warmup: 2}\n    until: {steps: 6}\n"
                          % common.CONFIG)
        self.train("whole", config=config)
        self.assertEqual(len(metrics(self.folder / "whole")), STEPS + 6)
        for step in (STEPS - 1, STEPS + 1, STEPS + 4):
            with self.subTest(step=step):
                name = "stopped at %d" % step
                self.train(name, "--stop-after", step, config=config, code=75)
                self.train(name, config=config)
                self.assert_same_end(name, "whole")
        self.train("by stage", "--stage", "contrast", config=config)
        self.assertEqual(newest(self.folder / "by stage").name, "step-%06d" % STEPS)
        self.train("by stage", config=config)
        self.assert_same_end("by stage", "whole")
        # A stage that has ended is not trained again, the last one goes on.
        error = self.train("by stage", "stages.contrast.until.steps=40", "stages.again.until.steps=8",
                           config=config)
        self.assertIn("W stages.contrast.until.steps: 20 -> 40: too late", error)
        self.assertNotIn("stages.again", error)
        self.assertEqual(len(metrics(self.folder / "by stage")), STEPS + 8)

    def test_from_an_older_checkpoint(self):
        self.train("whole")
        shutil.copytree(self.folder / "whole", self.folder / "back")
        older = self.folder / "back" / "checkpoints" / "step-000010"
        error = self.train("back", "--resume", older)
        self.assertIn("resuming after step 10\n", error)
        self.assert_same_end("back", "whole")

    def test_from_an_older_checkpoint_and_stopped_again(self):
        self.train("whole")
        shutil.copytree(self.folder / "whole", self.folder / "back")
        older = self.folder / "back" / "checkpoints" / "step-000010"
        self.train("back", "--resume", older, "--stop-after", 12, code=75)
        self.train("back")
        self.assert_same_end("back", "whole")

    def test_from_a_checkpoint_of_another_folder(self):
        self.train("whole")
        self.train("new", "--resume", self.folder / "whole" / "checkpoints" / "step-000010")
        rows = metrics(self.folder / "new")
        self.assertEqual(rows, metrics(self.folder / "whole")[10:])
        for file in ("model.safetensors", "optimizer.safetensors"):
            self.assertEqual((newest(self.folder / "new") / file).read_bytes(),
                             (newest(self.folder / "whole") / file).read_bytes())

    def test_a_checkpoint_that_is_none_is_refused(self):
        error = self.train("none", "--resume", self.folder / "nowhere", code=65)
        self.assertIn(str(self.folder / "nowhere"), error)


if __name__ == "__main__":
    main()
