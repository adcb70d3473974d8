"""Evaluations after training: the same as in training, on any number of ranks; galleries."""

import json
import pathlib

import common
from common import CONFIG, lines, main, make_pictures, metrics, newest, tandem

SIZE = 37  # no multiple of a batch or of the ranks


class Evaluate(common.RunTest):
    def evaluate(self, *arguments, code=0):
        got, out, error = tandem("eval", *arguments, folder=self.folder)
        self.assertEqual(got, code, error[-3000:])
        return out if code == 0 else error

    def values(self, *arguments):
        out = self.evaluate(*arguments)
        return {name: float(value) for name, value in (line.split() for line in out.splitlines())}

    def test_a_run_a_checkpoint_and_an_export_measure_what_training_measured(self):
        self.train("run")
        run = self.folder / "run"
        trained = {key: value for key, value in metrics(run)[-1].items() if key.startswith("eval.")}
        self.assertTrue(trained)
        got, _, error = tandem("export", run, self.folder / "export")
        self.assertEqual(got, 0, error)
        for model, config in ((run, []), (newest(run), []), (self.folder / "export", [CONFIG])):
            found = self.values(model, *config)
            self.assertEqual(set(found), set(trained), model)
            for name, value in trained.items():
                self.assertLess(abs(found[name] - value), 1e-4, name)

    def test_any_number_of_ranks_gives_the_same_lines(self):
        self.train("run")
        many = ["data.sources.test.size=%d" % SIZE,
                "eval.tasks=[{task: retrieval, source: test, size: 1000}, {task: hard, source: hard},"
                " {task: zero_shot, source: test, classes_file: %s, templates: ['{}', 'a {}.']}]"
                % (self.folder / "classes.txt"),
                "data.sources.hard={format: world, split: hard, max_objects: 2}"]
        # Every caption is a class: so the class of each picture is known.
        (self.folder / "classes.txt").write_text("")
        self.train("captions", "eval.tasks=[{task: retrieval, source: test, size: 1000}]", *many[:1],
                   "report.samples=1000", "stages.contrast.until.steps=1")
        samples = json.loads((self.folder / "captions/samples/test.retrieval.json").read_text())
        names = [query["text"] for query in samples["queries"] if query["picture"]]
        self.assertEqual(len(names), SIZE)
        (self.folder / "classes.txt").write_text("\n".join(dict.fromkeys(names)) + "\n")
        results = {}
        for ranks in (1, 2, 3):
            out = self.folder / ("out%d" % ranks)
            values = self.values(self.folder / "run", *many, "--procs", ranks, "--out", out)
            predictions = {path.name: path.read_text() for path in (out / "eval").glob("*.jsonl")}
            self.assertEqual(len(predictions), 2)
            self.assertEqual(len(predictions["test.retrieval.jsonl"].splitlines()), 6 * SIZE)
            pictures = sorted(path.name for path in out.glob("samples/*/*.png"))
            results[ranks] = (values, predictions, pictures)
        self.assertTrue(results[1] == results[2] == results[3])
        self.assertLess(results[1][0]["eval.test.zero_shot.top1"], 1.0001)

    def test_tasks_can_be_named_alone(self):
        self.train("run")
        found = self.values(self.folder / "run", "task={task: retrieval, source: test, size: 5}")
        self.assertEqual(len(found), 7)
        self.assertIn("expected tasks",
                      self.evaluate(self.folder / "run", "eval.tasks=[]", code=64))
        self.assertIn("expected a run", self.evaluate(self.folder, "task=retrieval", code=64))
        self.assertIn("did you mean retrieval?",
                      self.evaluate(self.folder / "run", "task=retreival", code=64))

    def test_zero_shot_by_the_names_that_stand_beside_the_pictures(self):
        self.train("run")
        make_pictures(self.folder / "pictures", 20)
        names = sorted({path.read_text().strip()
                        for path in (self.folder / "pictures").glob("*.txt")})
        config = self.folder / "zero.yaml"
        # JSON is YAML.
        config.write_text(json.dumps({
            "data": {"sources": {"own": {"format": "folder", "path": "pictures"}}},
            "eval": {"tasks": [{"task": "zero_shot", "classes": names,
                                "templates": ["a picture of {}", "{}"]}]}}))
        found = self.values(self.folder / "run", config)
        self.assertEqual(sorted(found), ["eval.zero_shot.mean_per_class", "eval.zero_shot.top1",
                                         "eval.zero_shot.top5"])
        self.assertLessEqual(found["eval.zero_shot.top1"], found["eval.zero_shot.top5"])


