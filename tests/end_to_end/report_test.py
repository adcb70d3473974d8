"""What a run leaves to look at: lines, tables, samples, and the page made of them."""

import csv
import json
import math

import common
from common import lines, main, tandem

MIXED = ["stages.contrast.data.mix={train: 3, test: 1}", "stages.contrast.until.steps=8",
         "eval.tasks=[]"]


class Told(common.RunTest):
    def test_plain_lines_name_the_loss_its_chance_level_and_the_time_left(self):
        error = self.train("run")
        self.assertRegex(error, r"contrast 1/20  loss \d+\.\d{4} \(chance 2\.773\)  lr 0\.00025  "
                                r"\d+ samples/s  \d+:\d\d left")
        self.assertIn("contrast 20/20  loss ", error)
        self.assertNotIn("\r", error)
        self.assertNotIn("chance level", error)

    def test_a_loss_that_stays_at_chance_is_warned_of_once(self):
        error = self.train("run", "stages.contrast.optimizer.lr=0", "stages.contrast.until.steps=160",
                           "eval.tasks=[]", "checkpoint.every=0")
        self.assertEqual(error.count("has stayed at its chance level 2.7726 (ln 16) for 50 steps"), 1)

    def test_the_table_holds_what_the_lines_of_json_hold_also_after_a_stop(self):
        self.train("run", "--stop-after", 7, code=75)
        self.train("run")
        rows = lines(self.folder / "run" / "metrics.jsonl")
        with open(self.folder / "run" / "metrics.csv", newline="") as file:
            table = list(csv.DictReader(file))
        self.assertEqual(len(table), len(rows))
        for row, cells in zip(rows, table):
            self.assertEqual({key: value for key, value in cells.items() if value},
                             {key: value if isinstance(value, str) else json.dumps(value)
                              for key, value in row.items()})

    def test_the_mix_that_was_seen_is_counted(self):
        self.train("run", *MIXED)
        for row in lines(self.folder / "run" / "metrics.jsonl"):
            self.assertEqual(row["seen.train"] + row["seen.test"], 16)
        rows = lines(self.folder / "run" / "metrics.jsonl")
        self.assertEqual(sum(row["seen.train"] for row in rows), 96)
        (stage,) = json.loads((self.folder / "run" / "stages.json").read_text())
        self.assertEqual([one["name"] for one in stage["sources"]], ["train", "test"])
        self.assertEqual((stage["steps"], stage["batch"], stage["first_step"]), (8, 16, 1))
        self.assertAlmostEqual(stage["chance"]["itc"]["value"], math.log(16))

    def test_an_evaluation_leaves_predictions_and_samples_with_pictures(self):
        self.train("run", "report.samples=3")
        run = self.folder / "run"
        predicted = lines(run / "eval" / "test.retrieval.jsonl")
        self.assertEqual([one["query"] for one in predicted],
                         ["image_to_text"] * 16 + ["text_to_image"] * 80)  # five captions each
        final = lines(run / "metrics.jsonl")[-1]
        for way in ("image_to_text", "text_to_image"):
            places = [one["place"] for one in predicted if one["query"] == way]
            for k in (1, 5, 10):
                self.assertAlmostEqual(final["eval.test.retrieval.%s.r%d" % (way, k)],
                                       sum(place < k for place in places) / len(places))
        samples = json.loads((run / "samples" / "test.retrieval.json").read_text())
        self.assertEqual(samples["step"], 20)
        self.assertEqual(len(samples["queries"]), 6)
        named = [one["picture"] for query in samples["queries"]
                 for one in [query, *query["answers"]] if one["picture"]]
        on_disk = {path.name for path in (run / "samples" / "test.retrieval").iterdir()}
        self.assertEqual(set(named), on_disk)
        for name in on_disk:
            data = (run / "samples" / "test.retrieval" / name).read_bytes()
            self.assertTrue(data.startswith(b"\x89PNG"))

    def test_a_page_is_made_of_a_run_that_goes_on_and_of_several(self):
        self.train("run", "--stop-after", 12, code=75)
        code, out, error = tandem("report", "run/", folder=self.folder)
        self.assertEqual((code, out), (0, "run/report.html\n"), error)
        page = (self.folder / "run" / "report.html").read_text()
        for part in ("12 of 20", "chance, ln 16", "data:image/png;base64,", "loader.threads"):
            self.assertIn(part, page)
        self.train("other", "seed=4")
        code, out, error = tandem("report", "run", "other", folder=self.folder)
        self.assertEqual((code, out), (0, "report.html\n"), error)
        page = (self.folder / "report.html").read_text()
        self.assertIn("<code>seed</code></td><td>3</td><td>4</td>", page)
        self.assertNotIn("<code>loader.threads</code>", page)

    def test_what_is_no_run_is_refused(self):
        code, _, error = tandem("report", self.folder)
        self.assertEqual(code, 64)
        self.assertIn("metrics.jsonl", error)


if __name__ == "__main__":
    main()
