#!/usr/bin/env python3
"""Writes a text encoder of gte-large-en-v1.5's shapes with random weights (needs torch, safetensors).

434M parameters in F32, 1.7 GB. The tokenizer is that of the small encoder in the golden data: real
words become more and shorter tokens than with the real vocabulary.
usage: make-random-encoder.py DIRECTORY [GOLDEN_ENCODER]     (default ../shared/golden/encoder/gte_tiny)
"""
import json
import os
import shutil
import sys

import torch
from safetensors.torch import save_file

directory = sys.argv[1]
golden = sys.argv[2] if len(sys.argv) > 2 else "../shared/golden/encoder/gte_tiny"
WIDTH, LAYERS, HEADS, FFN, VOCAB = 1024, 24, 16, 4096, 30528
torch.manual_seed(1)
state = {}


def linear(name, out, in_, bias=True):
    state[name + ".weight"] = torch.randn(out, in_) / in_**0.5
    if bias:
        state[name + ".bias"] = torch.randn(out) * 0.01


def norm(name):
    state[name + ".weight"] = torch.ones(WIDTH)
    state[name + ".bias"] = torch.zeros(WIDTH)


state["embeddings.word_embeddings.weight"] = torch.randn(VOCAB, WIDTH) * 0.02
state["embeddings.token_type_embeddings.weight"] = torch.randn(2, WIDTH) * 0.02
norm("embeddings.LayerNorm")
for i in range(LAYERS):
    layer = f"encoder.layer.{i}."
    linear(layer + "attention.qkv_proj", 3 * WIDTH, WIDTH)
    linear(layer + "attention.o_proj", WIDTH, WIDTH)
    norm(layer + "attn_ln")
    linear(layer + "mlp.up_gate_proj", 2 * FFN, WIDTH, bias=False)
    linear(layer + "mlp.down_proj", WIDTH, FFN)
    norm(layer + "mlp_ln")

os.makedirs(directory, exist_ok=True)
save_file(state, os.path.join(directory, "model.safetensors"), metadata={"format": "pt"})
with open(os.path.join(golden, "config.json")) as f:
    config = json.load(f)
config.update(hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=FFN,
              vocab_size=VOCAB, max_position_embeddings=8192)
with open(os.path.join(directory, "config.json"), "w") as f:
    json.dump(config, f)
for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
    shutil.copy(os.path.join(golden, name), directory)
