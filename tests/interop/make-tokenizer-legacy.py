#!/usr/bin/env python3
"""Writes tests/golden/tokenizers/llama2-style/no-legacy.jsonl: ids of LlamaTokenizer with legacy false.

The vocabulary and merges are those of tests/golden/tokenizers/llama2-style/tokenizer.json. Each line
has a text, its ids with special tokens parsed, and the text of these ids.
Needs: pip install transformers tokenizers.
"""
import json
import sys

from transformers import LlamaTokenizer

TEXTS = [
    "", " ", "  ", "Hello", " Hello", "  Hello world", "Hello </s> world", "Hello</s>world", "<s>Hello", "<s> Hello",
    "</s></s>a", "a</s> ", "<s>", "\u2581Hello", "line\n</s>\nline", "caf\u00e9</s>\u4f60\u597d", "tab\t</s>\ttab",
    "[INST] Say it. [/INST] It.</s><s>[INST] Again. [/INST]",
]


def main():
    model = json.load(open("tests/golden/tokenizers/llama2-style/tokenizer.json", encoding="utf-8"))["model"]
    merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
    tokenizer = LlamaTokenizer(vocab=model["vocab"], merges=merges, legacy=False)
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        for text in TEXTS:
            ids = tokenizer.encode(text, add_special_tokens=False)
            line = {"text": text, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False)}
            out.write(json.dumps(line, ensure_ascii=True) + "\n")


main()
