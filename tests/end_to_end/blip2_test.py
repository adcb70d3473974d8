"""BLIP-2 from outside: two ranks learn what one does, through both stages, whatever is trained."""

import common
from common import main, metrics, tandem

CONFIGS = common.HERE.parents[1] / "configs" / "blip2"

# Draws of dropout depend on how samples stand together in a batch.
PLAIN = ["model.qformer.dropout=0", "model.qformer.attention_dropout=0", "model.language.dropout=0",
         "eval=null", "checkpoint.every=0"]

# Only matching, and only the tower learns: the norm of the gradient is the tower's.
TOWER = """
include: [%s]
stages:
  - name: first
    train: [vision_model.embeddings.*, vision_model.encoder.*]
    losses: {itc: null, lm: null}
"""


class Blip2(common.RunTest):
    def norms(self, name):
        return [row["grad_norm"] for row in metrics(self.folder / name)]

    def test_two_ranks_learn_what_one_does_in_both_stages(self):
        for language in ("tiny", "tiny_t5"):
            one, two = language + " alone", language + " two ranks"
            self.train(one, *PLAIN, config=CONFIGS / (language + ".yaml"))
            self.train(two, "--procs", 2, *PLAIN, config=CONFIGS / (language + ".yaml"))
            self.assertEqual(len(self.losses(one)), 22)
            self.assert_close(self.losses(two), self.losses(one), 1e-4, two)

    def test_the_plan_says_how_many_pairs_the_contrast_sees(self):
        line = "itc, itm tell a pair from the %d of one micro-batch on all ranks, not from the step's 16"
        for keys, pairs in (([], None), (["stages.first.data.micro_batch=4"], 4)):
            code, out, error = tandem("check", CONFIGS / "tiny.yaml", "--plan-only", *keys)
            self.assertEqual(code, 0, error)
            if pairs:
                self.assertIn(line % pairs, out + error)
                self.assertEqual((out + error).count("tell a pair"), 1)  # of the first stage
            else:
                self.assertNotIn("tell a pair", out + error)

    def test_a_trained_tower_has_the_gradient_of_all_negatives(self):
        config = self.folder / "tower.yaml"
        config.write_text(TOWER % (CONFIGS / "tiny.yaml"))
        for name, more in (("alone", []), ("two ranks", ["--procs", 2])):
            self.train(name, *PLAIN, *more, config=config)
        self.assertGreater(self.norms("alone")[0], 0)
        self.assert_close(self.norms("two ranks")[:1], self.norms("alone")[:1], 1e-4, "first norm")
        self.assert_close(self.losses("two ranks"), self.losses("alone"), 1e-3, "losses")


if __name__ == "__main__":
    main()
