"""What our binary trained and exported, loaded by transformers: the same logits, every class of ViLT
and of BLIP that both have.

Needs the environment of scripts/setup_bench (torch and transformers, 4.6 GB); skipped without it.
"""

import json
import shutil
import subprocess
import unittest

import common
from common import HERE, main

ROOT = HERE.parent.parent
PYTHON = ROOT / ".deps" / "bench" / "bin" / "python"
CHECK = ROOT / "tests" / "reference" / "check_export.py"
CONFIGS = ROOT / "configs"
QUICK = ("eval.every=0", "eval.tasks=[]")
# transformers' ViLT has one epsilon for all its norms, the original two.
ONE_EPSILON = "model.text.layer_norm_eps=1e-6"


@unittest.skipUnless((ROOT / ".deps/bench/installed").exists(),
                     "no transformers here: scripts/setup_bench installs it")
class Exports(common.RunTest):
    def check(self, model, expected):
        """Exports what stands in the folder; transformers has to find the class and the same numbers."""
        out = self.folder / ("out_" + expected)
        code, _, error = common.tandem("export", model, out)
        self.assertEqual(code, 0, error)
        done = subprocess.run([PYTHON, "-B", CHECK, common.BINARY, out], capture_output=True, text=True,
                              timeout=common.LIMIT, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr[-3000:])
        self.assertIn(expected + " equal", done.stdout)
        return out

    def end_of(self, run, step):
        return self.folder / run / "checkpoints" / ("step-%06d" % step)

    def test_vilt(self):
        steps = ["stages.%s.until={steps: 2}" % stage
                 for stage in ("pretraining", "vqa", "nlvr2", "retrieval")]
        self.train("tasks", *steps, *QUICK, "checkpoint.stages=true",
                   ONE_EPSILON, config=CONFIGS / "vilt" / "tasks_tiny.yaml")
        for step, name in ((4, "ViltForQuestionAnswering"), (6, "ViltForImagesAndTextClassification"),
                           (8, "ViltForImageAndTextRetrieval")):
            self.check(self.end_of("tasks", step), name)

    def test_vilt_names_hidden_words(self):
        self.train("words", "model.parts=[mlm]", "model.tied=true", ONE_EPSILON,
                   "stages.pretraining.losses={mlm: 1}",
                   "stages.pretraining.until={steps: 2}", *QUICK, config=CONFIGS / "vilt" / "tiny.yaml")
        self.check(self.folder / "words", "ViltForMaskedLM")

    def test_blip_captions_and_answers(self):
        two = "stages.%s.until={steps: 2}"
        self.train("captions", "model.kind=captioning", "stages.pretrain.losses={lm: 1}", two % "pretrain",
                   *QUICK, config=CONFIGS / "blip" / "tiny.yaml")
        self.check(self.folder / "captions", "BlipForConditionalGeneration")
        self.train("answers", two % "pretrain", two % "vqa", *QUICK,
                   config=CONFIGS / "blip" / "vqa_tiny.yaml")
        self.check(self.folder / "answers", "BlipForQuestionAnswering")

    def test_blip_matches(self):
        # Retrieval's class has no training of its own: it takes its part of a pre-trained model.
        self.train("all", "stages.pretrain.until={steps: 2}", *QUICK,
                   config=CONFIGS / "blip" / "tiny.yaml")
        chosen = self.folder / "chosen"
        # What is changed by hand has no manifest any more.
        shutil.copytree(common.newest(self.folder / "all"), chosen,
                        ignore=shutil.ignore_patterns("manifest.json"))
        config = json.loads((chosen / "config.json").read_text())
        self.assertEqual(config["architectures"], ["BLIP_Pretrain"])
        config["architectures"] = ["BlipForImageTextRetrieval"]
        (chosen / "config.json").write_text(json.dumps(config))
        self.check(chosen, "BlipForImageTextRetrieval")


if __name__ == "__main__":
    main()
