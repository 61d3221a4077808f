#!/usr/bin/env python3
"""MB/s of the `tokenizers` package on one core: the peer of bench-tokenizer, with the same lines.

peer-tokenizers.py TEXT MB TOKENIZER...  (directories or tokenizer.json files)"""

import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

from tokenizers import Tokenizer  # noqa: E402


def hash_ids(ids):
    """FNV-1a over the ids as little-endian 32 bit numbers, as bench-tokenizer has it."""
    value = 14695981039346656037
    for token in ids:
        for byte in token.to_bytes(4, "little"):
            value = ((value ^ byte) * 1099511628211) & 0xFFFFFFFFFFFFFFFF
    return value


def measure(path, text):
    file = os.path.join(path, "tokenizer.json") if os.path.isdir(path) else path
    if not os.path.exists(file):
        return
    tokenizer = Tokenizer.from_file(file)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    n_bytes = len(text.encode())
    encode = decode = 1e9
    for _ in range(2):
        begin = time.process_time()
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        encode = min(encode, time.process_time() - begin)
        begin = time.process_time()
        tokenizer.decode(ids, skip_special_tokens=False)
        decode = min(decode, time.process_time() - begin)
    print(
        f"tokenizers {path} encode {n_bytes * 1e-6 / encode:.1f} MB/s"
        f" decode {n_bytes * 1e-6 / decode:.1f} MB/s tokens {len(ids)} hash {hash_ids(ids):016x}"
    )


def main():
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    wanted = int(float(sys.argv[2]) * 1e6)
    text = b""
    while len(text) < wanted:
        text += data
    for path in sys.argv[3:]:
        measure(path, text.decode("utf-8", "replace"))


main()
