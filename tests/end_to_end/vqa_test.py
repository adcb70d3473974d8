"""Open questions, on configs/{albef,blip}/vqa_tiny.yaml: trained, answered, stopped and resumed."""

import json

import common
from common import HERE, main, newest, tensors

CONFIGS = HERE.parent.parent / "configs"


class Vqa(common.RunTest):
    def test_answers_are_learned_and_resume_in_the_same_bits(self):
        for family in ("albef", "blip"):
            with self.subTest(family=family):
                config = CONFIGS / family / "vqa_tiny.yaml"
                whole, stopped = family + "_whole", family + "_stopped"
                self.train(whole, config=config)
                self.train(stopped, "--stop-after", 8, code=75, config=config)
                self.train(stopped, "--stop-after", 19, code=75, config=config)
                self.train(stopped, config=config)
                self.assert_same_end(stopped, whole)
                row = common.metrics(self.folder / whole)[-1]
                for name in ("questions_test", "listed_test"):
                    self.assertIn("eval.%s.vqa.accuracy" % name, row)
                lines = common.lines(self.folder / whole / "eval" / "listed_test.vqa.jsonl")
                self.assertEqual(len(lines), 16)
                self.assertEqual(len(lines[0]["top"]), 5)  # the first of the ranking
                self.assertEqual(lines[0]["scores"], sorted(lines[0]["scores"], reverse=True))
                losses = self.losses(whole)[6:]
                self.assertLess(sum(losses[-6:]), 0.9 * sum(losses[:6]))

    def test_two_ranks_are_two_micro_batches(self):
        for family in ("albef", "blip"):
            config = CONFIGS / family / "vqa_tiny.yaml"
            micro = "stages.pretrain.data.micro_batch=8"
            self.train(family + "_alone", micro, config=config)
            self.train(family + "_two", micro, "--procs", 2, config=config)
            self.assert_close(self.losses(family + "_two"), self.losses(family + "_alone"), 1e-5,
                              family)

    def test_the_decoder_begins_as_the_layers_that_fuse(self):
        config = CONFIGS / "albef" / "vqa_tiny.yaml"
        self.train("run", "stages.vqa.optimizer.lr=0", "stages.vqa.optimizer.weight_decay=0",
                   "checkpoint.keep=10", config=config)
        ends = {path.name: tensors(path / "model.safetensors")
                for path in (self.folder / "run" / "checkpoints").iterdir()}
        first, last = ends["step-000006"], tensors(newest(self.folder / "run") /
                                                   "model.safetensors")
        layer = "encoder.layer.%d.crossattention.self.query.weight"
        self.assertEqual(first["text_encoder.bert." + layer % 1],
                         last["text_decoder.bert." + layer % 0])

    def test_a_run_is_measured_from_outside(self):
        config = CONFIGS / "blip" / "vqa_tiny.yaml"
        self.train("run", config=config)
        out = self.folder / "out"
        code, text, error = common.tandem(
            "eval", self.folder / "run", "--out", out,
            "eval.tasks=[{task: vqa, source: questions_test, size: 16, answers: generated}]")
        self.assertEqual(code, 0, error)
        self.assertIn("eval.questions_test.vqa.exact", text)
        lines = common.lines(out / "eval" / "questions_test.vqa.jsonl")
        self.assertEqual(len(lines), 16)
        json.dumps(lines)


if __name__ == "__main__":
    main()
