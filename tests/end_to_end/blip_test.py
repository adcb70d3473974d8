"""BLIP pre-trained on configs/blip/tiny.yaml: stopped and resumed, on two ranks, exported."""

import common
from common import HERE, main, newest, tensors

TINY = HERE.parent.parent / "configs" / "blip" / "tiny.yaml"


class Blip(common.RunTest):
    def train(self, name, *arguments, **options):
        return super().train(name, *arguments, config=TINY, **options)

    def test_copies_and_queues_resume_in_the_same_bytes(self):
        self.train("whole")
        self.train("stopped", "--stop-after", 7, code=75)
        self.train("stopped", "--stop-after", 13, code=75)
        self.train("stopped")
        self.assert_same_end("stopped", "whole")
        weights = tensors(newest(self.folder / "whole") / "model.safetensors")
        for name in ("image_queue", "text_queue", "queue_ptr", "temp",
                     "visual_encoder_m.blocks.0.attn.qkv.weight",
                     "text_encoder_m.encoder.layer.0.attention.self.query.weight",
                     "text_decoder.bert.encoder.layer.0.attention.self.query.weight"):
            self.assertIn(name, weights)
        # What encoder and decoder share stands there once.
        self.assertNotIn("text_decoder.bert.encoder.layer.0.output.dense.weight", weights)
        # 20 steps of 16 samples through 40 places.
        pointer = int.from_bytes(weights["queue_ptr"][2], "little")
        self.assertEqual(pointer, 20 * 16 % 40)

    def test_two_ranks_are_two_micro_batches(self):
        micro = "stages.pretrain.data.micro_batch=8"
        self.train("alone", micro)
        self.train("two", micro, "--procs", 2)
        self.assert_close(self.losses("two"), self.losses("alone"), 1e-5, "two ranks")

    def test_a_run_is_measured_and_exported(self):
        self.train("run")
        code, _, error = common.tandem("export", self.folder / "run", self.folder / "out")
        self.assertEqual(code, 0, error)
        ours = tensors(newest(self.folder / "run") / "model.safetensors")
        self.assertEqual(tensors(self.folder / "out" / "model.safetensors"), ours)

    def test_a_captioner_starts_from_it(self):
        self.train("run")
        tuned = self.folder / "captioner.yaml"
        text = TINY.read_text().replace("  vocabulary: 600\n", "  kind: captioning\n"
                                        "  prompt: \"a picture of \"\n  pretrained: %s\n"
                                        % newest(self.folder / "run"))
        text = text.replace("{itc: 1, itm: 1, lm: 1}", "{lm: 1}")
        tuned.write_text("\n".join(line for line in text.splitlines() if "eval:" not in line))
        self.assertEqual(self.end(self.start("captioner", config=tuned))[0], 0)
        weights = tensors(newest(self.folder / "captioner") / "model.safetensors")
        self.assertIn("vision_model.encoder.layers.0.self_attn.qkv.weight", weights)
        self.assertIn("text_decoder.bert.embeddings.word_embeddings.weight", weights)
        self.assertLess(self.losses("captioner")[-1], self.losses("run")[0])


if __name__ == "__main__":
    main()
