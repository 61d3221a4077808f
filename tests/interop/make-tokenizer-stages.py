#!/usr/bin/env python3
"""Writes tests/golden/tokenizers/stages.jsonl: ids under single normalisers and pre-tokenizers.

Each line replaces "normalizer", "pre_tokenizer" and "added_tokens" of the tokenizer.json of
tests/golden/tokenizers/gpt2-style and lists the ids that the `tokenizers` library then gives to a
few texts. Needs: pip install tokenizers.
"""
import json
import sys

from tokenizers import Tokenizer

BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
WORDS = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
PREFIXED = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}


def split(pattern, behavior, invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def then_bytes(*stages):
    return {"type": "Sequence", "pretokenizers": list(stages) + [BYTES]}


def added(content, **flags):
    token = {"id": 1500, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True}
    return [dict(token, **flags)]


END = added("<|endoftext|>")
BEHAVIORS = ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
CASES = (
    [(None, BYTES, END), (None, WORDS, END), (None, PREFIXED, END)]
    + [(None, then_bytes(split({"String": "e"}, b)), END) for b in BEHAVIORS]
    + [(None, then_bytes(split({"Regex": r"\s+|[a-c]"}, b, i)), END) for b in BEHAVIORS for i in (False, True)]
    + [(None, then_bytes({"type": "Digits", "individual_digits": i}), END) for i in (False, True)]
    + [(None, then_bytes({"type": "Punctuation", "behavior": b}), END) for b in BEHAVIORS]
    + [(None, then_bytes({"type": t}), END) for t in ("Whitespace", "WhitespaceSplit", "BertPreTokenizer")]
    + [(None, {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, WORDS]}, END)]
    + [({"type": f}, WORDS, END) for f in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents")]
    + [({"type": "Strip", "strip_left": l, "strip_right": r}, WORDS, END) for l in (False, True) for r in (False, True)]
    + [({"type": "Replace", "pattern": {"String": "o"}, "content": "00"}, WORDS, END),
       ({"type": "Replace", "pattern": {"Regex": "[0-9]+"}, "content": "#"}, WORDS, END),
       ({"type": "Prepend", "prepend": "x "}, WORDS, END),
       ({"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]},
        WORDS, END),
       ({"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
         "lowercase": True}, WORDS, END),
       ({"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": False, "strip_accents": True,
         "lowercase": False}, WORDS, END)]
    + [(None, WORDS, added("word", **f)) for f in
       ({}, {"lstrip": True}, {"rstrip": True}, {"single_word": True}, {"lstrip": True, "rstrip": True},
        {"special": False}, {"normalized": True})]
    + [({"type": "Lowercase"}, WORDS, added("Word", normalized=n)) for n in (False, True)]
)
TEXTS = [
    "", " ", "Hello, world!", "  two  spaces  ", "word words sword  word\tword.", "Word WORD word",
    "abc cab bca", "eee e ee", "a1b22c333 4,567.89", "don't stop: it's (very) [good]...",
    "caf\u00e9 cafe\u0301 \u00c5 \ufb01 \u2460", "\u4f60\u597d\uff0c world \u3002", "tab\tnew\nline\r\n\u00a0nbsp\u3000wide",
    "\u180e\u200b\u2028\u0085", "<|endoftext|> x<|endoftext|>", "\U0001f600\U0001f469\u200d\U0001f469", "\u0130stanbul \u00df \u01c5",
    "x\u0007y\ufffdz", "____a_b__", "\u0661\u00b2\u00bd\u216b",
]


def main():
    base = json.load(open("tests/golden/tokenizers/gpt2-style/tokenizer.json", encoding="utf-8"))
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        for normalizer, pre_tokenizer, tokens in CASES:
            base.update(normalizer=normalizer, pre_tokenizer=pre_tokenizer, added_tokens=tokens)
            if tokens is not END:  # keeps id 1500 for the token under test
                base["model"]["vocab"].pop("<|endoftext|>", None)
            tokenizer = Tokenizer.from_str(json.dumps(base))
            line = {"normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "added_tokens": tokens,
                    "texts": TEXTS, "ids": [tokenizer.encode(t, add_special_tokens=False).ids for t in TEXTS]}
            out.write(json.dumps(line, ensure_ascii=True) + "\n")


main()
