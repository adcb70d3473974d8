"""Ids of our tokenizers against those of the package `tokenizers` (versions: scripts/reference.txt).

tokenizers_diff.py ENCODE_TOOL [STRINGS]: trains tokenizers of each kind on generated text, makes
STRINGS strings (100,000) in many scripts with a fixed seed, feeds them to the tool as bytes, and
compares ids without marks, ids with marks cut to a length, and the decoded text with special tokens
and without. Tokenizers that differ from another one in a single option get a twentieth of the
strings. The other way round, what our trainers write is read by the package. Exits 1 at the first
difference, which it prints.
"""
import json
import multiprocessing
import os
import random
import struct
import subprocess
import sys
import tempfile
import unicodedata

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # two processes of ours instead
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE, WordPiece
from tokenizers.trainers import BpeTrainer, WordPieceTrainer

CONTRACTIONS = "'s|'t|'re|'ve|'m|'ll|'d"
CLIP = CONTRACTIONS + r"|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
CLIP_MARKED = r"<\|startoftext\|>|<\|endoftext\|>|" + CLIP
TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = r"(?i:" + CONTRACTIONS + r")|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + TAIL
LLAMA3 = r"(?i:" + CONTRACTIONS + r")|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + TAIL
LENGTH = 20  # of texts with marks

# ---- strings ----


def span(first, last):
    return [chr(c) for c in range(first, last + 1)]


SCRIPTS = {
    "latin": span(0x61, 0x7A) * 4 + span(0x41, 0x5A) + span(0xC0, 0x24F) + span(0x1E00, 0x1EFF),
    "greek": span(0x370, 0x3FF) + span(0x1F00, 0x1FFF),
    "cyrillic": span(0x400, 0x52F),
    "armenian": span(0x531, 0x58F) + span(0x10A0, 0x10FF) + span(0x1C80, 0x1C8A),
    "hebrew": span(0x591, 0x5F4),
    "arabic": span(0x600, 0x6FF) + span(0xFB50, 0xFDFF) + span(0xFE70, 0xFEFF),
    "indic": span(0x900, 0xDFF),
    "thai": span(0xE01, 0xE5B) + span(0xE81, 0xEDF) + span(0xF00, 0xFDA),
    "cjk": span(0x4E00, 0x4FFF) + span(0x3400, 0x3420) + span(0xF900, 0xFAD9) + span(0x2B810, 0x2B83F)
    + span(0x3001, 0x303F),
    "kana": span(0x3040, 0x30FF) + span(0xFF00, 0xFFEF),
    "hangul": span(0xAC00, 0xD7A3)[::7] + span(0x1100, 0x11FF) + span(0x3131, 0x318E),
    "emoji": span(0x1F300, 0x1F64F) + span(0x1F900, 0x1F9FF) + span(0x2600, 0x27BF) + ["\u200d", "\ufe0f"] * 20,
    "flags": span(0x1F1E6, 0x1F1FF),
    "marks": span(0x300, 0x36F) + span(0x1AB0, 0x1ACE) + span(0x20D0, 0x20F0) + ["e", "a", "\u0958", "\u1100"] * 9,
    "control": span(0, 0x1F) + span(0x7F, 0x9F) + ["\u200b", "\u200e", "\ufeff", "\xad", "\u08e2", "\u180e"],
    "digits": span(0x30, 0x39) * 5 + span(0x660, 0x669) + span(0x966, 0x96F) + ["²", "½", "Ⅷ", "①", "𝟘"],
    "punctuation": list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") * 3 + span(0x2010, 0x205E) + span(0x2E00, 0x2E5D),
    "symbols": span(0x20A0, 0x20C0) + span(0x2190, 0x23FF) + span(0xA0, 0xBF),
    "spaces": list(" \t\n\r\x0b\x0c\x85\xa0\u1680\u2000\u2003\u2028\u2029\u202f\u205f\u3000") + [" "] * 12 + ["\n"] * 5,
    "compatibility": span(0x2100, 0x218F) + span(0xFB00, 0xFB06) + span(0x1D400, 0x1D4FF) + ["ŉ", "ſ", "İ", "ı", "K", "Å"],
    "new": span(0x10D40, 0x10D85) + span(0x105C0, 0x105F3) + span(0x11935, 0x11938) + span(0xA7C0, 0xA7FF)
    + span(0x16EA0, 0x16EBB) + span(0x1E5D0, 0x1E5FF) + span(0x116D0, 0x116E3),
}
SCRIPTS = {name: [c for c in chars if not 0xD800 <= ord(c) < 0xE000] for name, chars in SCRIPTS.items()}
ENGLISH = ("a the photo of cat dog two small red blue square circle on left right above below with and man "
           "woman child street Running jumped don't It's I'll they've we're he'd I'm CAN'T WE'VE naïve café "
           "Zürich 1990 2.5 3rd U.S.A. e-mail hello, world! (yes) \"quoted\" http://example.org/a?b=c").split()
