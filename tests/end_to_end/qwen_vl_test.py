"""Qwen-VL from outside: ranks that see pictures beside ranks that see words only."""

import common
from common import floats, main, newest, tensors

# Two samples a step, a caption with its picture and words alone: each rank has one of them.
MIXED = """
name: mixed
seed: 2
model:
  family: qwen_vl
  vocabulary: 500
  format: continued
  vision: {image_size: 32, patch_size: 8, width: 32, layers: 1, heads: 2, mlp_ratio: 2, queries: 4}
  language: {width: 32, layers: 1, heads: 2, mlp: 48, seq_length: 160}
data:
  sources:
    shown: {format: world, split: train, size: 400, max_objects: 2}
    words: {format: world, task: text, split: train, size: 400, max_objects: 2}
stages:
  - name: both
    losses: {lm: 1}
    data: {batch: 2, mix: {shown: 1, words: 1}}
    optimizer: {lr: 1e-3, warmup: 2, clip: 1.0, schedule: constant}
    until: {steps: 12}
threads: 1
loader: {threads: 1}
"""


class QwenVl(common.RunTest):
    def test_pictures_on_one_rank_and_words_on_the_other(self):
        config = self.folder / "mixed.yaml"
        config.write_text(MIXED)
        self.train("alone", config=config)
        losses = self.losses("alone")
        self.assertEqual(len(losses), 12)
        for name, more in (("two ranks", ["--procs", 2]),
                           ("one by one", ["stages.both.data.micro_batch=1"])):
            self.train(name, *more, config=config)
            self.assert_close(self.losses(name), losses, 1e-5, name)
            ours, theirs = (tensors(newest(self.folder / run) / "model.safetensors")
                            for run in ("alone", name))
            for key in ours:
                pairs = zip(floats(ours[key]), floats(theirs[key]))
                self.assertLess(max(abs(x - y) for x, y in pairs), 1e-4, key)


if __name__ == "__main__":
    main()
