#!/usr/bin/env python3
"""Writes the small byte-level BPE tokenizers in test/data/tokenizer and what they must give, by an independent implementation.

usage: make_small_bpe.py SHARED/golden/text [OUTPUT_FOLDER]

The texts are those of tokenizer_qwen.json there, written for that folder; codepoints.json, measured on Hugging Face tokenizers 0.23.3,
gives the character classes of the split patterns. Words come from Python's `re`, merges from a plain search, NFC from Python's unicodedata (14.0.0)
with the code points that are newer than Unicode 9 left alone. Standard library only.
"""
import collections
import functools
import hashlib
import json
import re
import struct
import sys
import unicodedata
from pathlib import Path

MERGES = 400
ADDED = [("<|endoftext|>", True), ("<|im_start|>", True), ("<|im_end|>", True), ("<think>", False), ("<|im", False)]
QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def byte_letters():
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(rest)}


LETTER = byte_letters()


def patterns(points):
    spell = lambda key: "".join(f"\\U{a:08x}-\\U{b:08x}" for a, b in points[key])
    letter, number, space = spell("letter"), spell("number"), spell("space")
    tail = f"| ?[^{space}{letter}{number}]+%s|[{space}]+(?![^{space}])|[{space}]+"
    qwen = re.compile("'(?:[sS\u017f]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])"
                      f"|[^\\r\\n{letter}{number}]?[{letter}]+|[{number}]" + tail % f"[\\r\\n]*|[{space}]*[\\r\\n]+")
    gpt2 = re.compile(f"'(?:s|t|re|ve|m|ll|d)| ?[{letter}]+| ?[{number}]+" + tail % "")
    return qwen, gpt2


def make_nfc(points):
    """NFC in which no code point moves that the reference does not know: text is cut around them."""
    classes = {c: k for a, b, k in points["combining_class"] for c in range(a, b + 1)}
    newer = {c for row in points["never_composed"] for c in row}
    decomposes = lambda c: unicodedata.decomposition(chr(c))[:1] not in ("", "<")    # then its own class never matters
    unknown = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000
                      and (c in newer or (classes.get(c, 0) != unicodedata.combining(chr(c)) and not decomposes(c))))
    assert all(unicodedata.combining(c) == 0 or ord(c) not in classes for c in unknown)
    cut = re.compile(f"([{re.escape(unknown)}])")
    return lambda text: text if text.isascii() else "".join(unicodedata.normalize("NFC", part) for part in cut.split(text))


def train(words):
    """Merges by falling count of the pair, smaller spelling first where counts are equal."""
    counts = {tuple(LETTER[b] for b in word.encode()): n for word, n in words.items()}
    merges = []
    for _ in range(MERGES):
        pairs = collections.Counter()
        for word, n in counts.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += n
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        joined = collections.Counter()
        for word, n in counts.items():
            joined[tuple(join(list(word), best))] += n
        counts = joined
    return merges


def join(symbols, pair):
    out = []
    for s in symbols:
        if out and out[-1] is not None and (out[-1], s) == pair:
            out[-1] = s = out[-1] + s
            out.append(None)                                  # a symbol made by this pass takes no part in it again
        else:
            out.append(s)
    return [s for s in out if s is not None]


class Reference:
    def __init__(self, vocab, merges, added, split, normal):
        self.vocab, self.ranks, self.added, self.split, self.normal = vocab, {m: r for r, m in enumerate(merges)}, added, split, normal
        self.found = re.compile("|".join(re.escape(t) for t in sorted(added, key=len, reverse=True)))

    @functools.cache
    def word(self, word):
        symbols = [LETTER[b] for b in word.encode()]
        while len(symbols) > 1:
            rank, at = min((self.ranks.get(pair, 1 << 30), i) for i, pair in enumerate(zip(symbols, symbols[1:])))
            if rank == 1 << 30:
                break
            symbols[at:at + 2] = [symbols[at] + symbols[at + 1]]
        return [self.vocab[s] for s in symbols]

    def ids(self, text):
        out, at = [], 0
        for m in [*self.found.finditer(text), None]:
            plain = self.normal(text[at:m.start() if m else len(text)])
            for word in self.split.findall(plain):
                out += self.word(word)
            if m:
                out.append(self.added[m.group()])
                at = m.end()
        return out

    def sweep(self):
        hashes = []
        for block in range(272):
            h = hashlib.sha256()
            for c in range(4096 * block, 4096 * block + 4096):
                if not 0xD800 <= c < 0xE000:
                    ids = self.ids(f"a{chr(c)}b {chr(c)}1")
                    h.update(struct.pack(f"<{len(ids) + 1}I", len(ids), *ids))
            hashes.append(h.hexdigest()[:16])
        return hashes

    def reference(self, texts):
        special = {t for t, s in ADDED if s}
        shown = lambda t, skip: "".join(self.normal(p) if i % 2 == 0 else "" if skip and p in special else p
                                        for i, p in enumerate(re.split(f"({self.found.pattern})", t)))
        cases = [{"text": t, "ids": self.ids(t), "decoded": shown(t, False), "decoded_skip_special": shown(t, True)} for t in texts]
        for case in cases:
            if case["decoded_skip_special"] == case["decoded"]:
                del case["decoded_skip_special"]
        return {"cases": cases, "decodes": [], "sweep": self.sweep()}


