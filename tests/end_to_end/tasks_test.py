"""Pre-training and what it is fine-tuned for in one run: other heads by stage, resumed to the same
bytes across them; weights of another run's stage."""

import json

import common
import frozen
from common import main, metrics, newest, tandem, tensors

ROOT = common.HERE.parent.parent
TASKS = {path.parent.name: path for path in sorted(ROOT.glob("configs/*/tasks_tiny.yaml"))}


def evaluated(rows, name):
    return [row["stage"] for row in rows if any(key.startswith(name + ".") for key in row)]


class Tasks(common.RunTest):
    def test_stopped_and_resumed_ends_in_the_same_bytes(self):
        self.assertEqual(sorted(TASKS), ["albef", "blip", "vilt", "vlmo"])
        for name, config in TASKS.items():
            with self.subTest(name):
                whole, stopped = name + " whole", name + " stopped"
                self.train(whole, frozen.KEEP, config=config)
                rows = metrics(self.folder / whole)
                ends = [i + 1 for i, row in enumerate(rows)
                        if i + 1 == len(rows) or rows[i + 1]["stage"] != row["stage"]]
                # Inside each stage, at the end of one, and behind it.
                inside = [(start + end) // 2 for start, end in zip([0, *ends], ends)]
                for step in sorted({*inside, ends[0], ends[0] + 1, ends[-2]}):
                    self.train(stopped, "--stop-after", step, config=config, code=75)
                self.train(stopped, config=config)
                self.assert_same_end(stopped, whole)
                still = frozen.check(self, whole, config)
                if name == "vlmo":  # the others train everything
                    for stage in ("vqa", "nlvr2", "retrieval"):
                        self.assertEqual(still[stage], {"text_embeddings.position_embeddings.weight"})

    def test_a_task_is_measured_in_the_stage_that_trains_for_it(self):
        error = self.train("vilt", config=TASKS["vilt"])
        rows = metrics(self.folder / "vilt")
        self.assertEqual(evaluated(rows, "eval.questions_test.vqa"), ["vqa"])
        self.assertEqual(evaluated(rows, "eval.pairs_test.nlvr2"), ["nlvr2"])
        self.assertEqual(evaluated(rows, "eval.test.retrieval"), ["retrieval"])
        self.assertIn("stage vqa begins with new classifier.*", error)
        self.assertIn("stage vqa leaves out itm_score.*, mlm_score.*", error)
        self.assertNotIn("retrieval begins with new", error)  # its score is that of a match

    def test_retrieval_is_told_from_texts_of_the_source_not_of_the_batch(self):
        # Three others come with each pair, whether it is evaluated among 2 or among 12; of two pairs in a
        # batch only one is another.
        found = {}
        for of in ("source", "micro_batch"):
            for batch in (2, 12):
                name = "%s %d" % (of, batch)
                self.train(name, "eval.tasks=[{task: loss, source: test, size: 12, stages: [retrieval]}]",
                           "eval.batch=%d" % batch, "stages.retrieval.model.others_of=" + of,
                           "stages.retrieval.model.most_patches=-1",  # none is drawn
                           config=TASKS["vilt"])
                rows = metrics(self.folder / name)
                found[name] = [row["eval.test.loss.itm"] for row in rows if "eval.test.loss.itm" in row]
                self.assertEqual(len(found[name]), 1)
        self.assert_close(found["source 2"], found["source 12"], 1e-5, "texts of the source")
        self.assertLess(found["micro_batch 2"][0] + 0.3, found["micro_batch 12"][0])

    def test_answers_travel_with_an_export(self):
        config = TASKS["vilt"]
        self.train("run", "--stage", "vqa", config=config)
        code, _, error = tandem("export", self.folder / "run", self.folder / "out")
        self.assertEqual(code, 0, error)
        exported = json.loads((self.folder / "out" / "config.json").read_text())
        self.assertEqual(exported["architectures"], ["ViltForQuestionAnswering"])
        self.assertEqual(len(exported["id2label"]), 29)
        self.assertIn("yes", exported["id2label"].values())
        lines = {}
        for model in ("run", "out"):
            code, out, error = tandem("eval", self.folder / model, config,
                                      "eval.tasks=[{task: vqa, source: questions_test, size: 16}]")
            self.assertEqual(code, 0, error)
            lines[model] = out
        self.assertEqual(lines["run"], lines["out"])

    def test_a_stage_of_another_run_is_what_one_begins_with(self):
        self.train("first", "eval.tasks=[]", "checkpoint.keep=1", "checkpoint.stages=true",
                   config=TASKS["albef"])
        start = "stages.nlvr2.init=%s@pretrain" % (self.folder / "first")
        only = ["eval.tasks=[]", start, "--stage", "ve"]
        error = self.train("second", *only, config=TASKS["albef"])
        self.assertNotIn("nlvr2", error)
        self.train("second", "eval.tasks=[]", start, "--stage", "nlvr2", config=TASKS["albef"])
        one = tensors(newest(self.folder / "second") / "model.safetensors")
        self.train("third", "eval.tasks=[]", "--stage", "nlvr2", config=TASKS["albef"])
        other = tensors(newest(self.folder / "third") / "model.safetensors")
        self.assertEqual(one, other)  # the runs' pre-training is the same

    def test_a_stage_that_is_not_there_is_refused(self):
        self.train("first", "--stage", "pretrain", "eval.tasks=[]", config=TASKS["albef"])
        start = "stages.pretrain.init=%s@%s"
        for stage, told in (("ve", "expected a stage that has ended (pretrain)"),):
            error = self.train("other", start % (self.folder / "first", stage), "eval.tasks=[]",
                               config=TASKS["albef"], code=64)
            self.assertIn(told, error)

    def test_groups_make_the_losses_the_same_on_any_ranks(self):
        for name in ("albef", "blip", "vilt"):
            with self.subTest(name):
                config = ROOT / "configs" / name / "tiny.yaml"
                stage = "pretraining" if name == "vilt" else "pretrain"
                groups = lambda size: ["stages.%s.data.%s=%d" % (stage, key, size)  # noqa: E731
                                       for key in ("group", "micro_batch")]
                more = ["eval.tasks=[]", "stages.%s.until.steps=6" % stage]
                for ranks in (1, 2, 4):
                    self.train("%s %d" % (name, ranks), "--procs", ranks, *more, *groups(4),
                               config=config)
                for ranks in (2, 4):
                    self.assert_close(self.losses("%s 1" % name), self.losses("%s %d" % (name, ranks)),
                                      1e-5, "%s on %d ranks" % (name, ranks))
                error = self.train("bad", "--procs", 2, *more, *groups(16), config=config, code=64)
                self.assertIn("expected whole groups on each of 2 ranks", error)

    def test_what_no_stage_can_do_is_refused_before_anything_is_trained(self):
        error = self.train("run", "eval.tasks=[{task: grounding, source: test}]",
                           config=TASKS["vilt"], code=64)
        self.assertIn("no stage's model has what grounding takes", error)
        error = self.train("run", "stages.vqa.model.parts=[rank]", config=TASKS["vilt"], code=64)
        self.assertIn("expected a loss of the model (itm); got 'vqa'", error)


if __name__ == "__main__":
    main()
