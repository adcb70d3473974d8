"""Copies and queues are a part of the state: stopped, resumed, and over ranks."""

import pathlib

import common
from common import main, metrics, newest

CONFIGS = pathlib.Path(common.HERE).parent.parent / "configs/albef"
TINY = CONFIGS / "tiny.yaml"
QUIET = ["eval.every=0", "eval.tasks=[]"]


class Albef(common.RunTest):
    def test_stopped_and_resumed_ends_in_the_same_bytes(self):
        self.train("whole", config=TINY)
        self.assertEqual(len(metrics(self.folder / "whole")), 20)
        names = common.tensors(newest(self.folder / "whole") / "model.safetensors")
        for name in ("image_queue", "text_queue", "queue_ptr", "visual_encoder_m.pos_embed"):
            self.assertIn(name, names)
        for step in (3, 10):
            name = "stopped at %d" % step
            self.train(name, "--stop-after", step, config=TINY, code=75)
            self.train(name, config=TINY)
            self.assert_same_end(name, "whole")
        self.train("recomputed", "recompute=true", config=TINY)
        for file in ("model.safetensors", "optimizer.safetensors"):
            self.assertEqual((newest(self.folder / "recomputed") / file).read_bytes(),
                             (newest(self.folder / "whole") / file).read_bytes())

    def test_two_ranks_are_two_micro_batches(self):
        parts = ["stages.pretrain.data.micro_batch=8", *QUIET]
        self.train("alone", *parts, config=TINY)
        self.train("two", "--procs", 2, *parts, config=TINY)
        self.assert_close(self.losses("two"), self.losses("alone"), 1e-5, "two ranks")
        a, b = (common.tensors(newest(self.folder / run) / "model.safetensors")
                for run in ("alone", "two"))
        self.assertEqual(list(a), list(b))
        for name in ("image_queue", "text_encoder_m.cls.predictions.bias"):
            worst = max(abs(x - y) for x, y in zip(common.floats(a[name]), common.floats(b[name])))
            self.assertLess(worst, 1e-4, name)

    def test_fine_tuning_for_retrieval_starts_from_it(self):
        self.train("whole", config=TINY)
        tuned = self.folder / "tuned.yaml"
        text = TINY.read_text().replace("  vocabulary: 600\n", "  kind: retrieval\n  pretrained: %s\n"
                                        % newest(self.folder / "whole"))
        tuned.write_text(text.replace(", mlm: 1", ""))
        self.train("tuned", config=tuned)
        self.assertIn("idx_queue", common.tensors(newest(self.folder / "tuned") /
                                                  "model.safetensors"))

    def test_text_assignment_stands_between_pre_training_and_two_pictures(self):
        config = CONFIGS / "assignment_tiny.yaml"
        error = self.train("whole", config=config)
        self.assertIn("stage assignment begins with new ta_head.*", error)
        self.assertRegex(error, "stage nlvr2 leaves out .*ta_head")
        rows = metrics(self.folder / "whole")
        self.assertEqual([row["stage"] for row in rows], 6 * ["pretrain"] + 6 * ["assignment"] + 6 * ["nlvr2"])
        self.assertIn("loss.ta", rows[6])
        for step in (8, 14):
            self.train("stopped at %d" % step, "--stop-after", step, config=config, code=75)
            self.train("stopped at %d" % step, config=config)
            self.assert_same_end("stopped at %d" % step, "whole")
        only = ["--stage", "assignment", *QUIET]
        self.train("assigned", *only, config=config)
        code, _, error = common.tandem("export", self.folder / "assigned", self.folder / "out")
        self.assertEqual(code, 0, error)
        self.assertEqual(common.tensors(self.folder / "out" / "model.safetensors"),
                         common.tensors(newest(self.folder / "assigned") / "model.safetensors"))


if __name__ == "__main__":
    main()
