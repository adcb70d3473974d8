"""What the verbs say, and the exit codes of what they refuse."""

import json
import os
import unittest

import common
from common import CONFIG, main, metrics, newest, tandem

SHORT = ["stages.contrast.until.steps=4", "eval.tasks=[]"]


class Refused(common.RunTest):
    def refused(self, *arguments, code=64):
        got, out, error = tandem(*arguments, folder=self.folder)
        self.assertEqual(got, code, error)
        return out + error

    def test_the_answers_of_two_files_are_counted_into_one_list(self):
        def annotations(name, answers):
            path = self.folder / name
            path.write_text(json.dumps({"annotations": [
                {"question_id": i, "multiple_choice_answer": answer, "answer_type": "other",
                 "answers": [{"answer": answer}]} for i, answer in enumerate(answers)]}))
            return path

        train = annotations("train.json", ["A dog"] * 5 + ["two"] * 9 + ["cat"] * 8)
        val = annotations("val.json", ["Yes"] * 9 + ["the dog!"] * 4)
        out = self.folder / "lists" / "answers.json"
        code, _, error = tandem("data", "make", "answers", train, val, "--out", out)
        self.assertEqual(code, 0, error)
        self.assertIn("3 answers of at least 9 questions", error)
        self.assertEqual(json.loads(out.read_text()), ["dog", "2", "yes"])
        code, _, error = tandem("data", "make", "answers", val, train, "--least", 8, "--out", out)
        self.assertEqual(code, 0, error)
        self.assertEqual(json.loads(out.read_text()), ["yes", "dog", "2", "cat"])
        self.refused("data", "make", "answers", val, "--least", 10, "--out", out, code=65)
        self.refused("data", "make", "answers", self.folder / "none.json", "--out", out, code=65)

    def test_recipes_are_listed_with_their_stages_and_copied(self):
        code, out, error = tandem("recipes")
        self.assertEqual(code, 0, error)
        for system in ("clip", "vilt", "albef", "vlmo", "blip", "blip2", "llava", "qwen_vl",
                       "qwen2_vl", "qwen25_vl"):
            self.assertRegex(out, r"(?m)^%s/\w+ +\S.*\n +stages: \w+" % system)
        self.assertRegex(out, r"(?m)^qwen_vl/tiny .*\n +stages: pretrain, multitask, instruct$")
        code, out, error = tandem("recipes", "copy", "qwen_vl/tiny", self.folder / "mine")
        self.assertEqual(code, 0, error)
        code, _, error = tandem("check", out.strip(), "--plan-only")
        self.assertEqual(code, 0, error)
        self.assertIn("did you mean qwen_vl/tiny?",
                      self.refused("recipes", "copy", "qwen_vl/tony", self.folder / "mine"))

    def test_a_finished_run_says_so_and_changes_nothing(self):
        self.train("run", *SHORT)
        before = (metrics(self.folder / "run"), sorted(os.listdir(newest(self.folder / "run"))))
        error = self.train("run", *SHORT)
        self.assertIn("the run is complete: 4 steps in", error)
        self.assertEqual(
            (metrics(self.folder / "run"), sorted(os.listdir(newest(self.folder / "run")))), before)

    def test_an_error_that_all_ranks_meet_is_told_once(self):
        error = self.train("run", "--procs", 4, 'stages.contrast.train=["nobody.*"]', *SHORT,
                           code=64)
        self.assertEqual(error.count("tandem: "), 1, error)
        self.assertEqual(error.count("nobody.*"), 1, error)

    def test_an_error_of_one_rank_is_told_by_it_alone(self):
        process = self.start("run", "--procs", 4, *SHORT,
                             environment={"TANDEM_IO_FAIL_AT": "3:ENOSPC"})
        code, error = self.end(process)
        self.assertEqual(code, 74, error)
        self.assertEqual(error.count("tandem: "), 1, error)
        self.assertIn("No space left on device", error)

    def test_resume_never_on_a_run_that_is_there(self):
        self.train("run", "--resume", "never", *SHORT)
        error = self.train("run", "--resume", "never", *SHORT, code=64)
        self.assertIn(str(self.folder / "run"), error)
        self.assertIn("--out", error)

    def test_a_changed_config_names_the_key_both_values_and_both_ways_out(self):
        self.train("run", "--stop-after", 2, *SHORT, code=75)
        error = self.train("run", "seed=9", "stages.contrast.data.batch=8", *SHORT, code=64)
        self.assertIn("\n  seed: 3 -> 9\n", error)
        self.assertRegex(error, r"\n  stages\.(contrast|0)\.data\.batch: 16 -> 8\n")
        self.assertIn("give the old values back", error)
        self.assertIn("--out DIR", error)
        self.train("run", *SHORT)

    def test_what_does_not_change_the_bits_may_change(self):
        # The schedule knows the end: so only one that does not look at it ends in the same bytes.
        constant = ["stages.contrast.optimizer.schedule=constant"]
        self.train("whole", *constant)
        self.train("run", "--stop-after", 7, "stages.contrast.until.steps=15", *constant, code=75)
        changed = ["checkpoint.every=3", "checkpoint.keep=1", "loader.threads=2", "threads=2",
                   "eval.batch=4"]
        error = self.train("run", "--stop-after", 9, *constant, *changed, code=75)
        self.assertIn("bits may differ", error)
        self.assertIn("threads was 1, is 2", error)
        self.train("run", *constant)
        self.assertEqual(len(metrics(self.folder / "run")), 20)
        self.assertEqual(newest(self.folder / "run").name, newest(self.folder / "whole").name)

    def test_a_run_keeps_the_config_as_it_was_written(self):
        path = self.folder / "own.yaml"
        path.write_text("# mine\ninclude: [%s]\nseed:   4  # not 3\n" % CONFIG)
        for ranks in (1, 2):
            run = "%d ranks" % ranks
            self.train(run, "--procs", ranks, *SHORT, config=path)
            self.assertEqual((self.folder / run / "config.yaml").read_bytes(), path.read_bytes())
            self.assertIn("\nseed: 4\n", (self.folder / run / "resolved.yaml").read_text())
        # Gone on with, it is the newer one; a run that is refused leaves it.
        path.write_text(path.read_text() + "name: other\n")
        self.train(run, "--procs", 2, *SHORT, config=path)
        changed = self.folder / "changed.yaml"
        changed.write_text(path.read_text().replace("seed:   4", "seed:   5"))
        self.train(run, *SHORT, config=changed, code=64)
        self.assertNotEqual((self.folder / run / "config.yaml").read_bytes(),
                            changed.read_bytes())

    def test_loader_threads_and_checkpoints_do_not_change_the_bits(self):
        self.train("whole")
        self.train("run", "--stop-after", 7, "loader.threads=3", "checkpoint.every=2", code=75)
        self.train("run", "checkpoint.every=0", "loader.memory=1 MiB")
        self.assert_same_end("run", "whole")

    def test_two_processes_in_one_folder(self):
        process = self.start("run", "stages.contrast.until.steps=100000", "eval.tasks=[]")
        self.wait_for_step("run", 2, process)
        error = self.train("run", "stages.contrast.until.steps=100000", "eval.tasks=[]", code=64)
        self.assertIn("process %d" % process.pid, error)
        self.assertIn(str(self.folder / "run"), error)
        self.assertIsNone(process.poll())
        process.terminate()
        self.assertEqual(self.end(process)[0], 143)

    def test_commands_that_are_none(self):
        self.assertIn("--no-such", self.refused("train", CONFIG, "--no-such"))
        self.assertIn("subcommand", self.refused())
        self.refused("no-such-verb")
        self.assertRegex(self.refused("train", CONFIG, "--stop-after", 0),
                         r"--stop-after: Value 0 not in range 1 to \d+\n")
        error = self.train("run", "--stage", "contrasts", code=64)
        self.assertIn("expected a stage of contrast; got 'contrasts'", error)
        self.assertFalse((self.folder / "run").exists())
        self.assertIn("expected a config", self.refused("config"))

    def test_configs_that_cannot_be_read(self):
        for verb in ("train", "check", "config"):
            with self.subTest(verb=verb):
                self.assertIn("nowhere.yaml:1:1: no such file", self.refused(verb, "nowhere.yaml"))
        text = CONFIG.read_text()
        broken = self.folder / "broken.yaml"
        broken.write_text("name: x\nmodel: {family: clip\nseed: 3\n")
        self.assertRegex(self.refused("check", broken), r"broken\.yaml:\d+:\d+: not YAML")
        wrong = self.folder / "wrong.yaml"
        wrong.write_text(text.replace("seed: 3", "sead: 3").replace("batch: 16", "batch: many"))
        error = self.refused("train", wrong)
        self.assertRegex(error, r"wrong\.yaml:3:1: .*'sead'.*did you mean seed\?")
        self.assertRegex(error, r"wrong\.yaml:17:19: .*many")
        self.assertFalse((self.folder / "runs").exists())

    def test_a_name_of_another_trainer_is_answered_with_the_key_of_the_system(self):
        for system, theirs, ours in (
                ("llava", "cutoff_len", "model.max_tokens"),
                ("llava", "template", "model.chat"),
                ("llava", "pref_beta", "model.preference.beta"),
                ("qwen2_vl", "cutoff_len", "model.text.context_length"),
                ("qwen2_vl", "template", "model.dialogue.chat"),
                ("qwen2_vl", "image_max_pixels", "model.dialogue.max_pixels"),
                ("blip", "max_txt_len", "model.text.context_length"),
                ("blip", "label_smoothing_factor", "model.text.label_smoothing"),
                ("blip2", "max_txt_len", "model.qformer.context_length"),
                ("blip2", "label_smoothing_factor", "model.label_smoothing")):
            config = common.HERE.parent.parent / "configs" / system / "tiny.yaml"
            error = self.refused("config", config, theirs + "=1")
            self.assertIn("did you mean %s?" % ours, error)

    def test_a_tokenizer_that_is_not_said_or_said_twice(self):
        self.assertRegex(self.train("run", "model.vocabulary=0", code=64),
                         r"expected a tokenizer; got none .*model\.vocabulary")
        path = self.folder / "tokenizer.json"
        path.write_text("{}")
        self.assertRegex(self.train("run", "model.tokenizer=%s" % path, code=64),
                         r"either a tokenizer or a vocabulary.*got both")

    def test_a_folder_that_cannot_be_made(self):
        (self.folder / "file").write_text("")
        error = self.train("file/run", code=74)
        self.assertIn(str(self.folder / "file" / "run"), error)

    @unittest.skipIf(os.geteuid() == 0, "root may write into a read-only folder")
    def test_a_folder_that_cannot_be_written(self):
        (self.folder / "locked").mkdir(mode=0o555)
        error = self.train("locked/run", code=74)
        self.assertIn("Permission denied", error)


