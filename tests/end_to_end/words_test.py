"""A run that begins with the weights of a run of another vocabulary: rows follow their tokens."""

import json

import common
from common import HERE, main, newest, tensors

TINY = HERE.parent.parent / "configs" / "vilt" / "tiny.yaml"
TABLE = "vilt.embeddings.text_embeddings.word_embeddings.weight"
PLACES = "vilt.embeddings.text_embeddings.position_embeddings.weight"


def words_of(folder):
    return json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]


def rows_of(folder, name=TABLE):
    _, shape, data = tensors(folder / "model.safetensors")[name]
    size = len(data) // shape[0]
    return [data[i * size:(i + 1) * size] for i in range(shape[0])]


class Words(common.RunTest):
    # Steps so small that they change nothing: what a stage ends with is what it began with.
    STILL = ("stages.pretraining.until={steps: 1}", "stages.pretraining.optimizer={lr: 1e-15}",
             "eval.every=0", "eval.tasks=[]")

    def test_rows_follow_their_tokens(self):
        self.train("first", "stages.pretraining.until={steps: 4}", "eval.tasks=[]", config=TINY)
        first = newest(self.folder / "first")
        error = self.train("second", *self.STILL, "model.vocabulary=120", "model.text.context_length=40",
                           "model.pretrained=%s" % first, config=TINY)
        second = newest(self.folder / "second")
        ours, theirs = words_of(second), words_of(first)
        self.assertNotEqual(ours, theirs)
        both = sorted(set(ours) & set(theirs))
        self.assertGreater(len(both), 60)
        self.assertIn("stage pretraining: %d tokens keep their rows, %d begin anew" %
                      (len(both), len(ours) - len(both)), error)
        self.assertIn(PLACES + " gets places at its end", error)
        now, before = rows_of(second), rows_of(first)
        for word in both:
            self.assertEqual(now[ours[word]], before[theirs[word]], word)
        self.assertEqual(rows_of(second, PLACES)[:32], rows_of(first, PLACES))
        self.assertEqual(len(rows_of(second, PLACES)), 40)

    def test_the_same_words_change_nothing(self):
        self.train("first", "stages.pretraining.until={steps: 2}", "eval.tasks=[]", config=TINY)
        first = newest(self.folder / "first")
        error = self.train("second", *self.STILL, "stages.pretraining.init=%s" % (self.folder / "first"),
                           config=TINY)
        self.assertNotIn("tokens keep their rows", error)
        self.assertEqual(rows_of(newest(self.folder / "second")), rows_of(first))


if __name__ == "__main__":
    main()
