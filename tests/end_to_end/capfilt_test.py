"""CapFilt on configs/blip/capfilt_tiny.yaml: all its stages, killed and resumed, on two ranks."""

import io
import json
import os
import signal
import tarfile

import common
from common import HERE, main, newest

TINY = HERE.parent.parent / "configs" / "blip" / "capfilt_tiny.yaml"


class Capfilt(common.RunTest):
    def train(self, name, *arguments, **options):
        return super().train(name, *arguments, config=TINY, **options)

    def job(self, name, stage):
        """file name -> bytes of what a job wrote."""
        folder = self.folder / name / "jobs" / stage
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}

    def test_what_is_kept_is_also_written_as_tar_files(self):
        shards = ["stages.own.job.shards=true", "--stage", "own"]
        self.train("run", *shards)
        own = self.job("run", "own")
        kept = [json.loads(line) for name, text in sorted(own.items()) if name.endswith(".jsonl")
                for line in text.decode().splitlines() if json.loads(line)["kept"]]
        members = []
        for name in sorted(own):
            if name.endswith(".tar"):
                with tarfile.open(fileobj=io.BytesIO(own[name])) as tar:
                    members += [(one.name, tar.extractfile(one).read()) for one in tar]
        self.assertEqual(len(members), 3 * len(kept))
        for i, line in enumerate(kept):
            (picture, png), (text, words), (_, said) = members[3 * i:3 * i + 3]
            self.assertTrue(picture.endswith(".png") and png.startswith(b"\x89PNG"), picture)
            self.assertEqual(text, picture[:-4] + ".txt")
            self.assertEqual(words.decode(), line["text"])
            self.assertEqual(json.loads(said), line)

    def test_captions_are_written_judged_and_trained_on(self):
        self.train("run")
        own, kept = self.job("run", "own"), self.job("run", "kept")
        self.assertEqual(len(own), 160 // 32 + 1)
        lines = [json.loads(line) for name, text in own.items() if name.endswith(".jsonl")
                 for line in text.decode().splitlines()]
        self.assertEqual([line["index"] for line in lines], list(range(160)))
        self.assertEqual({line["from"] for line in lines}, {"own"})
        judged = [json.loads(line) for name, text in kept.items() if name.endswith(".jsonl")
                  for line in text.decode().splitlines()]
        written = sum(line["kept"] for line in lines)
        # Every text of the web's pictures, and one of the model's own.
        web = [line for line in judged if line["from"] == "web"]
        self.assertEqual(sorted({line["index"] for line in web}), list(range(160)))
        self.assertGreater(len({(line["index"], line["text"]) for line in web}), 2 * 160)
        self.assertEqual(len(judged), len(web) + written)
        for line in judged:
            self.assertEqual(line["source"], "web")
            self.assertEqual(line["kept"], line["match"] > 0.26 or "not above" not in line["why"])
            self.assertIn("above", line["why"])
        self.assertEqual({line["kind"] for line in judged if line["from"] == "web"},
                         {"true", "another scene", "one change"})
        summary = json.loads(kept["summary.json"])
        self.assertEqual(summary["web"]["captions"], len(web))
        self.assertIn("auc", summary["web"]["kinds"]["one change"])
        rows = common.metrics(self.folder / "run")
        self.assertEqual(len(rows), 6 + 4 + 4 + 6)
        self.assertIn("eval.test.caption.cider", rows[-1])
        out = self.folder / "out"
        code, text, error = common.tandem(
            "eval", self.folder / "run", "--out", out, "eval.tasks=[{task: caption, source: test, "
            "size: 12, sample: true, max_length: 18, prompt: a large}]")
        self.assertEqual(code, 0, error)
        self.assertIn("eval.test.caption.rouge_l", text)
        predictions = common.lines(out / "eval" / "test.caption.jsonl")
        self.assertEqual(len(predictions), 12)
        self.assertEqual(len(predictions[0]["references"]), 5)
        # The same command says that it is complete, and changes nothing.
        error = self.train("run")
        self.assertIn("complete", error)

    def test_a_killed_job_goes_on_in_the_same_bytes(self):
        self.train("whole")
        process = self.start("killed", config=TINY)
        folder = self.folder / "killed" / "jobs" / "own"
        common.wait_for(lambda: folder.exists() and len(list(folder.glob("*.jsonl"))) >= 2)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        self.train("killed", "--stage", "own")
        process = self.start("killed", config=TINY)
        folder = self.folder / "killed" / "jobs" / "kept"
        common.wait_for(lambda: folder.exists() and len(list(folder.glob("*.jsonl"))) >= 2)
        process.terminate()
        self.assertIn(self.end(process)[0], (0, 143))
        self.train("killed")
        for stage in ("own", "kept"):
            self.assertEqual(self.job("killed", stage), self.job("whole", stage))
        self.assert_same_end("killed", "whole")

    def test_two_ranks_share_the_work(self):
        micro = ["stages.%s.data.micro_batch=8" % name
                 for name in ("pretrain", "captioner", "judge", "anew")]
        self.train("alone", *micro, "--stage", "judge")
        self.train("two", *micro, "--stage", "judge")
        self.train("alone", *micro)
        # The ranks begin with the same weights.
        self.train("two", *micro, "--procs", 2)
        for stage in ("own", "kept"):
            self.assertEqual(self.job("two", stage), self.job("alone", stage))
        self.assertTrue(newest(self.folder / "two").exists())

    def test_what_a_config_gets_wrong_is_told(self):
        def refused(part, *overrides):
            error = self.train("refused", *overrides, code=64)
            self.assertIn(part, error)

        refused("no source 'nowhere'", "stages.own.job.inputs=[nowhere]")
        refused("no source 'kept'", "stages.own.job.inputs=[kept]")  # comes later
        refused("threshold", "stages.kept.job.threshold=2")
        refused("with `kind: job` alone", "stages.own.kind=train")


if __name__ == "__main__":
    main()