class Printed(common.RunTest):
    def printed(self, *arguments):
        code, out, error = tandem(*arguments, folder=self.folder)
        self.assertEqual(code, 0, error)
        return out

    def test_check_prints_the_plan_of_each_stage_and_trains_nothing(self):
        plan = self.printed("check", CONFIG, "--ranks", 2, "stages.contrast.data.micro_batch=4",
                            "stages.contrast.train=[{match: 'text_model.*', freeze: true}, '*']")
        self.assertIn("stage contrast: itc\n", plan)
        self.assertRegex(plan, r"(?m)^  frozen +text_model\.\*: \d+ tensors, \d+ parameters$")
        self.assertRegex(plan, r"(?m)^  trained +\*: \d+ tensors, \d+ parameters$")
        self.assertRegex(plan, r"in all: \d+ trained, \d+ frozen\n")
        self.assertIn("20 steps of 16 samples = 2 ranks x 2 micro-batches x 4; 320 samples", plan)
        self.assertRegex(plan, r"memory of a rank, about \d+ MiB: .*, activations \d+ MiB")
        self.assertEqual(os.listdir(self.folder), [])

    def test_clips_released_sizes_have_as_many_parameters_as_the_released_files(self):
        # Of openai/CLIP's models, logit_scale included.
        sizes = {"clip_vit_b32": 151_277_313, "clip_vit_b16": 149_620_737,
                 "clip_vit_l14": 427_616_513, "clip_vit_l14_336": 427_944_193}
        models = {path.stem: path for path in common.HERE.parents[1].glob("configs/models/clip_*.yaml")}
        self.assertEqual(set(models), {*sizes, "clip_small", "clip_tiny"})
        for name, path in sorted(models.items()):
            with self.subTest(name):
                config = self.folder / (name + ".yaml")
                config.write_text("include: [%s]\ndata: {sources: {a: {format: world, split: train, size: 99}}}\n"
                                  "stages: [{name: s, losses: {itc: 1}, data: {batch: 8}, until: {steps: 1}}]\n"
                                  % path)
                more = [] if name in sizes else ["model.vocabulary=600"]
                plan = self.printed("check", "--plan-only", config, *more)
                if name in sizes:
                    self.assertIn("  in all: %d trained, 0 frozen\n" % sizes[name], plan)

    def test_a_rule_that_catches_nothing_is_refused(self):
        code, _, error = tandem("check", CONFIG, "stages.contrast.train=['nothing.*', '*']")
        self.assertEqual(code, 64)
        self.assertIn("nothing.*", error)

    def test_config_prints_the_origin_of_each_value_and_reads_its_own_words(self):
        text = self.printed("config", CONFIG, "seed=9")
        self.assertIn("seed: 9  # override", text)
        self.assertRegex(text, r"embed_dim: 16  # .*tiny\.yaml:7\n")
        self.assertIn("precision: fp32  # default", text)
        again = self.folder / "again.yaml"
        again.write_text(text)
        values = [line.split("  #")[0] for line in text.splitlines()]
        second = self.printed("config", again)
        self.assertEqual([line.split("  #")[0] for line in second.splitlines()], values)

    def test_the_page_of_the_schema_is_the_one_in_docs(self):
        page = common.HERE.parents[1] / "docs" / "config.md"
        self.assertTrue(page.read_text() == self.printed("config", "--schema"),
                        "docs/config.md is stale: tandem config --schema > docs/config.md")

    def test_help_is_no_error(self):
        for verb in ([], ["train"], ["check"], ["config"], ["data"]):
            self.assertIn("Usage", self.printed(*verb, "--help"))


