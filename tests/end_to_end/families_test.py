"""Every system's tiny config: trained, stopped, resumed to the same bytes, exported, and plans of the
configs that ship."""

import common
from common import main, metrics, newest, tandem, tensors

ROOT = common.HERE.parent.parent
TINY = {path.parent.name: path for path in sorted(ROOT.glob("configs/*/tiny.yaml"))}


class Families(common.RunTest):
    def test_all_of_them_are_here(self):
        self.assertEqual(sorted(TINY), ["albef", "blip", "vilt", "vlmo"])  # CLIP's is tiny.yaml here

    def test_stopped_and_resumed_ends_in_the_same_bytes(self):
        for name, config in TINY.items():
            with self.subTest(name):
                whole, stopped = name + " whole", name + " stopped"
                self.train(whole, config=config)
                rows = metrics(self.folder / whole)
                last = [row["loss"] for row in rows if row["stage"] == rows[-1]["stage"]]
                self.assertLess(min(last[1:]), last[0])
                for step in (1, len(rows) // 2, len(rows) - 2):
                    self.train(stopped, "--stop-after", step, config=config, code=75)
                self.train(stopped, config=config)
                self.assert_same_end(stopped, whole)

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
        for name in [*TINY, "clip"]:
            for config in sorted((ROOT / "configs" / name).glob("*.yaml")):
                if config.name in ("paper.yaml", "stamps.yaml"):  # their data are not here
                    continue
                with self.subTest(str(config.relative_to(ROOT))):
                    code, _, error = tandem("check", config)
                    self.assertEqual(code, 0, error)


if __name__ == "__main__":
    main()
