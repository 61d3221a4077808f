#!/usr/bin/env python3
"""Writes a checkpoint directory of text-to-lora at real size with random weights (needs torch).

Mistral-7B shapes: 32 layers, q_proj 4096 -> 4096, v_proj 4096 -> 1024, rank 8, embeddings of 1024,
latent 128, head input 512. usage: make-reference-checkpoint.py L|M|S DIRECTORY
"""
import json
import os
import sys
from collections import OrderedDict

import torch

design, directory = sys.argv[1], sys.argv[2]
LAYERS, RANK, D, H, Q = 32, 8, 1024, 128, 512
MODULES = OrderedDict(q_proj=(4096, 4096), v_proj=(4096, 1024))
shared, rowwise = design != "L", design == "S"
torch.manual_seed(1)
state = OrderedDict()


def linear(name, out, in_, scale=1.0):
    state[name + ".weight"] = torch.randn(out, in_) * (scale / in_**0.5)
    state[name + ".bias"] = torch.randn(out) * 0.01


def norm(name, width):
    state[name + ".weight"] = torch.ones(width)
    state[name + ".bias"] = torch.zeros(width)


def residual(name):
    norm(name + ".mlp.0", H)
    linear(name + ".mlp.1", 4 * H, H)
    linear(name + ".mlp.4", H, 4 * H)


for kind in ("AB_offset", "mean_recon_target", "std_recon_target"):
    for module, (in_, out) in MODULES.items():
        state[f"{kind}.A.{module}"] = torch.zeros(LAYERS, RANK, in_)
    for module, (in_, out) in MODULES.items():
        state[f"{kind}.B.{module}"] = torch.zeros(LAYERS, out, RANK)
linear("task_encoder.mlp.0", H // 2, D)
norm("task_encoder.mlp.1", H // 2)
for name, n in (("layer_depth_encoder", LAYERS), ("layer_type_encoder", len(MODULES))):
    state[name + ".0.weight"] = torch.randn(n, H // 4)
    norm(name + ".1", H // 4)
linear("mixer.1", 4 * H, H)
linear("mixer.4", H, 4 * H)
residual("mlp1")
residual("mlp2")
norm("mlp3.0", H)
linear("mlp3.1", 4 * H, H)
linear("mlp3.4", Q, 4 * H)
if shared:
    for module in MODULES:
        state[f"out_emb.{module}.A"] = torch.randn(H)
        state[f"out_emb.{module}.B"] = torch.randn(H)
    norm("out_emb_norm", H)
for module, (in_, out) in MODULES.items():
    rows = (max(in_, out) if shared else in_ + out) * (1 if rowwise else RANK)
    linear("heads." + module, rows, Q, 0.05)

os.makedirs(directory, exist_ok=True)
torch.save(state, os.path.join(directory, "hypermod.pt"))
with open(os.path.join(directory, "args.yaml"), "w") as f:
    f.write(f"""autoreg_gen: {str(rowwise).lower()}
emb_model: Alibaba-NLP/gte-large-en-v1.5
head_in_size: {Q}
hypernet_latent_size: {H}
learnable_pos_emb: false
model_dir: mistralai/Mistral-7B-Instruct-v0.2
shared_AB_head: {str(shared).lower()}
training_task: sft
use_one_hot_task_emb: false
""")
with open(os.path.join(directory, "adapter_config.json"), "w") as f:
    json.dump({"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": 16,
               "use_rslora": True, "target_modules": list(MODULES), "lora_dropout": 0.05,
               "base_model_name_or_path": "mistralai/Mistral-7B-Instruct-v0.2"}, f)