TOKENS = ["<|endoftext|>", "<|startoftext|>", "<|im_start|>", "<|im_end|>", "[CLS]", "[SEP]", "[MASK]", "[UNK]",
          "<left>", "<right>", "<both>", "<word>", "NewTok", "ÉTÉ", "<|EndOfText|>", "<|endoftext", "endoftext|>"]


def random_char(rng):
    while True:
        c = rng.randrange(0x110000) if rng.random() < 0.5 else rng.randrange(0x3000)
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def piece(rng):
    kind = rng.random()
    if kind < 0.30:
        return " ".join(rng.choices(ENGLISH, k=rng.randint(1, 5)))
    if kind < 0.36:
        return rng.choice(TOKENS)
    if kind < 0.42:
        return "".join(rng.choices(SCRIPTS["spaces"], k=rng.randint(1, 5)))
    if kind < 0.46:
        return rng.choice(["'", "’"]) + rng.choice(["s", "T", "re", "Ve", "m", "LL", "ll", "d", "ſ", "x", "", "lL"])
    if kind < 0.50:
        return "".join(random_char(rng) for _ in range(rng.randint(1, 6)))
    if kind < 0.52:
        return rng.choice("aA!é 7\u0301\n") * rng.randint(2, 130)
    chars = SCRIPTS[rng.choice(list(SCRIPTS))]
    return "".join(rng.choices(chars, k=rng.randint(1, 10)))


def text(rng):
    parts = []
    for _ in range(rng.randint(1, 5)):
        parts.append(piece(rng))
        if rng.random() < 0.5:
            parts.append(" ")
    return "".join(parts)


def strings(count, seed):
    """Bytes: UTF-8, one in eight with wrong bytes in it."""
    rng = random.Random(seed)
    made = [b"", b" ", b"\xff", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xe2\x82", b"\xf4\x90\x80\x80", b"\x00", b"a\xc0\xafb"]
    while len(made) < count:
        data = text(rng).encode()
        if rng.random() < 0.125:
            data = bytearray(data)
            for _ in range(rng.randint(1, 3)):
                at = rng.randint(0, len(data))
                if rng.random() < 0.5 and at < len(data):
                    del data[at]
                else:
                    data.insert(at, rng.randrange(0x80, 0x100))
        made.append(bytes(data))
    return made[:count]


def every_char():
    """Code points next to letters, digits and marks: the tables of properties. All of them where
    scripts and symbols are, some of the ideographs, syllables, private and empty planes."""
    full = [(0, 0x3400), (0xA000, 0xAC00), (0xF900, 0x12000), (0x16000, 0x19000), (0x1AF00, 0x20000)]
    chars = [c for first, end in full for c in range(first, end)]
    chars += [c for c in range(0x3400, 0x110000, 97) if not 0xD800 <= c < 0xE000]
    for i in range(0, len(chars), 8):
        yield "".join(f"a{c}\u0327{c}\u0301{c}1 {c}.'{c}" for c in map(chr, chars[i:i + 8])).encode()


# ---- tokenizers ----


def added():
    return [AddedToken("<left>", lstrip=True), AddedToken("<right>", rstrip=True, normalized=False),
            AddedToken("<both>", lstrip=True, rstrip=True, normalized=False),
            AddedToken("<word>", single_word=True), AddedToken("NewTok"), AddedToken("ÉTÉ"),
            AddedToken("Tok", single_word=True, normalized=False)]


def bpe(lines, size, normalizer, pre_tokenizer, decoder, specials, suffix=None, extra=(), **options):
    made = Tokenizer(BPE(**({"end_of_word_suffix": suffix} if suffix else {}), **options))
    if normalizer:
        made.normalizer = normalizer
    made.pre_tokenizer = pre_tokenizer
    made.decoder = decoder
    made.train_from_iterator(lines, BpeTrainer(vocab_size=size, special_tokens=specials, show_progress=False,
                                               min_frequency=2, **({"end_of_word_suffix": suffix} if suffix else {}),
                                               initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    made.add_tokens(list(extra))
    return made


def clip(lines, pattern=CLIP, extra=()):
    made = bpe(lines, 6000,
               normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]),
               pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "removed", invert=True),
                                        pre_tokenizers.ByteLevel(add_prefix_space=False)]),
               decoders.ByteLevel(), ["<|startoftext|>", "<|endoftext|>"], "</w>", extra, unk_token="<|endoftext|>")
    made.post_processor = processors.RobertaProcessing(("<|endoftext|>", 1), ("<|startoftext|>", 0), False, False)
    return made


