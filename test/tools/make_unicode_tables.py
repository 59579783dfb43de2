#!/usr/bin/env python3
"""Writes src/tokenizer/unicode_ranges.cpp, unicode_pairs.cpp, unicode_bert.cpp and unicode_case.cpp from the recorded behaviour of Hugging Face tokenizers.

usage: make_unicode_tables.py CODEPOINTS.JSON SOURCE_FOLDER

CODEPOINTS.JSON says what tokenizers 0.23.3 takes each code point for (letter, number and space follow Unicode 16, combining classes
Unicode 9). The canonical decompositions are Python's; those newer than Unicode 9 are in `never_composed` and left out, so Python's
Unicode must be one in which that list is complete: 14.0.0. Standard library only.
"""
import json
import sys
import unicodedata
from pathlib import Path

WIDTH = 138
HEAD = "// Written by test/tools/make_unicode_tables.py; do not edit.\n"


def wrapped(items):
    lines, line = [], " "
    for item in items:
        if len(line) + len(item) + 1 > WIDTH:
            lines.append(line)
            line = " "
        line += " " + item
    return "\n".join(lines + [line])


def ranges(name, rows):
    return f"const CodeRange {name}[] = {{\n" + wrapped(f"{{{a},{b}}}," for a, b in rows) + "\n};\n" + \
        f"const std::size_t {name}_count = {len(rows)};\n"


def pairs(name, rows):
    return f"const CanonicalPair {name}[] = {{\n" + wrapped(f"{{{c},{a},{b}}}," for c, a, b in rows) + "\n};\n" + \
        f"const std::size_t {name}_count = {len(rows)};\n"


def lower_rows(rows):
    """[from, to] or [from, first, second]."""
    assert all(len(row) in (2, 3) for row in rows)
    return "const LowerCase bert_lower[] = {\n" + wrapped(f"{{{c},{a[0]},{a[1] if len(a) == 2 else 0}}}," for c, *a in rows) + \
        f"\n}};\nconst std::size_t bert_lower_count = {len(rows)};\n"


def canonical(never_composed):
    """Rows (code point, first, second or 0) by code point: those that compose again, those that do not."""
    newer = {c for _, _, c in never_composed}
    composed, decomposed = [], []
    for c in range(0x110000):
        parts = unicodedata.decomposition(chr(c)).split()
        if not parts or parts[0][0] == "<" or c in newer:
            continue
        row = (c, int(parts[0], 16), int(parts[1], 16) if len(parts) == 2 else 0)
        again = len(parts) == 2 and unicodedata.normalize("NFC", chr(c)) == chr(c)
        (composed if again else decomposed).append(row)
    return composed, decomposed


def measured(matches):
    """Ranges of the code points for which `matches` is true, surrogates left out."""
    rows = []
    for c in range(0x110000):
        if 0xD800 <= c < 0xE000 or not matches(chr(c)):
            continue
        if rows and rows[-1][1] == c - 1:
            rows[-1][1] = c
        else:
            rows.append([c, c])
    return rows


def case_tables():
    """What Python's str.lower asks about the neighbours of a capital sigma (it is final behind a cased letter): measured on it."""
    cased = measured(lambda c: (c + "\u03a3").lower()[-1] == "\u03c2")
    between = measured(lambda c: (c + "\u03a3").lower()[-1] != "\u03c2" and ("a" + c + "\u03a3").lower()[-1] == "\u03c2")
    return ranges("cased", cased) + ranges("case_ignorable", between)


def main():
    if unicodedata.unidata_version != "14.0.0":
        sys.exit(f"needs a Python whose unicodedata is 14.0.0 (Python 3.11), this one has {unicodedata.unidata_version}")
    points, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    classes = [f"{{{a},{b},{k}}}" for a, b, k in points["combining_class"]]
    (folder / "unicode_ranges.cpp").write_text(
        "// What the pre-tokenisers take each code point for, and combining classes.\n" + HEAD + '#include "tokenizer/unicode_tables.hpp"\n\n'
        "namespace strata::unicode {\n// clang-format off\n" + ranges("letters", points["letter"]) + ranges("numbers", points["number"])
        + ranges("spaces", points["space"]) + "const ClassRange combining_classes[] = {\n" + wrapped(c + "," for c in classes) + "\n};\n"
        + f"const std::size_t combining_classes_count = {len(classes)};\n// clang-format on\n}}  // namespace strata::unicode\n")
    composed, decomposed = canonical(points["never_composed"])
    (folder / "unicode_pairs.cpp").write_text(
        "// Canonical decompositions of Unicode 9, sorted by code point: those that NFC composes again, and those that it does not.\n" + HEAD
        + '#include "tokenizer/unicode_tables.hpp"\n\nnamespace strata::unicode {\n// clang-format off\n' + pairs("composing", composed)
        + pairs("decomposing", decomposed) + "// clang-format on\n}  // namespace strata::unicode\n")
    (folder / "unicode_case.cpp").write_text(
        "// Letters with case, and characters that do not part a letter from a sigma, as Python's str.lower sees them (Unicode 14).\n" + HEAD
        + '#include "tokenizer/unicode_tables.hpp"\n\nnamespace strata::unicode {\n// clang-format off\n' + case_tables()
        + "// clang-format on\n}  // namespace strata::unicode\n")
    kinds = (("dropped", "dropped"), ("spaces", "space"), ("cjk", "cjk"), ("accents", "accent"), ("punctuation", "punctuation"))
    (folder / "unicode_bert.cpp").write_text(
        "// What BERT's normalisation takes each code point for, and its lower case (character by character).\n" + HEAD
        + '#include "tokenizer/unicode_tables.hpp"\n\nnamespace strata::unicode {\n// clang-format off\n'
        + "".join(ranges("bert_" + name, points["bert_" + key]) for name, key in kinds)
        + lower_rows(points["bert_lower"]) + "// clang-format on\n}  // namespace strata::unicode\n")


if __name__ == "__main__":
    main()