class Made(common.RunTest):
    def make(self, out, *arguments):
        code, _, error = tandem("data", "make", "tokenizer", CONFIG, "--out", self.folder / out,
                                *arguments)
        self.assertEqual(code, 0, error)
        return error, self.folder / out / "tokenizer.json"

    def test_a_vocabulary_of_a_configs_captions_serves_a_run(self):
        for kind, mark in (("clip", "<|endoftext|>"), ("wordpiece", "[SEP]")):
            with self.subTest(kind=kind):
                told, path = self.make(kind, "--kind", kind, "--vocabulary", 560)
                made = json.loads(path.read_text())
                words = {*made["model"]["vocab"], *(token["content"] for token in made["added_tokens"])}
                self.assertIn("%d tokens from" % len(words), told)
                self.assertLessEqual(len(words), 560)
                self.assertIn(mark, words)
                again = self.make(kind + " again", "--kind", kind, "--vocabulary", 560)[1]
                self.assertEqual(again.read_bytes(), path.read_bytes())
                few = self.make(kind + " few", "--kind", kind, "--vocabulary", 560,
                                "--samples", 2)[1]
                self.assertNotEqual(few.read_bytes(), path.read_bytes())
                self.train(kind + " run", "model.vocabulary=0", "model.tokenizer=%s" % path, *SHORT)
                kept = newest(self.folder / (kind + " run")) / "tokenizer.json"
                self.assertEqual(kept.read_bytes(), path.read_bytes())

    def test_a_vocabulary_that_cannot_be_made_is_refused(self):
        make = ["data", "make", "tokenizer", CONFIG, "--out", self.folder / "none"]
        for more, told in ((["--vocabulary", 20], "expected"), (["--vocabulary", 560, "--kind", "x"], "--kind"),
                           ([], "--vocabulary")):
            code, _, error = tandem(*make, *more)
            self.assertEqual(code, 64, error)
            self.assertIn(told, error)
        self.assertFalse((self.folder / "none").exists())


if __name__ == "__main__":
    main()