def byte_level(lines, pattern, extra=(), normalizer=normalizers.NFC(), template=False, **options):
    made = bpe(lines, 6000, normalizer,
               pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"),
                                        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
               decoders.ByteLevel(), ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], None, extra, **options)
    made.post_processor = processors.ByteLevel(trim_offsets=False)
    if template:
        made.post_processor = processors.Sequence([
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing("<|im_start|> $A", "<|im_start|> $A $B", [("<|im_start|>", 1)])])
    return made


def gpt2(lines, prefix_space):
    return bpe(lines, 3000, None, pre_tokenizers.ByteLevel(add_prefix_space=prefix_space), decoders.ByteLevel(),
               ["<|endoftext|>"], None, added())


def bert(lines, normalizer=normalizers.BertNormalizer(), pre=pre_tokenizers.BertPreTokenizer(), extra=()):
    made = Tokenizer(WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizer
    made.pre_tokenizer = pre
    made.decoder = decoders.WordPiece()
    made.train_from_iterator(lines, WordPieceTrainer(vocab_size=9000, show_progress=False, min_frequency=2,
                                                     special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1",
                                                        [("[CLS]", 2), ("[SEP]", 3)])
    made.add_tokens(list(extra))
    return made


def chars_bpe(lines):
    """BPE on characters: unknown ones are fused, pieces in a word carry a prefix."""
    made = Tokenizer(BPE(unk_token="[UNK]", fuse_unk=True, continuing_subword_prefix="@@", end_of_word_suffix="</w>"))
    made.normalizer = normalizers.Sequence([normalizers.Strip(), normalizers.NFKD(), normalizers.StripAccents(),
                                            normalizers.Replace("the", "El")])
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(False)])
    made.decoder = decoders.BPEDecoder()
    made.train_from_iterator(lines, BpeTrainer(vocab_size=2000, special_tokens=["[UNK]"], show_progress=False,
                                               continuing_subword_prefix="@@", end_of_word_suffix="</w>",
                                               limit_alphabet=300))
    return made


def splits(lines):
    """One vocabulary behind each behavior of Split."""
    made = bert(lines, normalizers.Lowercase())
    for behavior in ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]:
        for invert in (False, True):
            made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"\s+"), behavior, invert),
                                                          pre_tokenizers.Split("a", behavior),
                                                          pre_tokenizers.Digits(True)])
            yield f"split {behavior} {invert}", made


def cut(made, **options):
    """The file's truncation. The length is the caller's, as LENGTH is here; a stride only makes further pieces."""
    made.enable_truncation(7, **options)
    return made


def bert_processing(lines):
    made = bert(lines, extra=added())
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return made


# Kinds of their own: each gets all strings.
KINDS = {
    "clip": clip,
    "qwen2": lambda lines: byte_level(lines, QWEN2, added()),
    "bert": lambda lines: bert(lines, extra=added()),
    "gpt2": lambda lines: gpt2(lines, False),
    "llama3": lambda lines: byte_level(lines, LLAMA3, added(), None, True, ignore_merges=True),
    "characters": chars_bpe,
}


def variants(lines):
    """Tokenizers that differ from a kind in an option."""
    nfkc = normalizers.Sequence([normalizers.NFKC(), normalizers.Strip(left=True, right=False)])
    cased = normalizers.BertNormalizer(lowercase=False, strip_accents=True, clean_text=False)
    spaces = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    yield "bert, cased", bert(lines, cased, spaces, added())
    yield "bert, BertProcessing", bert_processing(lines)
    yield "clip, marks in the pattern", clip(lines, CLIP_MARKED, added())
    yield "gpt2, prefix space", gpt2(lines, True)
    yield "qwen2, NFKC", byte_level(lines, QWEN2, added(), nfkc)
    yield "clip, cut left", cut(clip(lines), direction="left")
    yield "llama3, cut left", cut(KINDS["llama3"](lines), direction="left", strategy="only_first")
    yield "bert, cut left, stride", cut(bert_processing(lines), direction="left", stride=3)
    yield "bert, cut right, stride", cut(bert_processing(lines), stride=3)


# ---- comparison ----


class Difference(Exception):
    pass


def framed(data):
    return b"".join(struct.pack("<I", len(one)) + one for one in data)


def ours(tool, path, data):
    result = subprocess.run([tool, path, str(LENGTH)], input=framed(data), stdout=subprocess.PIPE)
    if result.returncode != 0:
        raise SystemError(f"encode_tool ended with {result.returncode}")
    output, at = result.stdout, 0
    for _ in data:
        answer = []
        for size in (4, 4, 1, 1):
            count, = struct.unpack_from("<I", output, at)
            block = output[at + 4:at + 4 + count * size]
            answer.append(block.decode() if size == 1 else list(struct.unpack(f"<{count}i", block)))
            at += 4 + count * size
        yield answer


