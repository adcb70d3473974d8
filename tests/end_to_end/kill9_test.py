"""Killed with SIGKILL again and again, a run ends in the bytes of one that was left alone."""

import os
import random
import re
import time

import common
from common import HERE, main

KILLS = 100 if os.environ.get("TANDEM_SLOW") else 20
RUN = ["stages.contrast.until.steps=%d" % (20 * KILLS), "checkpoint.every=10", "eval.every=100",
       "loader.threads=2"]
CONFIGS = HERE.parent.parent / "configs"
# Stages with other heads, of which the first and the last have momentum copies and queues.
STAGES = {"albef": ["pretrain", "ve", "nlvr2", "retrieval"],
          "blip": ["pretrain", "nlvr2", "retrieval"]}
LENGTH = 40  # of each stage


class Kill9(common.RunTest):
    def test_killed_at_random_moments(self):
        self.train("whole", *RUN)
        chance = random.Random(20)
        kills, target = 0, 0
        resumed = set()
        while kills < KILLS:
            process = self.start("killed", *RUN)
            # Most moments lie in the steps and saves, some in the start.
            if chance.random() < 0.2:
                time.sleep(chance.uniform(0, 0.4))
            else:
                target += chance.randint(1, 20)
                common.wait_for(lambda: process.poll() is not None or
                                common.rows_of(self.folder / "killed") >= target)
                time.sleep(chance.uniform(0, 0.03))
            process.kill()
            code, error = self.end(process)
            if code == 0:
                break
            self.assertEqual(code, -9, error)
            self.assertNotIn("passed over", error)
            resumed.update(line for line in error.splitlines() if "resuming after" in line)
            kills += 1
        error = self.train("killed", *RUN)
        self.assertNotIn("passed over", error)
        self.assertEqual(kills, KILLS, "the run was over before the kills were: make it longer")
        self.assertGreater(len(resumed), 3)
        self.assert_same_end("killed", "whole")

    def test_killed_inside_each_stage(self):
        for family, stages in STAGES.items():
            with self.subTest(family):
                config = CONFIGS / family / "tasks_tiny.yaml"
                run = ["eval.every=0", "eval.tasks=[]", "checkpoint.every=4",
                       *("stages.%s.until.steps=%d" % (stage, LENGTH) for stage in stages)]
                whole, killed = family + " whole", family + " killed"
                self.train(whole, *run, config=config)
                for i in range(len(stages)):
                    process = self.start(killed, *run, config=config)
                    # Behind two checkpoints of the stage.
                    self.wait_for_step(killed, i * LENGTH + 9, process)
                    process.kill()
                    code, error = self.end(process)
                    self.assertEqual(code, -9, error)
                    if i > 0:
                        after = int(re.search(r"resuming after step (\d+)", error).group(1))
                        self.assertGreaterEqual(after, (i - 1) * LENGTH + 8)
                error = self.train(killed, *run, config=config)
                self.assertNotIn("passed over", error)
                self.assert_same_end(killed, whole)


if __name__ == "__main__":
    main()
