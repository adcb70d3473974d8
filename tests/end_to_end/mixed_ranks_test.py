"""Language models from outside: ranks that see pictures beside ranks that see words only."""

import common
from common import floats, main, newest, tensors

# Two samples a step, a caption with its picture and words alone: each rank has one of them.
MIXED = """
name: mixed
seed: 2
model: %s
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

MODELS = {
    "qwen_vl": """
  family: qwen_vl
  vocabulary: 500
  format: continued
  vision: {image_size: 32, patch_size: 8, width: 32, layers: 1, heads: 2, mlp_ratio: 2, queries: 4}
  language: {width: 32, layers: 1, heads: 2, mlp: 48, seq_length: 160}""",
    "llava": """
  family: llava
  vocabulary: 500
  vision: {image_size: 32, patch_size: 16, width: 32, layers: 2, heads: 2}
  language: {width: 32, layers: 1, heads: 4, kv_heads: 2, mlp: 48}
  max_tokens: 320""",
    "qwen25_vl": """
  family: qwen25_vl
  vocabulary: 500
  vision: {width: 32, layers: 2, heads: 2, mlp: 48, patch_size: 8, window: 32, full_attention: [1]}
  text: {width: 32, layers: 1, heads: 4, kv_heads: 2, mlp: 48, sections: [1, 1, 2], context_length: 192, tied: false}
  dialogue: {min_pixels: 256, max_pixels: 4096}""",
}


def no_true_gradient(name):
    """Attention without rotary positions does not depend on the keys' bias: what comes there is
    rounding, and Adam makes steps of it."""
    return name.startswith("vision_tower.") and name.endswith("k_proj.bias")


class MixedRanks(common.RunTest):
    def test_pictures_on_one_rank_and_words_on_the_other(self):
        for family, model in MODELS.items():
            with self.subTest(family=family):
                self.check(family, model)

    def check(self, family, model):
        config = self.folder / (family + ".yaml")
        config.write_text(MIXED % model)
        alone = family + " alone"
        self.train(alone, config=config)
        losses = self.losses(alone)
        self.assertEqual(len(losses), 12)
        for name, more in (("two ranks", ["--procs", 2]),
                           ("one by one", ["stages.both.data.micro_batch=1"])):
            run = family + " " + name
            self.train(run, *more, config=config)
            self.assert_close(self.losses(run), losses, 1e-5, run)
            ours, theirs = (tensors(newest(self.folder / one) / "model.safetensors")
                            for one in (alone, run))
            for key in ours:
                if no_true_gradient(key):
                    continue
                pairs = zip(floats(ours[key]), floats(theirs[key]))
                self.assertLess(max(abs(x - y) for x, y in pairs), 1e-4, key)


if __name__ == "__main__":
    main()
