"""A run that begins with the weights of a run of another vocabulary: rows follow their tokens, in every
table of words, those of momentum copies too."""

import json

import common
from common import HERE, main, newest, tensors

CONFIGS = HERE.parent.parent / "configs"
BERT = "embeddings.word_embeddings.weight"
PLACES = "embeddings.position_embeddings.weight"
# Of each system: its first stage, its tables of words and of places, how texts become longer, the
# marks that it puts behind the tokens, and what keeps its copies still.
SYSTEMS = {
    "vilt": dict(stage="pretraining",
                 words=["vilt.embeddings.text_embeddings.word_embeddings.weight",
                        "mlm_score.decoder.weight", "mlm_score.decoder.bias"],
                 places=["vilt.embeddings.text_embeddings.position_embeddings.weight"],
                 longer=["model.text.context_length=40"], length=40, marks=0, still=[]),
    "albef": dict(stage="pretrain",
                  words=["text_encoder.bert." + BERT, "text_encoder.cls.predictions.bias",
                         "text_encoder_m.bert." + BERT, "text_encoder_m.cls.predictions.bias"],
                  places=["text_encoder.bert." + PLACES, "text_encoder_m.bert." + PLACES],
                  longer=["model.text.positions=40"], length=40, marks=0,
                  still=["model.momentum=1"]),
    "blip": dict(stage="pretrain",
                 words=["text_encoder." + BERT, "text_encoder_m." + BERT,
                        "text_decoder.cls.predictions.bias"],
                 places=["text_encoder." + PLACES, "text_encoder_m." + PLACES],
                 longer=["model.text.positions=40"], length=40, marks=2,
                 still=["model.momentum=1"]),
    # The first stage sees no text, and freezes its tables.
    "vlmo": dict(stage="vision",
                 words=["text_embeddings.word_embeddings.weight", "mlm_score.decoder.weight",
                        "mlm_score.bias"],
                 places=["text_embeddings.position_embeddings.weight"],
                 longer=["model.context_length=35"], length=35, marks=0, still=[]),
}


def words_of(folder):
    return json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]


def rows_of(folder, name):
    _, shape, data = tensors(folder / "model.safetensors")[name]
    size = len(data) // shape[0]
    return [data[i * size:(i + 1) * size] for i in range(shape[0])]


class Words(common.RunTest):
    def begin(self, system, name, *arguments):
        """A run whose steps are so small that they change nothing: its end is its begin."""
        stage = SYSTEMS[system]["stage"]
        error = self.train(name, "--stage", stage, "stages.%s.until={steps: 1}" % stage,
                           "stages.%s.optimizer={lr: 1e-15}" % stage, "eval.every=0",
                           "eval.tasks=[]", *SYSTEMS[system]["still"], *arguments,
                           config=CONFIGS / system / "tiny.yaml")
        return error, newest(self.folder / name)

    def first(self, system):
        """A few steps that change every row."""
        name = system + " first"
        self.train(name, "eval.tasks=[]", config=CONFIGS / system / "tiny.yaml")
        return newest(self.folder / name)

    def assert_rows_follow(self, system, error, first, second):
        """Gives the sizes of the vocabularies: (ours, theirs)."""
        facts = SYSTEMS[system]
        ours, theirs = words_of(second), words_of(first)
        self.assertNotEqual(ours, theirs)
        both = sorted(set(ours) & set(theirs))
        self.assertGreater(len(both), 60)
        self.assertIn("stage %s: %d tokens keep their rows, %d begin anew" %
                      (facts["stage"], len(both), len(ours) - len(both)), error)
        self.assertIn("(%d tables, matched by token)" % len(facts["words"]), error)
        for table in facts["words"]:
            now, before = rows_of(second, table), rows_of(first, table)
            for word in both:
                self.assertEqual(now[ours[word]], before[theirs[word]], (table, word))
        return len(ours), len(theirs)

    def test_rows_follow_their_tokens(self):
        for system, facts in SYSTEMS.items():
            with self.subTest(system):
                first = self.first(system)
                error, second = self.begin(system, system + " second", "model.vocabulary=120",
                                           "model.pretrained=%s" % first, *facts["longer"])
                _, theirs = self.assert_rows_follow(system, error, first, second)
                for table in facts["places"]:
                    self.assertIn(table + " gets places at its end", error)
                    now, before = rows_of(second, table), rows_of(first, table)
                    self.assertEqual(len(now), facts["length"])
                    self.assertEqual(now[:len(before)], before)
                # The settings are those of the weights: their marks stand where they stood.
                for table in facts["words"] if facts["marks"] else []:
                    now, before = rows_of(second, table), rows_of(first, table)
                    self.assertEqual(len(before), theirs + facts["marks"], table)
                    self.assertEqual(now[theirs:], before[theirs:], table)

    def test_marks_go_behind_the_tokens_of_a_smaller_table(self):
        first = self.first("blip")
        error, second = self.begin("blip", "second", "model.vocabulary=120",
                                   "stages.pretrain.init=%s" % first)
        ours, theirs = self.assert_rows_follow("blip", error, first, second)
        for table in SYSTEMS["blip"]["words"]:
            now, before = rows_of(second, table), rows_of(first, table)
            self.assertEqual((len(now), len(before)), (ours + 2, theirs + 2), table)
            self.assertEqual(now[ours:], before[theirs:], table)

    def test_the_same_words_change_nothing(self):
        first = self.first("vilt")
        error, second = self.begin("vilt", "second", "stages.pretraining.init=%s" % first)
        self.assertNotIn("tokens keep their rows", error)
        for table in SYSTEMS["vilt"]["words"]:
            self.assertEqual(rows_of(second, table), rows_of(first, table))


if __name__ == "__main__":
    main()
