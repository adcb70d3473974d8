"""Packing to a token budget from outside: the same losses on any ranks, resumed to the same bytes,
and what is too long or inconsistent named before and in the run."""

import json
import re

import common
from common import lines, main, make_pictures, metrics, tandem

# Samples of many lengths: captions with a picture, questions, words alone.
PACKED = """
name: packed
seed: 3
model:
  family: qwen25_vl
  vocabulary: 500
  vision: {width: 32, layers: 2, heads: 2, mlp: 48, patch_size: 8, window: 32, full_attention: [1]}
  text: {width: 32, layers: 2, heads: 4, kv_heads: 2, mlp: 48, sections: [1, 1, 2], context_length: 192, tied: false}
  dialogue: {min_pixels: 256, max_pixels: 4096}
data:
  sources:
    captions: {format: world, split: train, size: 400, max_objects: 2}
    questions: {format: world, task: vqa, split: train, size: 400, max_objects: 2}
    texts: {format: world, task: text, split: train, size: 400, max_objects: 2}
stages:
  - name: mixed
    losses: {lm: 1}
    data: {batch: 12, mix: {captions: 1, questions: 1, texts: 1}}
    optimizer: {lr: 1e-3, warmup: 2, clip: 1.0, schedule: constant}
    until: {steps: 16}
threads: 1
loader: {threads: 2}
checkpoint: {every: 5 steps}
"""

FROM_A_FILE = """
name: filed
seed: 3
model:
  family: llava
  vocabulary: 300
  vision: {image_size: 32, patch_size: 16, width: 32, layers: 2, heads: 2}
  language: {width: 32, layers: 2, heads: 4, kv_heads: 2, mlp: 48}
data:
  sources:
    own: {format: dialogue, path: rows.jsonl, pictures: pictures}
stages:
  - name: mixed
    losses: {lm: 1}
    data: {batch: 8, max_tokens: 256}
    optimizer: {lr: 1e-3}
    until: {steps: 4}
threads: 1
loader: {threads: 1}
"""

BUDGET = "stages.mixed.data.max_tokens=400"


class Packs(common.RunTest):
    def setUp(self):
        super().setUp()
        self.config = self.folder / "packed.yaml"
        self.config.write_text(PACKED)

    def test_packs_give_the_losses_of_padded_samples_on_any_ranks(self):
        self.train("padded", config=self.config)
        losses = self.losses("padded")
        padding = [row["padding"] for row in metrics(self.folder / "padded")]
        self.assertGreater(min(padding), 0.1)
        for ranks in (1, 2):
            name = "%d ranks" % ranks
            error = self.train(name, "--procs", ranks, BUDGET, config=self.config)
            self.assert_close(self.losses(name), losses, 1e-5, name)
            rows, plain = metrics(self.folder / name), metrics(self.folder / "padded")
            self.assertEqual([row["tokens"] for row in rows], [row["tokens"] for row in plain])
            self.assertEqual({row["padding"] for row in rows}, {0})
            told = re.search(r"(\d+) tokens in micro-batches, padding 0\.0 %; (\d+) packs of at "
                             r"most 400 tokens", error)
            self.assertTrue(told, error[-2000:])
            self.assertEqual(int(told.group(1)), sum(row["tokens"] for row in rows))
            self.assertGreater(int(told.group(2)), 16 * ranks)  # some ranks had several

    def test_qwen_vl_reads_packs_too(self):
        config = common.HERE.parent.parent / "configs/qwen_vl/tiny.yaml"
        # The config's own 1e-2 lets the rounding of one step grow in the next.
        short = ["eval.tasks=[]", "--stop-after", 14, "stages.pretrain.optimizer.lr=1e-3",
                 "stages.multitask.optimizer.lr=1e-3"]
        budget = ["stages.%s.data.max_tokens=320" % stage
                  for stage in ("pretrain", "multitask", "instruct")]
        self.train("padded", *short, config=config, code=75)
        self.train("packed", *short, *budget, config=config, code=75)
        self.assert_close(self.losses("packed"), self.losses("padded"), 1e-5, "packed")
        self.assertEqual({row["padding"] for row in metrics(self.folder / "packed")}, {0})
        self.assertLess(0, min(row["padding"] for row in metrics(self.folder / "padded")[8:]))

    def test_a_packed_run_resumes_to_the_same_bytes(self):
        for ranks in (1, 2):
            whole, stopped = "whole %d" % ranks, "stopped %d" % ranks
            self.train(whole, "--procs", ranks, BUDGET, config=self.config)
            self.train(stopped, "--procs", ranks, "--stop-after", 7, BUDGET, config=self.config,
                       code=75)
            self.train(stopped, "--procs", ranks, BUDGET, "loader.threads=1", config=self.config)
            self.assert_same_end(stopped, whole)

    def test_a_loss_that_compares_samples_is_not_packed(self):
        code, _, error = tandem("check", common.CONFIG, "stages.contrast.data.max_tokens=400",
                                "stages.contrast.data.micro_batch=null")
        self.assertEqual(code, 64, error)
        self.assertIn("stages.contrast.data.max_tokens: expected losses that packs of samples give "
                      "(this model has none)", error)

    def rows(self, count):
        """Short dialogues; the third is too long, the fifth has a tag too many."""
        names = make_pictures(self.folder / "pictures", count)
        rows = []
        for i, name in enumerate(names):
            said = "what is it ?" if i != 2 else "word %d " % i * 90
            tags = 2 if i == 4 else 1
            rows.append({"image": name, "conversations": [
                {"from": "human", "value": "<image>\n" * tags + said},
                {"from": "gpt", "value": "a picture number %d" % i}]})
        (self.folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        config = self.folder / "filed.yaml"
        config.write_text(FROM_A_FILE)
        return config

    def test_what_is_too_long_or_inconsistent_is_named_by_file_and_line(self):
        config = self.rows(40)
        code, told, error = tandem("check", config)
        self.assertEqual(code, 65, told + error)
        self.assertRegex(told, r"rows\.jsonl:3: \[data\] expected a sample of at most 256 tokens "
                               r"\(stages\.mixed\.data\.max_tokens\); got \d+")
        self.assertRegex(told, r"rows\.jsonl:5: .*expected as many pictures as tags")
        self.assertEqual(len(re.findall(r"rows\.jsonl:\d+: ", told)), 2)
        self.assertIn("packs of at most 256 tokens", told)

        self.train("filed", config=config)
        bad = lines(self.folder / "filed" / "bad_samples.jsonl")
        self.assertTrue(bad)
        for row in bad:
            self.assertRegex(row["sample"], r"rows\.jsonl:[35]$")
            if row["sample"].endswith(":3"):
                self.assertRegex(row["reason"], r"expected a sample of at most 256 tokens; got")
        self.assertEqual({row["padding"] for row in metrics(self.folder / "filed")}, {0})


if __name__ == "__main__":
    main()