def decode_all(theirs, lists, skip):
    """The decoders BPEDecoder and Strip of the package panic on no tokens at all: that is no text."""
    special = {i for i, token in theirs.get_added_tokens_decoder().items() if token.special} if skip else set()
    some = [not special.issuperset(ids) for ids in lists]
    decoded = iter(theirs.decode_batch([ids for ids, any_left in zip(lists, some) if any_left], skip_special_tokens=skip))
    return [next(decoded) if any_left else "" for any_left in some]


COMPARED = ("ids", "ids with marks", "decoded text", "decoded text without special tokens")


def compare(tool, name, path, data):
    theirs = Tokenizer.from_file(path)
    texts = [one.decode("utf-8", errors="replace") for one in data]
    truncation = theirs.truncation or {}
    theirs.no_truncation()
    plain = [e.ids for e in theirs.encode_batch_fast(texts, add_special_tokens=False)]
    theirs.enable_truncation(**(truncation | {"max_length": LENGTH}))
    marked = [e.ids for e in theirs.encode_batch_fast(texts, add_special_tokens=True)]
    decoded, shown = decode_all(theirs, plain, False), decode_all(theirs, marked, True)
    for one, *expected, got in zip(data, plain, marked, decoded, shown, ours(tool, path, data)):
        for what, a, b in zip(COMPARED, expected, got):
            if a != b:
                raise Difference(f"{name}: {what} of {one!r}\n  tokenizers: {a!r}\n  ours:       {b!r}\n"
                                 f"  pieces: {[theirs.id_to_token(i) for i in expected[0]]!r}")
    total = sum(map(len, plain))
    print(f"{name}: {len(data)} strings, {total} ids equal", flush=True)


def compare_training(tool, folder, lines, data):
    for kind, size in (("clip", 3000), ("gpt2", 3000), ("wordpiece", 20000)):
        path = os.path.join(folder, kind + ".json")
        subprocess.run([tool, "--train", kind, str(size), path], input=framed([l.encode() for l in lines]), check=True)
        compare(tool, "trained here, " + kind, path, data)
    # Byte-level training has no freedom but the ids of the marks: the merges are the package's.
    theirs = bpe(lines, 3000, None, pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel(), ["<|endoftext|>"])
    theirs.save(os.path.join(folder, "theirs.json"))
    merges = [json.load(open(os.path.join(folder, name)))["model"]["merges"] for name in ("gpt2.json", "theirs.json")]
    if merges[0] != merges[1]:
        at = next(i for i, (a, b) in enumerate(zip(*merges)) if a != b)
        raise Difference(f"training: merge {at} is {merges[0][at]}, of tokenizers {merges[1][at]}")
    print(f"training: {len(merges[0])} merges equal")


def check(tool, folder, data, tokenizers):
    for name, tokenizer in tokenizers:
        path = os.path.join(folder, f"{name}.json")
        tokenizer.save(path)
        compare(tool, name, path, data)


def jobs(tool, folder, count):
    rng = random.Random(1)
    lines = [text(rng) for _ in range(4000)]
    data = strings(count, seed=2)
    every = list(every_char())
    few = data[:count // 20] + every[::10]
    # A pattern of no family of ours is matched by ICU, whose Unicode is older than the package's: there are fewer digits.
    known = [one for one in few if all(unicodedata.category(c) != "Cn" for c in one.decode("utf-8", errors="replace"))]
    by_icu = lambda lines: [("ICU", byte_level(lines, r"[A-Za-z]+|\d{2}|.", (), normalizers.NFD()))]
    for name, make in KINDS.items():
        yield lambda name=name, make=make: check(tool, folder, data + every, [(name, make(lines))])
    yield lambda: check(tool, folder, few, variants(lines))
    yield lambda: check(tool, folder, few, splits(lines))
    yield lambda: check(tool, folder, known, by_icu(lines))
    yield lambda: compare_training(tool, folder, lines, data[:count // 20])


ALL_JOBS = []


def run_job(index):
    ALL_JOBS[index]()


def run_all(jobs):
    """All of them in two processes; ends the program at the first difference."""
    ALL_JOBS.extend(jobs)
    with multiprocessing.get_context("fork").Pool(2) as pool:  # the jobs come with the fork
        try:
            pool.map(run_job, range(len(ALL_JOBS)), chunksize=1)
        except Difference as difference:
            sys.exit(str(difference))


def main():
    tool, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100000
    with tempfile.TemporaryDirectory() as folder:
        run_all(jobs(tool, folder, count))


if __name__ == "__main__":
    main()
