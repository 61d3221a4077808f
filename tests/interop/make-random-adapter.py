#!/usr/bin/env python3
"""Makes a PEFT adapter with random numbers: make-random-adapter.py DIRECTORY RANK ALPHA SEED MODULE:IN:OUT...

MODULE is a path of the base: model.layers.0.self_attn.q_proj. Needs numpy only.
"""
import json
import struct
import sys
from pathlib import Path

import numpy


def main():
    directory, rank, alpha, seed, *modules = sys.argv[1:]
    rank, random = int(rank), numpy.random.default_rng(int(seed))
    header, numbers, at = {"__metadata__": {"format": "pt"}}, [], 0
    for module in modules:
        path, n_in, n_out = module.split(":")
        for half, shape in (("lora_A", (rank, int(n_in))), ("lora_B", (int(n_out), rank))):
            values = (0.2 * random.standard_normal(shape)).astype("<f4")
            header["base_model.model.%s.%s.weight" % (path, half)] = {
                "dtype": "F32", "shape": list(shape), "data_offsets": [at, at + values.nbytes]}
            numbers.append(values.tobytes())
            at += values.nbytes
    text = json.dumps(header).encode()
    Path(directory).mkdir()
    Path(directory, "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"".join(numbers))
    names = sorted({module.split(":")[0].rsplit(".", 1)[1] for module in modules})
    Path(directory, "adapter_config.json").write_text(json.dumps(
        {"peft_type": "LORA", "r": rank, "lora_alpha": float(alpha), "target_modules": names, "bias": "none",
         "base_model_name_or_path": "random"}))


main()
