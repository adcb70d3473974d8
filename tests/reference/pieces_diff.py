"""Ids of our tokenizers against the packages `tokenizers`, `sentencepiece` and `tiktoken`, for what
tokenizers_diff.py does not hold: models of pieces with scores, spaces that are marks, and the files of
other kinds than tokenizer.json (versions: scripts/reference.txt).

pieces_diff.py ENCODE_TOOL [STRINGS [NAME]]: trains small models of each kind, makes STRINGS strings
(100,000), feeds them to the tool as bytes and compares ids, ids with marks where the package has them,
and the decoded text. With NAME: only the kinds whose name holds it. Exits 1 at the first difference.
"""
import base64
import io
import json
import multiprocessing
import os
import random
import sys
import tempfile

from tokenizers_diff import Difference, ENGLISH, QWEN2, added, compare, every_char, ours, strings, text

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


def main():
    tool, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100000
    wanted = sys.argv[3] if len(sys.argv) > 3 else ""
    lines = lines_of(5)
    data = strings(count, seed=7)
    every = list(every_char())
    with tempfile.TemporaryDirectory() as folder:
        try:
            for name, make in documents(lines):
                if wanted in name:
                    path = os.path.join(folder, "tokenizer.json")
                    make().save(path)
                    compare(tool, name, path, data + every)
        except Difference as difference:
            sys.exit(str(difference))


if __name__ == "__main__":
    main()
