#!/usr/bin/env python3
"""Makes replies.json: what the originals' Python says of replies.

Usage: replies.py QWEN_VL LLAVA [OUT]: bare git repositories of QwenLM/Qwen-VL and haotian-liu/LLaVA
(neither is part of this repository). Of their files only functions are run.
"""
import ast
import json
import pathlib
import random
import re
import subprocess
import sys
from typing import Optional

OUT = pathlib.Path(__file__).parent / "replies.json"


def functions(repository, path, names):
    text = subprocess.run(["git", "--git-dir", repository, "show", "HEAD:" + path], check=True,
                          capture_output=True, text=True).stdout
    found = [node for node in ast.parse(text).body
             if isinstance(node, ast.FunctionDef) and node.name in names]
    scope = {"Optional": Optional}
    exec(compile(ast.Module(found, []), path, "exec"), scope)
    return [scope[name] for name in names]


def anls(levenshtein, reply, golds, threshold=0.5):
    """As evaluate_method of infographicsvqa_eval.py for one question."""
    values = []
    for answer in golds:
        gold = " ".join(answer.strip().lower().split())
        said = " ".join(reply.strip().lower().split())
        length = max(len(answer.upper()), len(reply.upper()))
        values.append(0.0 if length == 0 else levenshtein(gold, said) / length)
    result = 1 - min(values)
    return 0 if result < threshold else result


def letter(pred_idx, text, choices, options="ABCDE"):
    """As the main part of eval_science_qa.py for one reply."""
    options = list(options)
    if text in options:
        answer = text
    elif len(text) >= 3 and text[0] in options and text[1:3] == ". ":
        answer = text[0]
    else:
        found = re.compile(r"The answer is ([A-Z]).").findall(text)
        answer = found[0] if len(found) == 1 else "FAILED"
    return pred_idx(answer, list(range(choices)), options)


def box(text, width, height, unit=999):
    """As the main part of evaluate_grounding.py for one reply."""
    found = re.findall(re.compile(r"\((.*?)\),\((.*?)\)"), text)
    try:
        if "," not in found[0][0] or "," not in found[0][1]:
            values = (0.0, 0.0, 0.0, 0.0)
        else:
            x1, y1 = [float(part) for part in found[0][0].split(",")]
            x2, y2 = [float(part) for part in found[0][1].split(",")]
            values = (x1, y1, x2, y2)
    except Exception:
        values = (0.0, 0.0, 0.0, 0.0)
    return [v / unit * (height if i % 2 else width) for i, v in enumerate(values)]


NUMBERS = ["0", "12", "12%", "12.5 %", "0.12", "12.61", "1e3", "1,000", "1_000", "-3", "+3", " 3 ",
           "inf", "nan", "%", "", "5%%", "3.14abc", "0.0", ".5", "5.", "1e400", "1_", "--3", "yes",
           "Yes", "No.", "\u0660", "11.4", "11.39", "12.6", "0.114", "1000"]
WORDS = ["red circle", "Red  Circle", "a red circle ", "red square", "", " ", "r", "Stra\u00dfe",
         "STRASSE", "\u00c9t\u00e9", "\u00e9t\u00e9", "blue", "bleu", "\u4f60\u597d", "\u4f60",
         "line\nbreak", "line break"]
LETTERS = ["A", "B", "E", "F", "a", "B. because", "B.because", "B. ", "B.", "The answer is C.",
           "The answer is C", "The answer is C. The answer is D.", "the answer is C.",
           "So The answer is Z.", "E. x", "The answer is A\nThe answer is B.", "", "ABC",
           "The answer is The answer is B.", "The answer is BThe answer is C."]
BOXES = ["(1,2),(3,4)", "<box>(10,20),(500,999)</box>", "(1,2),(3,4),(5,6)", "(1,2)", "",
         "(a,b),(c,d)", "(1,2,3),(4,5)", "x (1) y (2,3),(4,5)", "((1,2),(3,4)", "(1,2), (3,4)",
         "( 1 , 2 ),( 3 , 4 )", "(1,2),(3\n,4)", "\n(1,2),(3,4)", "(1.5,2),(3,4e1)",
         "(9,9),(1,1)", "(1,2),(3,4)(5,6),(7,8)", "(,),(,)", "(1 2),(3,4)", "f(x) (7,8),(9,10)"]


def main():
    relaxed, exact = functions(sys.argv[1], "eval_mm/evaluate_vqa.py",
                               ["relaxed_correctness", "evaluate_exact_match_accuracy"])
    levenshtein, = functions(sys.argv[1], "eval_mm/infographicsvqa_eval.py",
                             ["levenshtein_distance"])
    pred_idx, = functions(sys.argv[2], "llava/eval/eval_science_qa.py", ["get_pred_idx"])
    rng = random.Random(1)
    pairs = [(a, b) for a in NUMBERS for b in NUMBERS] + [(a, b) for a in WORDS for b in WORDS]
    out = {"relaxed": [[a, b, relaxed(b, a.strip())] for a, b in rng.sample(pairs, 400)]}
    lists = [(rng.choice(WORDS), rng.sample(WORDS, rng.randint(1, 3))) for _ in range(150)]
    out["exact"] = [[a, list(b), exact([{"answer": a, "annotation": list(b)}])] for a, b in lists]
    out["anls"] = [[a, b, anls(levenshtein, a, b)] for a, b in lists]
    out["letters"] = [[t, n, letter(pred_idx, t, n)] for t in LETTERS for n in (2, 5)]
    out["boxes"] = [[t, w, h, box(t, w, h)] for t in BOXES for w, h in ((640, 480), (999, 999))]
    target = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else OUT
    target.write_text(json.dumps(out, separators=(",", ":")) + "\n")
    print({k: len(v) for k, v in out.items()}, target.stat().st_size)


if __name__ == "__main__":
    main()