class Search(common.RunTest):
    def run_verb(self, *arguments, code=0):
        got, out, error = tandem(*arguments, folder=self.folder)
        self.assertEqual(got, code, error[-3000:])
        return [line.split("\t") for line in out.splitlines()] if code == 0 else error

    def test_a_gallery_finds_what_the_evaluation_found(self):
        make_pictures(self.folder / "pictures", 30)
        config = common.config_of(self, {"format": "folder", "path": "pictures"})
        self.train("run", config=config)
        run, out = self.folder / "run", self.folder / "out"
        self.run_verb("eval", run, "task={task: retrieval, source: own}", "--out", out)
        for ranks in (1, 2):
            gallery = self.folder / ("gallery%d" % ranks)
            self.run_verb("embed", run, config, "--source", "own", "--out", gallery, "--batch", 8,
                          "--procs", ranks)
        one, two = (lines(self.folder / name / "entries.jsonl")
                    for name in ("gallery1", "gallery2"))
        self.assertEqual(one, two)
        texts = {entry["id"] + "#0": entry["texts"][0] for entry in one}
        gallery = self.folder / "gallery1"
        predicted = lines(out / "eval" / "own.retrieval.jsonl")
        self.assertEqual(len(predicted), 60)
        for query in predicted[:3] + predicted[30:33]:
            if query["query"] == "image_to_text":
                by = ["--image", self.folder / "pictures" / query["id"], "--in", "texts"]
            else:
                by = ["--text", texts[query["id"]]]
            found = self.run_verb("search", gallery, *by, "--top", 10)
            self.assertEqual([int(row[0]) for row in found], list(range(1, 11)))
            scores = [float(row[1]) for row in found]
            for a, b in zip(scores, query["scores"]):
                self.assertLess(abs(a - b), 1e-4)
            # A query alone differs in the last bits from one in a batch: only neighbours that are as
            # near as that may change their places.
            expected = dict(zip(query["top"], query["scores"]))
            for (_, score, name, _), wanted in zip(found, query["top"]):
                if name != wanted:
                    self.assertLess(abs(float(score) - expected[wanted]), 2e-6)

    def test_a_folder_of_pictures_is_a_gallery_and_another_model_is_refused(self):
        self.train("run")
        make_pictures(self.folder / "pictures", 5)
        for path in (self.folder / "pictures").glob("*.txt"):
            path.unlink()
        run, gallery = self.folder / "run", self.folder / "gallery"
        self.run_verb("embed", run, self.folder / "pictures", "--out", gallery)
        found = self.run_verb("search", gallery, "--image", self.folder / "pictures/0003.png",
                              "--top", 2)
        self.assertEqual(found[0][2], "0003.png")
        self.assertGreater(float(found[0][1]), 0.9999)
        self.assertIn("gallery with texts",
                      self.run_verb("search", gallery, "--text", "x", "--in", "texts", code=64))
        self.train("other", "seed=9")
        error = self.run_verb("search", gallery, "--text", "x", "--model", self.folder / "other",
                              code=64)
        self.assertIn("that the gallery was made with", error)
        self.assertIn("--text or --image", self.run_verb("search", gallery, code=64))
        self.run_verb("search", self.folder / "pictures", "--text", "x", code=64)
        got = pathlib.Path(gallery / "entries.jsonl")
        got.write_text(got.read_text().replace("0001", "0009"))
        self.assertIn("entries.jsonl", self.run_verb("search", gallery, "--text", "x", code=65))


if __name__ == "__main__":
    main()
