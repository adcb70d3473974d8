"""Ids of our tokenizers against the packages `tokenizers`, `sentencepiece` and `tiktoken`, for what
tokenizers_diff.py does not hold: models of pieces with scores, spaces that are marks, and the files of
other kinds than tokenizer.json (versions: scripts/reference.txt).

pieces_diff.py ENCODE_TOOL [STRINGS [NAME]]: trains small models of each kind, makes STRINGS strings
(100,000), feeds them to the tool as bytes and compares ids, ids with marks where the package has them,
and the decoded text, with special tokens and without. With NAME: only the kinds whose name holds it.
Exits 1 at the first difference.
"""
import base64
import gzip
import io
import json
import os
import random
import sys
import tempfile
import unicodedata

from tokenizers_diff import (COMPARED, Difference, ENGLISH, LENGTH, QWEN2, added, bert, bpe, byte_level, clip, compare,
                             decode_all, every_char, ours, run_all, strings, text)

import sentencepiece
import tiktoken
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE, Unigram, WordLevel
from tokenizers.trainers import BpeTrainer, UnigramTrainer, WordLevelTrainer

# ---- models ----


def lines_of(seed, count=4000):
    rng = random.Random(seed)
    scripts = [text(rng).replace("\n", " ").replace("\x00", "").replace("\r", " ") for _ in range(count)]
    # Most characters are common ones, as in real text: the others remain unknown to the models.
    return scripts + [" ".join(rng.choices(ENGLISH, k=30)) + " 你好 été привет 🎉" for _ in range(4 * count)]


def sentencepiece_model(lines, **options):
    """Bytes of a model."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, minloglevel=2,
                                             **({"vocab_size": 3000, "hard_vocab_limit": False, "character_coverage": 0.98} | options))
    return model.getvalue()


def fields(data):
    """(number, value) of a protocol buffer's message."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            length = {1: 8, 5: 4}.get(key & 7) or varint()
            yield key >> 3, data[at:at + length]
            at += length


def parts_of(model):
    """(piece, score, type) of a model's pieces, and its character map."""
    import struct
    pieces, charsmap = [], b""
    for number, value in fields(model):
        if number == 1:
            piece = dict(fields(value))
            pieces.append((piece[1].decode(), struct.unpack("<f", piece[2])[0], piece.get(3, 1)))
        elif number == 3:
            charsmap = dict(fields(value)).get(2, b"")
    return pieces, charsmap


def t5(lines):
    """T5's tokenizer.json from a SentencePiece model."""
    pieces, charsmap = parts_of(sentencepiece_model(lines, pad_id=0, eos_id=1, unk_id=2, bos_id=-1))
    made = Tokenizer(Unigram([(piece, score) for piece, score, _ in pieces], unk_id=2))
    made.normalizer = normalizers.Precompiled(charsmap)
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    made.decoder = decoders.Metaspace()
    made.post_processor = processors.TemplateProcessing("$A </s>", "$A </s> $B </s>", [("</s>", 1)])
    made.add_special_tokens(["<pad>", "</s>", "<unk>"] + [f"<extra_id_{i}>" for i in range(10)])
    return made


def llama(lines, legacy):
    made = Tokenizer(BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    specials = ["<unk>", "<s>", "</s>"]
    made.train_from_iterator(lines, BpeTrainer(vocab_size=3000, special_tokens=specials + [f"<0x{i:02X}>" for i in range(256)],
                                               limit_alphabet=200, show_progress=False))
    made = Tokenizer.from_str(drop_bytes(made.to_str()))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    made.decoder = decoders.Sequence(steps)
    if legacy:
        made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        made.pre_tokenizer = None
    else:
        made.normalizer = None
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    made.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A <s> $B", [("<s>", 1)])
    made.add_tokens([AddedToken("<image>", special=True, normalized=False), AddedToken("NewTok"),
                     AddedToken("<left>", lstrip=True)])
    return made


def drop_bytes(document):
    """The byte tokens are no added tokens."""
    data = json.loads(document)
    data["added_tokens"] = [t for t in data["added_tokens"] if not t["content"].startswith("<0x")]
    return json.dumps(data)


def unigram(lines, byte_fallback, normalizer, pre, decoder):
    made = Tokenizer(Unigram())
    made.normalizer = normalizer
    made.pre_tokenizer = pre
    specials = ["<unk>", "<s>", "</s>"] + ([f"<0x{i:02X}>" for i in range(256)] if byte_fallback else [])
    made.train_from_iterator(lines[4000:], UnigramTrainer(vocab_size=3000, special_tokens=specials, unk_token="<unk>",
                                                   show_progress=False))
    data = json.loads(drop_bytes(made.to_str()))
    data["model"]["byte_fallback"] = byte_fallback
    made = Tokenizer.from_str(json.dumps(data))
    made.decoder = decoder
    made.add_tokens(added())
    return made


def word_level(lines):
    made = Tokenizer(WordLevel(unk_token="[UNK]"))
    made.normalizer = normalizers.Nmt()
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.CharDelimiterSplit(" "), pre_tokenizers.Punctuation("contiguous")])
    made.train_from_iterator(lines, WordLevelTrainer(vocab_size=2000, special_tokens=["[UNK]"], show_progress=False))
    return made


