#!/usr/bin/env python3
"""Makes the fixtures of tests/eval/metrics_test.cpp.

  python tests/reference/caption_metrics.py tests/reference [vqaEval.py]

Written:
  caption_metrics.json   made-up tokenised captions with references, and what pycocoevalcap 1.2 says
  answer_accuracy.json   made-up answers, and what the official evaluation of VQA says. It comes as
                         PythonEvaluationTools/vqaEvaluation/vqaEval.py of GT-Vision-Lab/VQA a013f00
                         (the second argument; it is not kept here).
pycocoevalcap: pip install --no-deps pycocoevalcap==1.2 numpy (no Java: the texts are tokenised).
"""
import json
import pathlib
import random
import re
import sys

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

out = pathlib.Path(sys.argv[1])
rng = random.Random(7)

COLOURS = ["red", "blue", "green", "grey", "dark red"]
THINGS = ["dog", "cat", "fire truck", "house", "tree", "bus", "bird"]
PLACES = ["on the left", "above a wall", "in the rain", "near the water", ""]


def sentence():
    words = f"a {rng.choice(COLOURS)} {rng.choice(THINGS)} and a {rng.choice(THINGS)} "
    return " ".join((words + rng.choice(PLACES)).split())


def changed(text):
    words = text.split()
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(words))
        what = rng.randrange(4)
        if what == 0 and len(words) > 1:
            del words[at]
        elif what == 1:
            words.insert(at, words[at])
        elif what == 2:
            words[at] = rng.choice(COLOURS + THINGS)
        else:
            other = rng.randrange(len(words))
            words[at], words[other] = words[other], words[at]
    return " ".join(words)


def scores(pictures):
    caption = {i: [p["caption"]] for i, p in enumerate(pictures)}
    references = {i: p["references"] for i, p in enumerate(pictures)}
    bleu, bleu_each = Bleu(4).compute_score(references, caption, verbose=0)
    rouge, rouge_each = Rouge().compute_score(references, caption)
    cider, cider_each = Cider().compute_score(references, caption)
    return {"pictures": pictures, "bleu": bleu, "bleu_each": list(zip(*bleu_each)),
            "rouge_l": float(rouge), "rouge_l_each": [float(x) for x in rouge_each],
            "cider": float(cider), "cider_each": [float(x) for x in cider_each]}


def picture():
    first = sentence()
    references = [first] + [changed(first) for _ in range(rng.randrange(5))]
    return {"caption": changed(first), "references": references}


many = [picture() for _ in range(48)]
many += [
    {"caption": "", "references": ["a red dog"]},                          # nothing said
    {"caption": "zebra", "references": ["a red dog", "a cat"]},            # nothing right
    {"caption": "a", "references": ["a", "a red dog in the rain"]},
    {"caption": "a red dog " * 6, "references": ["a red dog"]},            # one thing over and over
    {"caption": "the the the the the", "references": ["the cat is on the mat", "a cat"]},
    {"caption": "a red dog", "references": ["a red dog"]},
    {"caption": "naïve café", "references": ["naïve café", "a café"]},
    {"caption": "a red", "references": ["a red dog is", "a red dog in the rain today"]},
]
for one in many:
    one["caption"] = one["caption"].strip()
sets = [scores(many), scores(many[:1]), scores(many[:7]), scores([many[49]] * 3),
        scores([{"caption": "a  red dog ", "references": ["a red  dog", "a red dog"]}, many[0]])]
(out / "caption_metrics.json").write_text(json.dumps(sets, indent=1, ensure_ascii=False) + "\n")

if len(sys.argv) > 2:
    source = re.sub(r"print (\".*\")", r"print(\1)", pathlib.Path(sys.argv[2]).read_text())
    module = {}
    exec(source, module)  # for Python 2 but for its print

    class Given:
        def __init__(self, questions):
            self.qa = questions

        def getQuesIds(self):
            return list(self.qa)

    answers = [
        "Yes", "yes.", "The dog", "a dog", "two", "Two dogs", "none", "0", "dont know", "don't know",
        "1,000", "1,000 people!", "t-shirt", "t shirt", "T - shirt", "black/white", "black and white",
        "5.30", "5:30 p.m.", ".5", "2.", "x.y", "no, it isnt", "it's", "its", "wheres", "\"stop\"",
        "stop", "(left)", "ten", "an apple\t", " the\nleft ", "somebody'd", "somebodyd've", "twas",
        "ow's'at", "yall'd've", "couldnt've", "couldn'tve", "@ home", "a+b = c", "?", "", "the",
        "CAFÉ", "café", "1, 2", "3,4 - 5", "let's go", "what? no", "what?no", "Im here", "ÉTÉ",
        "." * 40, "e.g. this", "100%", "$5.00", "#1", "rock'n'roll", "who're",
    ]
    cases = []
    for _ in range(400):
        pool = rng.sample(answers, rng.choice([1, 2, 2, 3, 4]))
        people = [rng.choice(pool) for _ in range(10)]
        cases.append([rng.choice(pool + answers[:3]), people])
    cases += [["Yes", ["Yes"] * 10], ["yes", ["Yes"] * 10], ["a dog", [" a dog\n"] * 10]]
    for word in answers:
        cases.append([word, [word] * 2 + ["other"] * 8])
    truth, said = {}, {}
    for i, (answer, people) in enumerate(cases):
        truth[i] = {"question_type": "", "answer_type": "", "answers": [
            {"answer": one, "answer_id": k} for k, one in enumerate(people)]}
        said[i] = {"answer": answer}
    official = module["VQAEval"](Given(truth), Given(said), n=9)
    official.updateProgress = lambda *_: None
    official.evaluate()
    record = {
        "cases": [[a, p, official.evalQA[i] / 100] for i, (a, p) in enumerate(cases)],
        "normalised": [[w, official.processDigitArticle(official.processPunctuation(
            w.replace("\n", " ").replace("\t", " ").strip()))] for w in answers],
    }
    (out / "answer_accuracy.json").write_text(json.dumps(record, ensure_ascii=False) + "\n")
