"""Killed with SIGKILL again and again, a run ends in the bytes of one that was left alone."""

import os
import random
import time

import common
from common import main

KILLS = 100 if os.environ.get("TANDEM_SLOW") else 20
RUN = ["stages.contrast.until.steps=%d" % (20 * KILLS), "checkpoint.every=10", "eval.every=100",
       "loader.threads=2"]


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


if __name__ == "__main__":
    main()