def documents(lines):
    charsmap = parts_of(sentencepiece_model(lines[:500]))[1]
    yield "t5", lambda: t5(lines)
    yield "llama, legacy", lambda: llama(lines, True)
    yield "llama", lambda: llama(lines, False)
    fallback = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")])
    yield "unigram, bytes", lambda: unigram(
        lines, True, None, pre_tokenizers.Metaspace(prepend_scheme="first"), fallback)
    yield "unigram", lambda: unigram(
        lines, False, normalizers.Sequence([normalizers.Precompiled(charsmap), normalizers.Replace(Regex(" {2,}"), " ")]),
        pre_tokenizers.Metaspace("_", prepend_scheme="never"), decoders.Metaspace("_", prepend_scheme="never"))
    yield "unigram, words", lambda: unigram(
        lines, False, normalizers.NFKC(), pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(True)]), None)
    yield "words", lambda: word_level(lines)


# ---- files of other kinds ----


class Pieces:
    """`sentencepiece` with the part of the other package that `compare` uses, and a mark before a text."""

    def __init__(self, model, before=(), after=()):
        self.model, self.before, self.after = sentencepiece.SentencePieceProcessor(model_proto=model), before, after

    def answers(self, texts):
        # What SentencePiece calls unknown and control are the special tokens of transformers.
        special = {i for i in range(self.model.vocab_size()) if self.model.is_unknown(i) or self.model.is_control(i)}
        for one in texts:
            ids = self.model.encode(one)
            cut = LENGTH - len(self.before) - len(self.after)
            marked = [*self.before, *ids[:cut], *self.after]
            yield ids, marked, self.model.decode(ids), self.model.decode([i for i in marked if i not in special])


def compare_answers(tool, name, path, data, answers):
    total = 0
    texts = [one.decode("utf-8", errors="replace") for one in data]
    for one, expected, got in zip(data, answers(texts), ours(tool, path, data)):
        total += len(expected[0])
        for what, a, b in zip(COMPARED, expected, got):
            if a != b:
                raise Difference(f"{name}: {what} of {one!r}\n  expected: {a!r}\n  ours:     {b!r}")
    print(f"{name}: {len(data)} strings, {total} ids equal", flush=True)


def sentencepiece_kinds(lines):
    """(name, file name, model, marks before, marks after)."""
    llama = dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
                 split_digits=True, allow_whitespace_only_pieces=True)
    yield "sentencepiece, llama", "tokenizer.model", llama, (1,), ()
    yield "sentencepiece, t5", "spiece.model", dict(pad_id=0, eos_id=1, unk_id=2, bos_id=-1), (), (1,)
    yield "sentencepiece, bpe", "tokenizer.model", dict(model_type="bpe", user_defined_symbols=["<x>", "cat", "ca"]), (1,), ()
    yield "sentencepiece, bytes", "tokenizer.model", dict(byte_fallback=True, user_defined_symbols=["<x>"]), (1,), ()
    yield "sentencepiece, behind", "tokenizer.model", dict(treat_whitespace_as_suffix=True, normalization_rule_name="nfkc_cf"), (1,), ()
    yield "sentencepiece, plain", "tokenizer.model", dict(add_dummy_prefix=False, remove_extra_whitespaces=False), (1,), ()


def write(folder, name, content):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())


def check_sentencepiece(tool, folder, data, lines, wanted):
    for name, file, options, before, after in sentencepiece_kinds(lines):
        if wanted in name:
            place = os.path.join(folder, name)
            model = sentencepiece_model(lines, **options)
            write(place, file, model)
            compare_answers(tool, name, place, data, Pieces(model, before, after).answers)


def old_strings(count):
    """Strings whose characters Unicode 3.2 had: Python's tables of normal forms are newer than those of `tokenizers`."""
    def is_old(data):
        return all(unicodedata.ucd_3_2_0.category(c) != "Cn" or c > "\U0001F000" for c in data.decode("utf-8", "replace"))
    made = [data for data in every_char() if is_old(data)]
    seed = 7
    while len(made) < count:
        made += filter(is_old, strings(count, seed))
        seed += 1
    return made


def check_tiktoken(tool, folder, count, lines):
    """Ranks from merges that `tokenizers` learned."""
    made = byte_level(lines, QWEN2)
    letters = {letter: byte for byte, letter in zip(range(256), byte_letters())}
    vocabulary = sorted((i, t) for t, i in made.get_vocab().items() if not t.startswith("<|"))
    tokens = [bytes(letters[c] for c in t) for _, t in vocabulary]
    place = os.path.join(folder, "tiktoken")
    write(place, "qwen.tiktoken", "".join(f"{base64.b64encode(t).decode()} {i}\n" for i, t in enumerate(tokens)))
    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + [f"<|extra_{i}|>" for i in range(205)]
    theirs = tiktoken.Encoding("qwen", pat_str=QWEN2, mergeable_ranks={t: i for i, t in enumerate(tokens)},
                               special_tokens={t: len(tokens) + i for i, t in enumerate(marks)})

    def answers(texts):
        for one in texts:
            ids = theirs.encode(unicodedata.normalize("NFC", one), allowed_special="all")
            marked = ids[:LENGTH]
            yield ids, marked, theirs.decode(ids), theirs.decode([i for i in marked if i < len(tokens)])
    compare_answers(tool, "tiktoken", place, old_strings(count), answers)