def tokenizer_json(vocab, merges, added, normalizer, pre_tokenizer, normalized):
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    tokens = [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": normalized, "special": s}
              for t, i, s in added]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens, "normalizer": normalizer, "pre_tokenizer": pre_tokenizer,
            "post_processor": byte_level, "decoder": byte_level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "",
                      "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": vocab, "merges": merges}}


def write(path, value, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value, **how) + "\n", encoding="utf-8")


def main():
    golden = Path(sys.argv[1])
    out = Path(sys.argv[2] if len(sys.argv) > 2 else Path(__file__).resolve().parent.parent / "data" / "tokenizer")
    assert unicodedata.unidata_version == "14.0.0", "recorded with Python 3.11"
    points = json.loads((golden / "codepoints.json").read_text())
    texts = [c["text"] for c in json.loads((golden / "tokenizer_qwen.json").read_text())["cases"] if len(c["text"]) < 3000]
    texts += ["<|im_start|>user\nHi<|im_end|>\n<|im_x <|im<|im_end|>", "<think>\u0301e\u0301</think>", "<|endoftext|>" * 3]
    qwen_split, gpt2_split = patterns(points)
    nfc = make_nfc(points)
    merges = train(collections.Counter(w for t in texts for w in qwen_split.findall(t)))
    symbols = [LETTER[b] for b in sorted(LETTER, key=LETTER.get)] + ["".join(m) for m in merges]
    vocab = {s: i for i, s in enumerate(dict.fromkeys(symbols))}
    added = [(t, len(vocab) + i, s) for i, (t, s) in enumerate(ADDED)]
    by_text = {t: i for t, i, _ in added}

    split = {"type": "Split", "pattern": {"Regex": QWEN}, "behavior": "Isolated", "invert": False}
    bytes_only = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    steps = {"type": "Sequence", "pretokenizers": [split, bytes_only]}
    write(out / "small_qwen" / "tokenizer.json", tokenizer_json(vocab, merges, added, {"type": "NFC"}, steps, False))
    config = {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "bos_token": None,
              "added_tokens_decoder": {str(i): {"content": t, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
                                                "special": s} for t, i, s in added}}
    write(out / "small_qwen_files" / "vocab.json", vocab, ensure_ascii=False)
    write(out / "small_qwen_files" / "merges.txt", "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    write(out / "small_qwen_files" / "tokenizer_config.json", config, indent=1)
    plain = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    write(out / "small_gpt2" / "tokenizer.json", tokenizer_json(vocab, [" ".join(m) for m in merges], added, None, plain, True))
    lines = lambda reference: json.dumps(reference).replace('{"text"', '\n{"text"') + "\n"
    write(out / "small_qwen.json", lines(Reference(vocab, merges, by_text, qwen_split, nfc).reference(texts)))
    write(out / "small_gpt2.json", lines(Reference(vocab, merges, by_text, gpt2_split, lambda t: t).reference(texts)))
    keys = ("letter", "number", "space", "contraction", "combining_class", "never_composed", "bert_dropped", "bert_space", "bert_cjk",
            "bert_accent", "bert_punctuation", "bert_lower")
    write(out / "codepoints.json", {k: points[k] for k in keys})


if __name__ == "__main__":
    main()
