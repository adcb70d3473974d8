"""Language models from outside: dialogues of files and of the world, generate and chat."""

import json
import re
import subprocess

import common
from common import main, metrics, tandem

CONFIG = """
name: chat
seed: 3
model:
  family: llava
  vocabulary: 500
  vision: {image_size: 32, patch_size: 16, width: 32, layers: 1, heads: 2}
  language: {width: 32, layers: 1, heads: 2, kv_heads: 2, mlp: 48}
  max_tokens: 160
data:
  sources:
    world: {format: world, task: dialogue, size: 400, max_objects: 2}
    file: {format: dialogue, path: said.jsonl}
stages:
  - name: instruct
    losses: {lm: 1}
    data: {batch: 8, mix: {world: 3, file: 1}}
    optimizer: {lr: 3e-3, warmup: 2, clip: 1.0}
    until: {steps: 20}
threads: 1
loader: {threads: 1}
"""


def said(question, answer, **more):
    return json.dumps({"conversations": [{"from": "human", "value": question},
                                         {"from": "gpt", "value": answer}], **more})


class Chat(common.RunTest):
    def write(self, rows):
        (self.folder / "a.png").write_bytes(common.png(24, 16))
        (self.folder / "said.jsonl").write_text("\n".join(rows) + "\n")
        config = self.folder / "chat.yaml"
        config.write_text(CONFIG)
        return config

    def test_dialogues_are_trained_on_and_answered(self):
        rows = [said("<image>\nwhat is it?", "a picture", image="a.png"), said("yes or no?", "yes")]
        config = self.write(rows * 8)
        error = self.train("run", config=config)
        rows = metrics(self.folder / "run")
        self.assertLess(rows[-1]["loss"], rows[0]["loss"] - 1)
        self.assertIn("what is learned of the first samples stands in [[ ]]", error)
        told = error.split("what is learned of the first samples stands in [[ ]]")[1]
        parts = re.split(r"\n  (\S*(?:world/dialogue/train/\d+|said\.jsonl:\d+)): ", told)
        self.assertEqual(len(parts), 1 + 2 * 3, told)  # three samples: an id and a text each
        for text in parts[2::2]:
            self.assertRegex(text, r"(?s)ASSISTANT:\[\[.+\]\]")
        self.assertRegex(
            error, r"(?s)world/dialogue/train/\d+: .*USER: <<image> x 4>\n.*ASSISTANT:\[\[")

        def write(*more, code=0):
            got, out, error = tandem("generate", self.folder / "run", *more)
            self.assertEqual(got, code, error)
            return out if code == 0 else error

        asked = ["--image", self.folder / "a.png", "--prompt", "what is it?", "--max-tokens", 12]
        greedy = write(*asked)
        self.assertTrue(greedy.endswith("\n"))
        self.assertEqual(write(*asked), greedy)
        self.assertEqual(write(*asked, "--temperature", 0.01), greedy)
        drawn = [write(*asked, "--temperature", 3, "--seed", seed) for seed in (1, 1, 2)]
        self.assertEqual(drawn[0], drawn[1])
        self.assertNotEqual(drawn[0], drawn[2])
        self.assertEqual(write(*asked, "--temperature", 3, "--top-k", 1), greedy)
        write(*asked, "--beams", 3)
        self.assertIn("expected beams or a temperature", write("--beams", 2, "--temperature", 1,
                                                               code=64))
        self.assertIn("about draws", write("--top-k", 3, code=64))
        self.assertIn("no.png", write("--image", "no.png", code=74))

    def test_replies_stop_at_tokens_and_repeat_less(self):
        self.train("run", config=self.write([said("yes or no?", "yes")] * 8))
        prompts = self.folder / "prompts.jsonl"
        prompts.write_text(json.dumps({"prompt": "yes or no?"}) + "\n")

        def ids(*more, code=0):
            got, out, error = tandem("generate", self.folder / "run", "--prompts", prompts,
                                     "--max-tokens", 24, *more)
            self.assertEqual(got, code, error)
            return json.loads(out)["ids"] if code == 0 else error

        whole = ids()
        self.assertGreater(len(whole), 2)
        vocabulary = json.loads(
            (common.newest(self.folder / "run") / "tokenizer.json").read_text())["model"]["vocab"]
        words = {number: token for token, number in vocabulary.items()}
        last = next(i for i in reversed(range(1, len(whole))) if whole[i] in words)
        stop = words[whole[last]]
        self.assertEqual(ids("--stop=" + stop), whole[:whole.index(whole[last])])
        self.assertIn("expected a token of the vocabulary to stop at",
                      ids("--stop", "\u2603\u2603", code=64))

        self.assertEqual(ids("--repetition-penalty", 1), whole)
        apart = ids("--repetition-penalty", 1000)
        self.assertNotEqual(apart, whole)
        self.assertGreaterEqual(len(set(apart)) / len(apart), len(set(whole)) / len(whole))

        def say(*more):
            done = subprocess.run(
                [common.BINARY, "chat", self.folder / "run", "--max-tokens", "24", *more],
                input="yes or no?\n", capture_output=True, text=True, timeout=common.LIMIT)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout

        self.assertLess(len(say("--stop=" + stop)), len(say()))

    def test_a_chat_goes_on_where_it_was(self):
        self.train("run", config=self.write([said("yes or no?", "yes")] * 8))

        def chat(text, code=0):
            done = subprocess.run(
                [common.BINARY, "chat", self.folder / "run", "--max-tokens", "8"], input=text,
                capture_output=True, text=True, timeout=common.LIMIT)
            self.assertEqual(done.returncode, code, done.stderr)
            return done.stdout.splitlines(), done.stderr

        picture = self.folder / "a.png"
        lines, _ = chat("yes or no?\n/image %s\nwhat is it?\n/clear\nyes or no?\n" % picture)
        self.assertEqual(len(lines), 3)
        self.assertEqual(lines[0], lines[2])
        lines, error = chat("/image no.png\nyes or no?\n", code=0)
        self.assertEqual(len(lines), 1)
        self.assertIn("no.png", error)

    def test_a_foreign_template_is_refused_by_name(self):
        self.train("run", config=self.write([said("yes or no?", "yes")] * 8))
        model = self.folder / "model"
        code, _, error = tandem("export", self.folder / "run", model)
        self.assertEqual(code, 0, error)

        def write(code):
            got, _, error = tandem("generate", model, "--prompt", "yes or no?", "--max-tokens", 2)
            self.assertEqual(got, code, error)
            return error

        jinja = model / "chat_template.jinja"
        jinja.write_text("{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|eot_id|>"
                         "{% endfor %}{{ 'ASSISTANT:' }}{{ 'USER:' }}")
        write(0)  # an export of ours says how dialogues are written
        config = json.loads((model / "config.json").read_text())
        chat = config["tandem"].pop("chat")
        self.assertEqual(chat, "v1")
        (model / "config.json").write_text(json.dumps(config))
        error = write(64)
        self.assertIn("chat_template.jinja", error)
        self.assertIn("expected a chat template that writes as 'v1' does; got a foreign one", error)
        again = self.train("again", "model.tokenizer=%s" % model, "model.vocabulary=0",
                           "stages.instruct.until.steps=2", config=self.folder / "chat.yaml")
        self.assertIn("chat_template.jinja is a foreign chat template, which is not read", again)
        jinja.write_text("<|im_start|>system\nYou are a helpful assistant.<|im_end|>")
        self.assertIn("got one that writes as 'chatml'", write(64))
        jinja.write_text("{{ message['role'].upper() + ': ' }}{{ 'ASSISTANT:' }}")
        write(0)

    def test_what_cannot_be_learned_from_is_named(self):
        good = said("yes or no?", "yes")
        config = self.write([good] * 60 + [said("<image>", "no", image="no.png")])
        code, out, error = tandem("check", config)
        self.assertEqual(code, 65, out + error)
        self.assertRegex(out + error, r"said\.jsonl:61")
        self.assertIn("no.png", out + error)


if __name__ == "__main__":
    main()