def byte_letters():
    prints = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(b) if b in prints else chr(next(others)) for b in range(256)]


def folder_kinds(lines):
    """name: (class, tokenizer, its configuration)."""
    def gpt2():
        return bpe(lines, 3000, None, pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel(), ["<|endoftext|>"])
    cased = normalizers.BertNormalizer(lowercase=False)
    yield "GPT2", ("GPT2", gpt2, {})
    yield "Qwen2", ("Qwen2", lambda: byte_level(lines, QWEN2), {"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    yield "CLIP", ("CLIP", lambda: released_clip(lines), {})
    yield "Bert", ("Bert", lambda: bert(lines), {})
    yield "Bert, cased", ("Bert", lambda: bert(lines, cased), {"do_lower_case": False})


def released_clip(lines):
    """With the decoder of CLIP's own tokenizer.json."""
    made = clip(lines)
    made.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Replace("</w>", " "), decoders.Strip(" ", 0, 1)])
    return made


def check_folder(tool, folder, data, name, system, made, config):
    """vocab.json with merges.txt, or vocab.txt, taken out of a tokenizer.json."""
    place = os.path.join(folder, name)
    made = Tokenizer.from_str(made.to_str())
    model = json.loads(made.to_str())["model"]
    if system == "Bert":
        write(place, "vocab.txt", "".join(t + "\n" for t, _ in sorted(model["vocab"].items(), key=lambda x: x[1])))
    else:
        write(place, "vocab.json", json.dumps(model["vocab"]))
        write(place, "merges.txt", "#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in model["merges"]))
    write(place, "tokenizer_config.json", json.dumps(config | {"tokenizer_class": system + "Tokenizer"}))

    def answers(texts):
        plain = [e.ids for e in made.encode_batch_fast(texts, add_special_tokens=False)]
        made.enable_truncation(LENGTH)
        marked = [e.ids for e in made.encode_batch_fast(texts, add_special_tokens=True)]
        return zip(plain, marked, decode_all(made, plain, False), decode_all(made, marked, True))
    compare_answers(tool, f"folder of {name}", place, data, answers)


def check_clip_file(tool, folder, data, lines):
    """CLIP's own file: letters and merges in its order, then the marks."""
    made = released_clip(lines)
    merges = [tuple(m) for m in json.loads(made.to_str())["model"]["merges"]]
    letters = sorted(byte_letters())
    vocabulary = letters + [x + "</w>" for x in letters] + ["".join(m) for m in merges] + ["<|startoftext|>", "<|endoftext|>"]
    start, end = len(vocabulary) - 2, len(vocabulary) - 1
    made.model = BPE(vocab={t: i for i, t in enumerate(vocabulary)}, merges=merges, end_of_word_suffix="</w>", unk_token="<|endoftext|>")
    made = Tokenizer.from_str(made.to_str().replace('"id":0,', f'"id":{start},').replace('"id":1,', f'"id":{end},'))
    place = os.path.join(folder, "clip")
    write(place, "bpe_simple_vocab_16e6.txt.gz", gzip.compress(("# version\n" + "".join(" ".join(m) + "\n" for m in merges)).encode()))

    def answers(texts):
        plain = [e.ids for e in made.encode_batch_fast(texts, add_special_tokens=False)]
        marked = [[start, *ids[:LENGTH - 2], end] for ids in plain]
        return zip(plain, marked, decode_all(made, plain, False), decode_all(made, marked, True))
    compare_answers(tool, "CLIP's own file", place, data, answers)


def jobs(tool, folder, count, wanted):
    lines = lines_of(5)
    data = strings(count, seed=7) + list(every_char())

    def document(name, make):
        path = os.path.join(folder, name + ".json")
        make().save(path)
        compare(tool, name, path, data)
    for name, make in documents(lines):
        if wanted in name:
            yield lambda name=name, make=make: document(name, make)
    for name, *_ in sentencepiece_kinds(lines):
        if wanted in name:
            yield lambda name=name: check_sentencepiece(tool, folder, data, lines, name)
    if wanted in "tiktoken":
        yield lambda: check_tiktoken(tool, folder, count, lines)
    for name, (system, make, config) in folder_kinds(lines):
        if wanted in "folder of " + name:
            yield lambda name=name, system=system, make=make, config=config: check_folder(
                tool, folder, data, name, system, make(), config)
    if wanted in "CLIP's own file":
        yield lambda: check_clip_file(tool, folder, data, lines)


def main():
    tool, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100000
    with tempfile.TemporaryDirectory() as folder:
        run_all(jobs(tool, folder, count, sys.argv[3] if len(sys.argv) > 3 else ""))


if __name__ == "__main__":
    main()
