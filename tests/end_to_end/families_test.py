"""Every system's tiny config: trained, stopped, resumed to the same bytes, exported, and plans of the
configs that ship."""

import re

import common
import frozen
from common import main, metrics, newest, tandem, tensors

ROOT = common.HERE.parent.parent
# By system; a second one of a system has its own name behind it (tiny_t5.yaml).
TINY = {path.parent.name + path.stem[4:]: path for path in sorted(ROOT.glob("configs/*/tiny*.yaml"))}
# The stages of those that freeze something.
FREEZES = {"vlmo": {"vision", "language", "pairs"}, "blip2": {"first", "words", "second"},
           "blip2_t5": {"first", "words", "second"}, "llava": {"connector", "instruct"},
           "qwen_vl": {"pretrain", "instruct"}, "qwen2_vl": {"tower", "instruct"},
           "qwen25_vl": {"tower", "instruct"}}


class Families(common.RunTest):
    def test_all_of_them_are_here(self):
        # CLIP's is tiny.yaml here.
        self.assertEqual(sorted(TINY), ["albef", "blip", "blip2", "blip2_t5", "llava", "qwen25_vl",
                                        "qwen2_vl", "qwen_vl", "vilt", "vlmo"])

    def test_stopped_and_resumed_ends_in_the_same_bytes(self):
        for name, config in TINY.items():
            with self.subTest(name):
                whole, stopped = name + " whole", name + " stopped"
                self.train(whole, frozen.KEEP, config=config)
                rows = metrics(self.folder / whole)
                last = [row["loss"] for row in rows if row["stage"] == rows[-1]["stage"]]
                self.assertLess(min(last[1:]), last[0])
                for step in (1, len(rows) // 2, len(rows) - 2):
                    self.train(stopped, "--stop-after", step, config=config, code=75)
                self.train(stopped, config=config)
                self.assert_same_end(stopped, whole)
                still = frozen.check(self, whole, config)
                self.assertEqual({stage for stage, names in still.items() if names}, FREEZES.get(name, set()))
                if name == "vlmo":
                    self.check_language_stage(self.folder / whole)

    def check_language_stage(self, run):
        """Text alone changes neither attention nor what sees pictures, whatever the rules say."""
        ends = frozen.ends_of(run)
        before, after = (frozen.weights(ends[stage]) for stage in ("vision", "language"))
        kinds = (".attn.", ".norm1.", ".gamma_", ".norm2_imag.", ".mlp_imag.", ".patch_embed.", ".cls_token")
        for kind in kinds:
            names = [n for n in after if kind in n]
            self.assertGreater(len(names), 0, kind)
            for n in names:
                self.assertTrue(after[n] == before[n], n)
        for kind in (".norm2_text.", ".mlp_text.", "text_embeddings.word_embeddings."):
            self.assertTrue(all(after[n] != before[n] for n in after if kind in n), kind)

    def test_every_loss_is_also_measured(self):
        for name, config in TINY.items():
            with self.subTest(name):
                source = "test" if "\n    test:" in config.read_text() else "captions"
                task = "eval.tasks=[{task: loss, source: %s, size: 12}]" % source
                self.train(name + " measured", task, "eval.batch=8", config=config)
                rows = metrics(self.folder / (name + " measured"))
                prefix = "eval.%sloss." % ("test." if source == "test" else "")
                seen = set()
                for row in rows:
                    found = {key[len(prefix):]: row[key] for key in row if key.startswith(prefix)}
                    if not found:
                        continue
                    seen.add(row["stage"])
                    learned = {key[len("loss."):] for key in row if key.startswith("loss.")}
                    self.assertEqual(set(found), learned | {"total"})
                    for loss, value in found.items():  # "inf" and "nan" are texts
                        self.assertIsInstance(value, (int, float), loss)
                self.assertEqual(seen, {row["stage"] for row in rows})

    def test_an_export_holds_the_same_weights(self):
        for name, config in TINY.items():
            with self.subTest(name):
                self.train(name, "eval.tasks=[]", config=config)
                out = self.folder / (name + " out")
                code, _, error = tandem("export", self.folder / name, out)
                self.assertEqual(code, 0, error)
                kept = tensors(newest(self.folder / name) / "model.safetensors")
                self.assertEqual(tensors(out / "model.safetensors"), kept)

    def test_the_configs_for_the_world_are_planned(self):
        for name in sorted({path.parent.name for path in TINY.values()} | {"clip"}):
            for config in sorted((ROOT / "configs" / name).glob("*.yaml")):
                if "paper" in config.name or config.name == "stamps.yaml":  # their data are not here
                    continue
                with self.subTest(str(config.relative_to(ROOT))):
                    code, _, error = tandem("check", config)
                    self.assertEqual(code, 0, error)

    def test_the_papers_sizes_are_planned_without_their_weights_and_data(self):
        papers = sorted(path for name in TINY for path in ROOT.glob("configs/%s/*paper*.yaml" % name))
        self.assertGreaterEqual(len(papers), 15)
        for config in papers:
            with self.subTest(str(config.relative_to(ROOT))):
                code, out, error = tandem("check", config)
                self.assertEqual(code, 65, error)  # training could not start
                self.assertIn("not here: data.sources.", out)
                self.assertRegex(out, r"planned with a vocabulary of (30522|50257)")
                self.assertRegex(out, r"memory of a rank, about \d+ MiB: weights \d{3,6} MiB")
                self.assertIn("activations are not known: its samples are not here", out)
                code, again, error = tandem("check", "--plan-only", config)
                self.assertEqual((code, again), (0, out), error)

    def test_vlmo_reads_pairs_of_40_tokens_and_texts_of_196(self):
        code, out, error = tandem("check", "--plan-only", ROOT / "configs" / "vlmo" / "paper.yaml")
        self.assertEqual(code, 0, error)
        rows = r"text_embeddings\.position_embeddings\.\*: 1 tensors, (\d+) parameters"
        self.assertEqual(re.findall(rows, out), [str(196 * 768), str(40 * 768)])

    def test_momentum_copies_and_queues_are_a_part_of_the_plan(self):
        code, out, error = tandem("check", "--plan-only", ROOT / "configs" / "albef" / "paper.yaml")
        self.assertEqual(code, 0, error)
        line = re.search(r"memory of a rank, about (\d+) MiB: (.*)", out)
        parts = {name: int(size) for name, size in re.findall(r"(\w+) (\d+) MiB", line[2])}
        self.assertEqual(set(parts), {"weights", "gradients", "optimizer", "buffers"})
        # Copies of all but two small parts, and two queues of 65536 x 256 numbers.
        self.assertAlmostEqual(parts["buffers"], parts["weights"] + 128, delta=2)
        self.assertAlmostEqual(int(line[1]), sum(parts.values()), delta=4)

    def test_no_paper_is_measured_on_what_it_learns_from(self):
        measured = 0
        for config in sorted(ROOT.glob("configs/*/*paper*.yaml")):
            text = config.read_text()
            learned = {name for mix in re.findall(r"mix: \{([^}]*)\}", text)
                       for name in re.findall(r"(\w+):", mix)}
            if "mix: proportional" in text:  # all of them
                learned |= set(re.findall(r"^    (\w+): \{format:", text, re.M))
            tasks = set(re.findall(r"\{task: \w+, source: (\w+)", text))
            measured += len(tasks)
            self.assertEqual(tasks & learned, set(), config)
        self.assertGreater(measured, 10)

    def test_a_mistake_is_told_although_data_are_missing(self):
        config = ROOT / "configs" / "vilt" / "paper.yaml"
        code, _, error = tandem("check", config, "stages.pretraining.losses={itc: 1}")
        self.assertEqual(code, 64)
        self.assertIn("expected a loss of the model (mlm, itm, wpa); got 'itc'", error)
        code, _, error = tandem("check", config, "model.widht=3")
        self.assertEqual(code, 64)
        self.assertIn("did you mean model.width?", error)


if __name__ == "__main__":
    main()
