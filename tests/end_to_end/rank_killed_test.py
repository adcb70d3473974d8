"""Ranks that are killed, interrupted, or started by hand with torchrun's variables."""

import os
import signal
import socket
import time

import common
from common import main, metrics, newest, processes_of

STEPS = ["stages.contrast.until.steps=40", "stages.contrast.data.batch=12", "eval.tasks=[]"]
KILLED_AFTER = 8


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class RankKilled(common.RunTest):
    def assert_gone(self, name, limit=10):
        end = time.monotonic() + limit
        while processes_of(self.folder / name) and time.monotonic() < end:
            time.sleep(0.02)
        self.assert_nobody_left(name)

    def kill_rank(self, name, rank):
        pids = [pid for pid, r in processes_of(self.folder / name).items() if r == str(rank)]
        self.assertEqual(len(pids), 1)
        os.kill(pids[0], signal.SIGKILL)
        return pids[0]

    def test_a_killed_rank_is_named_and_the_same_command_goes_on(self):
        command = ["--procs", 3, *STEPS]
        self.train("whole", *command)
        for rank in (0, 2):
            with self.subTest(rank=rank):
                name = "rank %d killed" % rank
                process = self.start(name, *command)
                self.wait_for_step(name, KILLED_AFTER, process)
                pid = self.kill_rank(name, rank)
                start = time.monotonic()
                code, error = self.end(process)
                self.assertEqual(code, 75, error)
                self.assertLess(time.monotonic() - start, 10)
                self.assert_nobody_left(name)
                # Each of the others says it for itself, and the launcher.
                self.assertRegex(error, r"tandem: \[dist\] lost rank %d \(process %d on " %
                                 (rank, pid))
                self.assertRegex(error, r"rank %d \(process %d\) was killed by signal 9" %
                                 (rank, pid))
                self.assertLess(len(metrics(self.folder / name)), 40)
                error = self.train(name, *command)
                self.assertRegex(error, r"resuming after step \d+")
                self.assert_same_end(name, "whole")

    def test_a_rank_killed_before_all_have_met_is_named(self):
        process = self.start("early", "--procs", 3, *STEPS)
        limit = time.monotonic() + common.LIMIT
        while "1" not in processes_of(self.folder / "early").values():
            if process.poll() is not None or time.monotonic() > limit:
                self.fail("no rank 1: %s" % self.end(process)[1])
        pid = self.kill_rank("early", 1)
        start = time.monotonic()
        code, error = self.end(process)
        self.assertEqual(code, 75, error)
        self.assertLess(time.monotonic() - start, 10)
        self.assertIn("rank 1 (process %d) was killed by signal 9" % pid, error)
        self.assert_nobody_left("early")

    def test_no_rank_outlives_a_killed_launcher(self):
        process = self.start("headless", "--procs", 2, *STEPS)
        self.wait_for_step("headless", KILLED_AFTER, process)
        process.kill()
        self.end(process)
        self.assert_gone("headless")
        self.train("headless", "--procs", 2, *STEPS)
        self.assertEqual(len(metrics(self.folder / "headless")), 40)

    def test_a_signal_to_the_launcher_saves_and_leaves(self):
        self.train("whole", "--procs", 2, *STEPS)
        for number, expected in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with self.subTest(signal=number.name):
                process = self.start(number.name, "--procs", 2, *STEPS)
                self.wait_for_step(number.name, KILLED_AFTER, process)
                process.send_signal(number)
                code, error = self.end(process)
                self.assertEqual(code, expected, error)
                self.assert_nobody_left(number.name)
                done = len(metrics(self.folder / number.name))
                self.assertEqual(newest(self.folder / number.name).name, "step-%06d" % done)
                self.assertLess(done, 40)
                self.train(number.name, "--procs", 2, *STEPS)
                self.assert_same_end(number.name, "whole")


class ByHand(common.RunTest):
    """torchrun sets these variables and starts the ranks itself."""

    def start_two(self, name):
        port = str(free_port())
        ranks = {}
        for rank in (1, 0):  # in whatever order
            ranks[rank] = self.start(name, *STEPS, environment={
                "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2",
                "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port})
        return ranks

    def ends(self, ranks):
        return {rank: self.end(process) for rank, process in ranks.items()}

    def test_ranks_started_by_hand_train_as_those_of_the_launcher(self):
        self.train("launched", "--procs", 2, *STEPS)
        for rank, (code, error) in self.ends(self.start_two("by hand")).items():
            self.assertEqual(code, 0, "rank %d: %s" % (rank, error))
        self.assert_same_end("by hand", "launched")

    def test_one_of_two_killed_or_interrupted(self):
        ranks = self.start_two("killed")
        self.wait_for_step("killed", KILLED_AFTER, ranks[0])
        ranks[1].kill()
        start = time.monotonic()
        code, error = self.end(ranks[0])
        self.assertEqual(code, 75, error)
        self.assertLess(time.monotonic() - start, 10)
        self.assertIn("lost rank 1 (process %d" % ranks[1].pid, error)
        self.end(ranks[1])

        # A signal that only one rank has seen stops both, after the same step.
        ranks = self.start_two("killed")
        self.wait_for_step("killed", 20, ranks[0])
        ranks[1].send_signal(signal.SIGINT)
        for rank, (code, error) in self.ends(ranks).items():
            self.assertEqual(code, 130, "rank %d: %s" % (rank, error))
        done = len(metrics(self.folder / "killed"))
        self.assertEqual(newest(self.folder / "killed").name, "step-%06d" % done)

    def test_ranks_of_slurm_and_mpirun_train_as_those_of_the_launcher(self):
        self.train("launched", "--procs", 2, *STEPS)
        launchers = {
            "slurm": lambda rank: {"SLURM_PROCID": rank, "SLURM_NTASKS": 2, "SLURM_LOCALID": rank,
                                   "SLURM_JOB_NODELIST": "here", "SLURM_TASKS_PER_NODE": "2"},
            "openmpi": lambda rank: {"OMPI_COMM_WORLD_RANK": rank, "OMPI_COMM_WORLD_SIZE": 2,
                                     "OMPI_COMM_WORLD_LOCAL_RANK": rank,
                                     "OMPI_COMM_WORLD_LOCAL_SIZE": 2},
            "mpich": lambda rank: {"PMI_RANK": rank, "PMI_SIZE": 2, "MPI_LOCALRANKID": rank,
                                   "MPI_LOCALNRANKS": 2, "MASTER_ADDR": "127.0.0.1"},
        }
        for name, variables in launchers.items():
            with self.subTest(launcher=name):
                port = str(free_port())
                ranks = {rank: self.start(name, *STEPS, environment={
                    "MASTER_PORT": port,
                    **{key: str(value) for key, value in variables(rank).items()}})
                    for rank in (1, 0)}
                for rank, (code, error) in self.ends(ranks).items():
                    self.assertEqual(code, 0, "rank %d: %s" % (rank, error))
                self.assert_same_end(name, "launched")

    def test_missing_variables_are_named(self):
        code, error = self.end(self.start("alone", environment={"WORLD_SIZE": "2"}))
        self.assertEqual(code, 64, error)
        self.assertIn("RANK is not set", error)


if __name__ == "__main__":
    main()
