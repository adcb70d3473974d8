"""Instruction data and lists for pre-training from outside: made, killed, answered, trained on."""

import json
import signal
import subprocess
import time

import common
from common import HERE, main, tandem

TINY = HERE.parent.parent / "configs" / "llava" / "tiny.yaml"


class Instruct(common.RunTest):
    def files(self, name):
        folder = self.folder / name
        return {str(path.relative_to(folder)): path.read_bytes()
                for path in sorted(folder.rglob("*")) if path.is_file()}

    def instruct(self, name, *more, code=0):
        got, out, error = tandem("data", "instruct", TINY, "--source", "captions", "--out",
                                 self.folder / name, *more)
        self.assertEqual(got, code, error)
        return out if code == 0 else error

    def config_of(self, folder, steps=6):
        path = self.folder / "trained.yaml"
        path.write_text(
            "include: [%s]\ndata: {sources: {own: {format: dialogue, path: %s/data.json, "
            "pictures: %s/pictures}}}\nmodel: {max_tokens: 1700}\n"
            "stages: [{name: instruct, data: {mix: {own: 1, questions: null}}, until: "
            "{steps: %d}}]\n" % (TINY, self.folder / folder, self.folder / folder, steps))
        return path

    def test_the_world_answers_and_the_dialogues_are_trained_on(self):
        out = self.instruct("out", "--world", "data.sources.captions.boxes=true", "--samples", 30)
        self.assertIn("kept, conversation: 30", out)
        self.assertIn("kept, detail: 30", out)
        self.assertIn("kept, reasoning: 30", out)
        self.assertIn("without a dialogue: 0", out)
        files = self.files("out")
        requests = [json.loads(line) for line in files["requests/000000.jsonl"].splitlines()]
        self.assertEqual(len(requests), 90)
        self.assertEqual(requests[1]["id"], "captions-000000000-detail")
        self.assertRegex(requests[1]["messages"][-1]["content"], r"\n\n\w+: \[0\.\d+, ")
        data = json.loads(files["data.json"])
        self.assertEqual([row["id"] for row in data], [row["id"] for row in requests])
        self.assertIn("pictures/" + data[0]["image"], files)
        # The same command changes nothing; other settings are refused.
        self.instruct("out", "--world", "data.sources.captions.boxes=true", "--samples", 30)
        self.assertEqual(self.files("out"), files)
        self.assertIn("`samples`", self.instruct("out", "--world", "--samples", 31,
                                                 "data.sources.captions.boxes=true", code=64))
        code, _, error = tandem("check", self.config_of("out"))
        self.assertEqual(code, 0, error)
        self.train("run", config=self.config_of("out"))
        # A model of our own answers, badly: everything that is dropped says why.
        out = self.instruct("own", "--model", self.folder / "run", "--samples", 2, "--shots", 0,
                            "--max-tokens", 12)
        rows = common.lines(self.folder / "own" / "dropped.jsonl")
        kept = json.loads((self.folder / "own" / "data.json").read_text())
        self.assertEqual(len(rows) + len(kept), 6)
        self.assertTrue(all(row["why"] and row["where"].startswith("answers/") for row in rows))
        self.assertFalse(any(row["why"].startswith("no answer") for row in rows), rows)
        # Another model, or the same with other draws, is not mixed in.
        error = self.instruct("own", "--model", self.folder / "run", "--samples", 2, "--shots", 0,
                              "--max-tokens", 13, code=64)
        self.assertRegex(error, r"who answered before \(.*at most 12 tokens\); got .*at most 13")

    def test_a_killed_job_goes_on_to_the_same_end(self):
        more = ("--world", "--part", "16")
        self.instruct("whole", *more)
        whole = self.files("whole")
        kills = 0
        for number in range(6):
            name = "killed%d" % number
            for wait in (0.15 + 0.06 * number, 0.4, 0.6):
                process = subprocess.Popen(
                    [common.BINARY, "data", "instruct", str(TINY), "--source", "captions", "--out",
                     str(self.folder / name), *more], stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL)
                time.sleep(wait)
                if process.poll() is None:
                    process.send_signal(signal.SIGKILL)
                    kills += 1
                process.wait()
            self.instruct(name, *more)
            files = {file: data for file, data in self.files(name).items() if ".tmp." not in file}
            for file in whole:
                if not file.startswith("read/"):
                    self.assertEqual(files[file] == whole[file], True, file)
        self.assertGreater(kills, 2)

    def test_answers_of_somebody_else(self):
        self.instruct("out", "--samples", 2, "--kinds", "conversation,detail")
        answers = self.folder / "out" / "answers"
        (answers / "batch.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (
            {"id": "captions-000000001-conversation",
             "text": "Question:\nWhat is there?\n===\nAnswer:\nA ring."},
            {"id": "captions-000000000-detail",
             "text": "The caption tells of a ring that is large and red, on white."})))
        out = self.instruct("out", "--samples", 2, "--kinds", "conversation,detail")
        self.assertIn("kept, conversation: 1", out)
        self.assertIn("dropped, speaks of what was told: 1", out)
        self.assertIn("requests: 4, without a dialogue: 3", out)

    def test_a_list_for_pretraining(self):
        out = self.folder / "list"
        code, _, error = tandem("data", "make", "llava-pretrain", TINY, "--source", "captions",
                                "--out", out, "--most", 4)
        self.assertEqual(code, 0, error)
        self.assertRegex(error, r"\d+ phrases: \d+ in fewer than 3 captions, \d+ in more than 4")
        rows = json.loads((out / "data.json").read_text())
        self.assertGreater(len(rows), 20)
        self.assertLess(len(rows), 400)
        self.assertIn("<image>", rows[0]["conversations"][0]["value"])
        self.assertTrue((out / "pictures" / rows[0]["image"]).is_file())
        code, _, error = tandem("check", self.config_of("list"))
        self.assertEqual(code, 0, error)
        # From files that lie there already, nothing is copied.
        common.make_pictures(self.folder / "set", 30)
        code, _, error = tandem("data", "make", "llava-pretrain", self.folder / "set", "--out",
                                self.folder / "other", "--least", 1)
        self.assertEqual(code, 0, error)
        self.assertIn("the source's own folder", error)
        rows = json.loads((self.folder / "other" / "data.json").read_text())
        self.assertTrue((self.folder / "set" / rows[0]["image"]).is_file())
        self.assertFalse((self.folder / "other" / "pictures").exists())


if __name__ == "__main__":
    main()
