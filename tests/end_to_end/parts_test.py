"""A Qwen2.5-VL that begins with a tower and a Qwen2, each from a directory of its own."""

import json

import common
from common import main, newest, tandem, tensors, write_tensors

CONFIG = common.HERE.parent.parent / "configs" / "qwen25_vl" / "tiny.yaml"
# What the file of a Qwen2 says; the sizes of configs/qwen25_vl/tiny.yaml but for the layers.
SIZES = {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2,
         "intermediate_size": 48, "max_position_embeddings": 512, "rms_norm_eps": 1e-6,
         "rope_theta": 1000000.0, "tie_word_embeddings": False, "model_type": "qwen2",
         "architectures": ["Qwen2ForCausalLM"]}


class Parts(common.RunTest):
    def make_parts(self):
        """The folders of a tower and of a language model of three layers."""
        self.train("other", "seed=9", "model.text.layers=3", "--stop-after", 1, config=CONFIG, code=75)
        code, _, error = tandem("export", self.folder / "other", self.folder / "whole")
        self.assertEqual(code, 0, error)
        weights = tensors(self.folder / "whole" / "model.safetensors")
        for name in ("tower", "words"):
            (self.folder / name).mkdir()
        write_tensors(self.folder / "tower" / "model.safetensors",
                      {name: value for name, value in weights.items() if name.startswith("visual.")})
        words = {name: value for name, value in weights.items() if not name.startswith("visual.")}
        write_tensors(self.folder / "words" / "model.safetensors", words)
        rows = words["model.embed_tokens.weight"][1][0]
        (self.folder / "words" / "config.json").write_text(
            json.dumps({**SIZES, "num_hidden_layers": 3, "vocab_size": rows}))
        return weights

    def test_a_run_begins_with_both(self):
        weights = self.make_parts()
        self.train("run", "model.vision.pretrained=tower", "model.text.pretrained=words",
                   "model.tokenizer=whole", "model.vocabulary=0",
                   "stages.tower.train=[\"visual.patch_embed.*\"]", "--stop-after", 1, config=CONFIG,
                   code=75)
        begun = tensors(newest(self.folder / "run") / "model.safetensors")
        self.assertEqual(set(begun), set(weights))
        for name, value in weights.items():
            if not name.startswith("visual.patch_embed."):
                self.assertEqual(begun[name], value, name)

    def test_another_width_is_named(self):
        self.make_parts()
        config = self.folder / "words" / "config.json"
        config.write_text(config.read_text().replace('"intermediate_size": 48',
                                                     '"intermediate_size": 40'))
        error = self.train("run", "model.text.pretrained=words", "model.tokenizer=whole",
                           "model.vocabulary=0", config=CONFIG, code=64)
        self.assertIn("model.layers.0.mlp.gate_proj.weight [40, 32]; got [48, 32]", error)


if __name__ == "__main__":
    main()
