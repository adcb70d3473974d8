"""Questions about videos from outside: the tiny Qwen2-VL and Qwen2.5-VL on the world's clips."""

import common
from common import HERE, main, metrics

CONFIGS = HERE.parent.parent / "configs"
# JSON is YAML. Clips of at most one object: frames at two a second, a few tokens each.
CLIPS = """
include: [%s]
name: video_questions
model: {text: {context_length: 320}, dialogue: {frames: {rates: [1, 2]}}}
data:
  sources:
    clips: {format: world, task: clip, split: train, size: 400, max_objects: 2, rates: [2, 4]}
    asked: {format: world, task: clip, split: test, size: 16, max_objects: 2, rates: [2, 3]}
stages:
  - name: instruct
    data: {mix: {clips: 1, questions: null}}
eval: {every: 0, batch: 4, tasks: [{task: vqa, source: asked, size: 16, stages: [instruct]}]}
"""


class VideoQuestions(common.RunTest):
    def test_clips_are_learned_asked_about_and_resumed(self):
        for family in ("qwen2_vl", "qwen25_vl"):
            with self.subTest(family=family):
                config = self.folder / (family + ".yaml")
                config.write_text(CLIPS % (CONFIGS / family / "tiny.yaml"))
                whole, stopped = family + "_whole", family + "_stopped"
                self.train(whole, config=config)
                rows = metrics(self.folder / whole)
                losses = [row["loss"] for row in rows if row["stage"] == "instruct"]
                self.assertLess(min(losses[1:]), losses[0])
                values = {key: rows[-1].get("eval.asked.vqa." + key)
                          for key in ("accuracy", "exact", "anls")}
                for key, value in values.items():
                    self.assertIsNotNone(value, key)
                    self.assertTrue(0 <= value <= 1, values)
                lines = common.lines(self.folder / whole / "eval" / "asked.vqa.jsonl")
                self.assertEqual(len(lines), 16)
                self.assertLessEqual({line["kind"] for line in lines},
                                     {"start", "stop", "way", "speed", "object"})
                # Rates are drawn by the sample's place, so that a run goes on with the same ones.
                self.train(stopped, "--stop-after", len(rows) - 3, config=config, code=75)
                self.train(stopped, "loader.threads=2", config=config)
                self.assert_same_end(stopped, whole)


if __name__ == "__main__":
    main()
