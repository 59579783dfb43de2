#!/usr/bin/env python3
"""Writes test/data/tokenizer/small_bert/ and small_bert.json: a small WordPiece vocabulary and what Hugging Face makes of texts with it.

usage: make_small_wordpiece.py SHARED [OUTPUT_FOLDER]        (needs transformers; recorded with the versions in small_bert.json)

The vocabulary is the part of bert-base-uncased's that the texts need and every piece of one character; the texts are those of
SHARED/golden/text/tokenizer_bert.json, written for that folder, and some for added tokens and decoding. Offsets are in characters.
"""
import json
import sys
from pathlib import Path

import tokenizers
import transformers
from transformers import BertTokenizerFast

MORE = ["Don't, it's (what?) they've: do not - I'm ' x '!", "a [MASK] [mask] [CLS][SEP]x[PAD]", "##ly ly -ly", "unaffable Unaffable UNAFFABLE",
        "x" * 100 + " " + "x" * 101, "caf\u00e9 cafe\u0301 CAF\u00c9", "\u4e2d\u6587abc\u6587", "a\u0000b\u200bc\ufffdd\u00a0e\u2028f\tg\r\nh"]
FORMS = [("uncased", {"do_lower_case": True}), ("cased", {"do_lower_case": False}), ("accents", {"do_lower_case": True, "strip_accents": False}),
         ("stripped", {"do_lower_case": False, "strip_accents": True}), ("joined", {"do_lower_case": True, "tokenize_chinese_chars": False})]


def loaded(folder, settings):
    return BertTokenizerFast.from_pretrained(str(folder), **settings)


def case(tok, text):
    e = tok(text, add_special_tokens=False, return_offsets_mapping=True)
    row = {"text": text, "ids": e.input_ids, "offsets": [list(o) for o in e.offset_mapping], "decoded": tok.decode(e.input_ids)}
    skipped = tok.decode(e.input_ids, skip_special_tokens=True)
    return row | ({"decoded_skip_special": skipped} if skipped != row["decoded"] else {})


def main():
    shared = Path(sys.argv[1])
    out = Path(sys.argv[2] if len(sys.argv) > 2 else Path(__file__).resolve().parent.parent / "data" / "tokenizer")
    source = shared / "data" / "bert-base-uncased"
    golden = json.loads((shared / "golden/text/tokenizer_bert.json").read_text())
    texts = [c["text"] for c in golden["uncased"] if len(c["text"]) < 160 and "second" not in c][:230] + MORE
    lines = (source / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
    keep = {t for t in lines if len(t.removeprefix("##")) == 1 or t in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")}
    for _, settings in FORMS:
        tok = loaded(source, settings)
        keep |= {t for text in texts for t in tok.convert_ids_to_tokens(tok(text).input_ids)}
    folder = out / "small_bert"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("".join(t + "\n" for t in lines if t in keep), encoding="utf-8")
    forms = {name: {"settings": settings, "cases": [case(loaded(folder, settings), t) for t in texts]} for name, settings in FORMS}
    tok = loaded(folder, FORMS[0][1])
    added = loaded(folder, FORMS[0][1])
    added.add_tokens(["New\u00c9 York", "<x>"])          # found in the normalised text
    added.add_special_tokens({"additional_special_tokens": ["[Q1]"]})
    added_texts = ["Old new\u00e9 york <X> <x>! [Q1][q1]", "neue york new\u00c9  york NEWE YORKER", "[Q1] <x><x>x"]
    result = {"versions": {"tokenizers": tokenizers.__version__, "transformers": transformers.__version__},
              "forms": forms,
              "decodes": [{"ids": ids, "decoded": tok.decode(ids), "decoded_skip_special": tok.decode(ids, skip_special_tokens=True)} for ids in ([], [0], [999999], list(range(0, 300, 7)), [4, 4, 3, 2, 1])],
              "added": {"tokenizer": json.loads(added.backend_tokenizer.to_str()), "cases": [case(added, t) for t in added_texts]}}
    (out / "small_bert.json").write_text(json.dumps(result, separators=(",", ":")).replace('{"text"', '\n{"text"') + "\n")


if __name__ == "__main__":
    main()
