"""Visual codes from a job stage (configs/vlmo/codes_tiny.yaml): the same bytes killed and resumed, on two
ranks, with other threads; and what the stage that takes them learns from."""

import os
import signal

import common
from common import HERE, main, newest

TINY = HERE.parent.parent / "configs" / "vlmo" / "codes_tiny.yaml"


class Codes(common.RunTest):
    def train(self, name, *arguments, **options):
        return super().train(name, *arguments, config=TINY, **options)

    def codes(self, name):
        folder = self.folder / name / "jobs" / "codebook"
        self.assertEqual([path.name for path in folder.iterdir()], ["codes.safetensors"])
        return (folder / "codes.safetensors").read_bytes()

    def centers(self, checkpoint):
        return common.tensors(checkpoint / "model.safetensors")["codes.centers"]

    def test_a_stage_takes_the_codes_that_a_job_trained(self):
        error = self.train("run")
        self.assertRegex(error, r"\[codebook\] 32 codes of 2560 patches, \d+ in use")
        self.codes("run")
        path = self.folder / "run" / "jobs" / "codebook" / "codes.safetensors"
        trained = common.tensors(path)["centers"]
        self.assertEqual(trained[:2], ("F32", [32, 192]))
        self.assertEqual(self.centers(newest(self.folder / "run")), trained)
        # The file of another run serves as well, and another codebook is another task.
        self.train("other", "stages.vision.codes=%s" % path)
        self.assertEqual(self.losses("other"), self.losses("run"))
        self.train("first_batch", "stages.vision.codes=null")
        self.assertNotEqual(self.losses("first_batch"), self.losses("run"))
        self.assertIn("complete", self.train("run"))

    def test_killed_resumed_shared_and_threaded_it_is_the_same(self):
        self.train("whole", "stages.vision.data.micro_batch=8")
        process = self.start("killed", "stages.vision.data.micro_batch=8", config=TINY)
        folder = self.folder / "killed" / "jobs" / "codebook"
        common.wait_for(lambda: len(list(folder.glob("patches/*.safetensors"))) >= 2 or
                        (folder / "codes.safetensors").exists())
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        process = self.start("killed", "stages.vision.data.micro_batch=8", config=TINY)
        common.wait_for(lambda: (folder / "state.safetensors").exists() or
                        (folder / "codes.safetensors").exists())
        process.terminate()
        self.assertIn(self.end(process)[0], (0, 143))
        self.train("killed", "stages.vision.data.micro_batch=8")
        self.assertEqual(self.codes("killed"), self.codes("whole"))
        self.assert_same_end("killed", "whole")
        self.train("two", "stages.vision.data.micro_batch=8", "--procs", 2)
        self.assertEqual(self.codes("two"), self.codes("whole"))
        self.assert_close(self.losses("two"), self.losses("whole"), 1e-5, "two ranks")
        self.train("threads", "threads=2", "loader.threads=3", "--stage", "codebook")
        self.assertEqual(self.codes("threads"), self.codes("whole"))

    def test_what_a_config_gets_wrong_is_told(self):
        def refused(part, *overrides):
            self.assertIn(part, self.train("refused", *overrides, code=64))

        refused("stages.vision.codes: no such file", "stages.vision.codes=nowhere")
        refused("no source 'codebook'", "stages.vision.data.mix={codebook: 1}")
        refused("stages.codebook.job: expected a model with a head that guesses codes",
                "model.parts=[itc, mlm]", "stages.vision.losses={mlm: 1}",
                "stages.vision.train=all")
        refused("stages.codebook.job.rounds: expected", "stages.codebook.job.rounds=0")
        refused("expected as many codes and patches as large as in stage codebook",
                "stages.vision.model={codes: 16}")
        error = self.train("refused", "stages.codebook.job.samples=2", code=64)
        self.assertIn("at least as many patches as codes (32); got 16", error)


if __name__ == "__main__":
    main()
